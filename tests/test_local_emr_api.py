from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from local.emr.api import Api
from local.emr.events import Events
from local.emr.model import JobRun
from local.emr.service import EmrServerless
from local.seams import ministack_cloud, ministack_emr

ROLE = "arn:aws:iam::000000000000:role/bronze"
JOB = {
    "clientToken": "first",
    "executionRoleArn": ROLE,
    "jobDriver": {"sparkSubmit": {"entryPoint": "s3://code/main.py"}},
    "name": "run:ingest",
}


class RecordedEvents(Events):
    def __init__(self) -> None:
        super().__init__()
        self.details: list[dict[str, Any]] = []

    def application_changed(self, application: Any) -> None:
        self.details.append(application.event())

    def job_run_changed(self, job_run: JobRun) -> None:
        self.details.append(job_run.event())


class Emr:
    """The API as a client calls it, with nothing behind it that runs jobs."""

    def __init__(self) -> None:
        self.events = RecordedEvents()
        self.service = EmrServerless(self.events)
        self.api = Api(self.service)

    def call(self, method: str, path: str, body: dict[str, Any] | None = None, **query: Any) -> tuple[int, Any]:
        encoded = json.dumps(body).encode() if body is not None else b""
        status, _headers, answer = asyncio.run(
            self.api.handle(method, path, {}, encoded, {k: v if isinstance(v, list) else [v] for k, v in query.items()})
        )
        return status, json.loads(answer)

    def create(self, **settings: Any) -> str:
        body = {"clientToken": "app", "name": "assay-local", "releaseLabel": "emr-spark-8.1.0", "type": "SPARK"}
        status, answer = self.call("POST", "/applications", {**body, **settings})
        assert status == 200, answer
        return str(answer["applicationId"])

    def run(self, application: str, token: str) -> str:
        return str(
            self.call("POST", f"/applications/{application}/jobruns", {**JOB, "clientToken": token})[1]["jobRunId"]
        )

    def job_run(self, application: str, job_run_id: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.call("GET", f"/applications/{application}/jobruns/{job_run_id}")[1]["jobRun"]
        return answer


@pytest.fixture
def emr() -> Iterator[Emr]:
    with ministack_cloud.scope("000000000000", "eu-west-1"):
        yield Emr()


def test_a_job_run_is_described_as_it_was_submitted(emr: Emr) -> None:
    application = emr.create()
    tags = {"tags": {"step": "ingest"}, "executionTimeoutMinutes": 30}
    status, made = emr.call("POST", f"/applications/{application}/jobruns", {**JOB, **tags})
    assert status == 200
    arn = f"arn:aws:emr-serverless:eu-west-1:000000000000:/applications/{application}/jobruns/{made['jobRunId']}"
    assert made == {"applicationId": application, "jobRunId": made["jobRunId"], "arn": arn}
    job_run = emr.job_run(application, made["jobRunId"])
    expected = {
        "applicationId": application,
        "jobRunId": made["jobRunId"],
        "name": "run:ingest",
        "arn": arn,
        "createdBy": "arn:aws:iam::000000000000:root",
        "executionRole": ROLE,
        "state": "PENDING",
        "releaseLabel": "emr-spark-8.1.0",
        "jobDriver": JOB["jobDriver"],
        "tags": {"step": "ingest"},
        "executionTimeoutMinutes": 30,
        "mode": "BATCH",
        "attempt": 1,
    }
    assert {name: job_run[name] for name in expected} == expected


def test_the_same_client_token_gives_the_same_job_run(emr: Emr) -> None:
    application = emr.create()
    assert emr.run(application, "one") == emr.run(application, "one")
    assert emr.run(application, "one") != emr.run(application, "two")


def test_the_same_client_token_with_other_parameters_is_a_conflict(emr: Emr) -> None:
    application = emr.create()
    first = emr.run(application, "one")
    status, error = emr.call(
        "POST", f"/applications/{application}/jobruns", {**JOB, "clientToken": "one", "name": "other"}
    )
    assert (status, error["__type"]) == (409, "ConflictException")
    assert [run["id"] for run in emr.call("GET", f"/applications/{application}/jobruns")[1]["jobRuns"]] == [first]


def test_a_token_stays_the_same_after_its_job_run_is_tagged(emr: Emr) -> None:
    application = emr.create()
    first = emr.run(application, "one")
    arn = emr.job_run(application, first)["arn"]
    assert emr.call("POST", f"/tags/{quote(arn, safe='')}", {"tags": {"a": "b"}})[0] == 200
    assert emr.call("GET", f"/tags/{quote(arn, safe='')}")[1] == {"tags": {"a": "b"}}
    assert emr.run(application, "one") == first


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"executionRoleArn": None}, "'executionRoleArn'.*must not be null", id="role-missing"),
        pytest.param({"executionRoleArn": "role/bronze-of-assay"}, "regular expression pattern", id="role-no-arn"),
        pytest.param({"executionRoleArn": ROLE.replace("0" * 12, "1" * 12)}, "Cross-account", id="role-of-another"),
        pytest.param({"clientToken": "x" * 65}, "'clientToken'.*less than or equal to 64", id="long-token"),
        pytest.param({"name": "x" * 257}, "'name'.*less than or equal to 256", id="long-name"),
        pytest.param({"jobDriver": {}}, "sparkSubmit", id="no-driver"),
        pytest.param({"jobDriver": {"sparkSubmit": {}}}, "'jobDriver.sparkSubmit.entryPoint'", id="no-entry-point"),
        pytest.param({"mode": "TURBO"}, r"enum value set: \[BATCH, STREAMING\]", id="mode"),
        pytest.param({"executionTimeoutMinutes": "5"}, "must be of type long", id="timeout-as-text"),
    ],
)
def test_parameters_are_judged_by_the_model(emr: Emr, change: dict[str, Any], said: str) -> None:
    application = emr.create()
    status, error = emr.call("POST", f"/applications/{application}/jobruns", {**JOB, **change})
    assert (status, error["__type"]) == (400, "ValidationException")
    assert re.search(said, error["message"]), error["message"]


def test_what_does_not_exist_is_named(emr: Emr) -> None:
    application = emr.create()
    missing = emr.call("GET", f"/applications/{application}/jobruns/00nothing")
    assert missing == (
        404,
        {
            "__type": "ResourceNotFoundException",
            "message": f"JobRun 00nothing does not exist in application {application}",
        },
    )
    assert emr.call("GET", "/applications/00nothing")[0] == 404
    with ministack_cloud.scope("000000000000", "us-east-1"):
        assert emr.call("GET", f"/applications/{application}")[0] == 404


def test_job_runs_are_listed_newest_first_by_page_and_state(emr: Emr) -> None:
    application = emr.create()
    first, second, third = (emr.run(application, token) for token in ("a", "b", "c"))
    path = f"/applications/{application}/jobruns"
    status, page = emr.call("GET", path, maxResults="2")
    assert ([run["id"] for run in page["jobRuns"]], status) == ([third, second], 200)
    fourth = emr.run(application, "d")
    _, page = emr.call("GET", path, maxResults="2", nextToken=page["nextToken"])
    assert [run["id"] for run in page["jobRuns"]] == [first]
    assert "nextToken" not in page
    emr.call("DELETE", f"{path}/{second}")
    _, cancelled = emr.call("GET", path, states=["CANCELLED", "FAILED"])
    assert [run["id"] for run in cancelled["jobRuns"]] == [second]
    _, alive = emr.call("GET", path, states=["PENDING"])
    assert [run["id"] for run in alive["jobRuns"]] == [fourth, third, first]
    _, none = emr.call("GET", path, createdAtAfter="2999-01-01T00:00:00Z")
    assert none == {"jobRuns": []}


def test_a_queued_job_run_is_cancelled_at_once_and_an_ended_one_stays_ended(emr: Emr) -> None:
    application = emr.create()
    job_run_id = emr.run(application, "a")
    path = f"/applications/{application}/jobruns/{job_run_id}"
    assert emr.call("DELETE", path) == (200, {"applicationId": application, "jobRunId": job_run_id})
    assert emr.job_run(application, job_run_id)["state"] == "CANCELLED"
    ended = emr.job_run(application, job_run_id)["updatedAt"]
    assert emr.call("DELETE", path, shutdownGracePeriodInSeconds="30")[0] == 200
    assert emr.job_run(application, job_run_id)["updatedAt"] == ended


def test_events_say_what_aws_says(emr: Emr) -> None:
    application = emr.create()
    job_run_id = emr.run(application, "a")
    states = [(detail["state"], detail.get("previousState")) for detail in emr.events.details]
    assert states == [
        ("CREATING", None),
        ("CREATED", None),
        ("STARTING", None),
        ("STARTED", None),
        ("SUBMITTED", None),
        ("PENDING", "SUBMITTED"),
    ]
    detail = emr.events.details[-1]
    assert {name: detail[name] for name in ("jobRunId", "jobRunName", "applicationId", "releaseLabel")} == {
        "jobRunId": job_run_id,
        "jobRunName": "run:ingest",
        "applicationId": application,
        "releaseLabel": "emr-spark-8.1.0",
    }
    assert detail["createdAt"].endswith("Z")
    assert emr.events.details[0]["autoStopConfig"] == {"enabled": True, "idleTimeout": 15}


def test_an_application_starts_with_its_first_job_run(emr: Emr) -> None:
    application = emr.create()
    path = f"/applications/{application}"
    assert emr.call("GET", path)[1]["application"]["state"] == "CREATED"
    job_run_id = emr.run(application, "a")
    assert emr.call("GET", path)[1]["application"]["state"] == "STARTED"
    status, error = emr.call("POST", f"{path}/stop")
    assert (status, "job runs that are not finished" in error["message"]) == (400, True)
    emr.call("DELETE", f"{path}/jobruns/{job_run_id}")
    assert emr.call("POST", f"{path}/stop") == (200, {})
    assert emr.call("DELETE", path) == (200, {})
    status, error = emr.call("POST", f"{path}/jobruns", {**JOB, "clientToken": "b"})
    assert (status, error["message"]) == (400, f"Application {application} is in the TERMINATED state")


def test_an_application_without_auto_start_takes_no_job_run_before_it_is_started(emr: Emr) -> None:
    application = emr.create(autoStartConfiguration={"enabled": False})
    assert emr.call("POST", f"/applications/{application}/jobruns", JOB)[0] == 400
    assert emr.call("POST", f"/applications/{application}/start") == (200, {})
    assert emr.call("POST", f"/applications/{application}/jobruns", JOB)[0] == 200


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        pytest.param("/applications", "*", id="list"),
        pytest.param("/applications/00a", "/applications/00a", id="application"),
        pytest.param("/applications/00a/jobruns", "/applications/00a", id="start-or-list-job-runs"),
        pytest.param("/applications/00a/jobruns/00b", "/applications/00a/jobruns/00b", id="job-run"),
        pytest.param("/applications/00a/jobruns/00b/attempts", "/applications/00a/jobruns/00b", id="attempts"),
    ],
)
def test_iam_judges_the_resource_that_a_request_names(path: str, resource: str) -> None:
    prefix = "" if resource == "*" else "arn:aws:emr-serverless:eu-west-1:000000000000:"
    assert ministack_emr.resource_arn(path, "eu-west-1", "000000000000") == prefix + resource


def test_cloudformation_makes_and_removes_an_application(emr: Emr) -> None:
    properties = {
        "Name": "assay-local",
        "ReleaseLabel": "emr-spark-8.1.0",
        "Type": "SPARK",
        "Architecture": "X86_64",
        "AutoStopConfiguration": {"Enabled": True, "IdleTimeoutMinutes": 5},
        "Tags": [{"Key": "stage", "Value": "local"}],
    }
    application, attributes = emr.api._create_resource("Application", properties, "assay-local-pipeline")
    described = emr.call("GET", f"/applications/{application}")[1]["application"]
    assert attributes == {"ApplicationId": application, "Arn": described["arn"]}
    assert described["autoStopConfiguration"] == {"enabled": True, "idleTimeoutMinutes": 5}
    assert described["tags"] == {"stage": "local"}
    job_run_id = emr.run(application, "a")
    emr.api._delete_resource(application, properties)
    assert emr.job_run(application, job_run_id)["state"] == "CANCELLED"
    assert emr.call("GET", f"/applications/{application}")[1]["application"]["state"] == "TERMINATED"


def test_a_restart_keeps_what_ended_and_cancels_what_ran(emr: Emr) -> None:
    application = emr.create()
    ended, ran = emr.run(application, "one"), emr.run(application, "two")
    emr.service.set_state(emr.service.job_run(*_found(emr, application, ended)), "SUCCESS", "4 rows")
    told = len(emr.events.details)
    kept = json.loads(json.dumps(emr.service.state()))
    again = Emr()
    again.service.restore(kept)
    assert again.job_run(application, ended) == emr.job_run(application, ended)
    cancelled = again.job_run(application, ran)
    assert (cancelled["state"], cancelled["stateDetails"]) == (
        "CANCELLED",
        "the laptop cloud was stopped while it ran",
    )
    assert again.run(application, "one") == ended  # its client token is still known
    assert (len(emr.events.details), again.events.details) == (told, [])


def _found(emr: Emr, application: str, job_run_id: str) -> tuple[Any, str]:
    return emr.service.application("000000000000", "eu-west-1", application), job_run_id
