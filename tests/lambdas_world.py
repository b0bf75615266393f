"""A small world for the Lambda tests, in memory: each service as it promises to be, and a process that may die."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from botocore.exceptions import ClientError
from recorded_events import recorded

from lambdas import digests
from lambdas.emr import LIVE, JobRuns
from lambdas.job_finished import finish
from lambdas.jobs import Ask
from lambdas.launching import Launcher
from lambdas.ledger import Ledger, Run
from lambdas.names import JobName
from lambdas.opening import Opening, open_run
from lambdas.receipts import Lake
from lambdas.settings import LaunchSettings
from lambdas.settling import Settler
from lambdas.store import Create, Item, Replace, Store

BUCKET = "assay-test-lake"
TABLE = "assay-test-ledger"
ACCOUNT = "000000000000"
EXECUTION = f"arn:aws:states:eu-west-1:{ACCOUNT}:execution:assay-test-daily-batch:"
ROLES = {
    actor: f"arn:aws:iam::{ACCOUNT}:role/assay-test-{actor}"
    for actor in ("ingest", "check", "silver", "publish_silver", "gold", "publish", "maintain", "restore")
}
DATABASES = ("bronze", "silver", "gold", "quality")
NOW = datetime(2026, 7, 31, 6, 0, 12, tzinfo=UTC)
SETTINGS = LaunchSettings(
    ledger_table=TABLE,
    application_id="00app",
    lake_bucket=BUCKET,
    code_bucket="assay-test-code",
    code_digest="code1",
    job_roles=ROLES,
    secret_arns={"snowflake_orders": f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:assay/test/snowflake-AbCdEf"},
    pii_key_arn=f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:assay/test/pii-key-AbCdEf",
    spark_conf={},
    fail_from={"error": "1"},
    spark_entry_key="spark/code1/main.py",
    spark_code_key="spark/code1/code.zip",
    spark_deps_key="spark/deps-1.tar.gz",
    job_timeout_minutes=60,
    lease_wait_minutes=240,
)


class Crash(BaseException):
    """The process died: nothing of ours can catch it."""


def refusal(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, operation)


class FakeEmr:
    """EMR Serverless as far as launch_job needs it: moto's has no client tokens."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.requests: list[dict[str, Any]] = []

    def start_job_run(self, **request: Any) -> dict[str, str]:
        self.requests.append(request)
        for run in self.runs.values():
            if run["clientToken"] == request["clientToken"]:
                if run["request"] != request:
                    raise refusal("ConflictException", "StartJobRun")
                return {"jobRunId": run["jobRunId"]}
        job_run_id = f"00job{len(self.runs) + 1:03d}"
        self.runs[job_run_id] = {
            "jobRunId": job_run_id,
            "name": request["name"],
            "clientToken": request["clientToken"],
            "request": request,
            "state": "SUBMITTED",
            "stateDetails": "",
        }
        return {"jobRunId": job_run_id}

    def get_job_run(self, *, applicationId: str, jobRunId: str) -> dict[str, Any]:  # noqa: N803, ARG002
        if jobRunId not in self.runs:
            raise refusal("ResourceNotFoundException", "GetJobRun")
        return {"jobRun": dict(self.runs[jobRunId])}

    def cancel_job_run(self, *, applicationId: str, jobRunId: str) -> dict[str, Any]:  # noqa: N803, ARG002
        if self.runs[jobRunId]["state"] not in LIVE:
            raise refusal("ValidationException", "CancelJobRun")
        self.runs[jobRunId]["state"] = "CANCELLING"
        return {}

    def get_paginator(self, operation: str) -> FakeEmr:
        assert operation == "list_job_runs"
        return self

    def paginate(self, *, states: list[str] | None = None, **_: Any) -> Iterator[dict[str, Any]]:
        for run in self.runs.values():  # a run a page: whoever reads the first page only is found out
            kept = states is None or run["state"] in states
            yield {"jobRuns": [{"id": run["jobRunId"], "name": run["name"], "state": run["state"]}] if kept else []}

    def live(self) -> list[str]:
        return [job_run_id for job_run_id, run in self.runs.items() if run["state"] in LIVE]


class FakeSfn:
    """Task tokens that are open until they are answered or closed, and executions with a status."""

    def __init__(self) -> None:
        self.open: set[str] = set()
        self.answers: list[tuple[str, str, dict[str, Any]]] = []
        self.executions: dict[str, dict[str, Any]] = {}

    def send_task_success(self, *, taskToken: str, output: str) -> dict[str, Any]:  # noqa: N803
        return self._answer(taskToken, "SUCCEEDED", json.loads(output))

    def send_task_failure(self, *, taskToken: str, error: str, cause: str) -> dict[str, Any]:  # noqa: N803
        return self._answer(taskToken, error, {"cause": cause})

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803
        return self.executions.get(executionArn, {"status": "RUNNING", "redriveCount": 0})

    def _answer(self, token: str, word: str, content: dict[str, Any]) -> dict[str, Any]:
        if token not in self.open:
            raise refusal("TaskTimedOut", "SendTask")
        self.open.remove(token)
        self.answers.append((token, word, content))
        return {}


class MemoryStore(Store):
    """The ledger's table; tests/test_lambdas_store.py holds it and the real one to the same promises."""

    def __init__(self) -> None:
        self._items: dict[tuple[str, str], Item] = {}

    def get(self, pk: str, sk: str) -> Item | None:
        return copy.deepcopy(self._items.get((pk, sk)))

    def items(self, pk: str, prefix: str = "") -> list[Item]:
        keys = sorted(key for key in self._items if key[0] == pk and key[1].startswith(prefix))
        return [copy.deepcopy(self._items[key]) for key in keys]

    def between(self, pk: str, first: str, last: str) -> list[Item]:
        keys = sorted(key for key in self._items if key[0] == pk and first <= key[1] <= last)
        return [copy.deepcopy(self._items[key]) for key in keys]

    def write(self, *writes: Create | Replace) -> bool:
        fresh: dict[tuple[str, str], Item] = {}
        for write in writes:
            seen = write.item if isinstance(write, Create) else write.seen
            key = (seen["pk"], seen["sk"])
            found = self._items.get(key)
            if isinstance(write, Create):
                if found is not None:
                    return False
                changed = {**write.item, "rev": 1}
            else:
                if found is None or found["rev"] != write.seen["rev"]:
                    return False
                changed = {**found, **write.changes, "rev": found["rev"] + 1}
            fresh[key] = {name: copy.deepcopy(value) for name, value in changed.items() if value is not None}
        self._items.update(fresh)
        return True


class FakeS3:
    """One bucket."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def get_object(self, *, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        if Key not in self.objects:
            raise refusal("NoSuchKey", "GetObject")
        return {"Body": io.BytesIO(self.objects[Key])}

    def put_object(self, *, Key: str, Body: bytes, IfNoneMatch: str | None = None, **_: Any) -> dict[str, Any]:  # noqa: N803
        if IfNoneMatch and Key in self.objects:
            raise refusal("PreconditionFailed", "PutObject")
        self.objects[Key] = Body
        return {}

    def head_object(self, *, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        if Key not in self.objects:
            raise refusal("404", "HeadObject")
        return {"ETag": f'"{hashlib.md5(self.objects[Key]).hexdigest()}"'}  # noqa: S324

    def get_paginator(self, operation: str) -> FakeS3:
        assert operation == "list_objects_v2"
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:  # noqa: N803, ARG002
        for key in sorted(self.objects):
            body, when = self.objects[key], datetime(2026, 7, 31, 5, tzinfo=UTC)
            landed = {"Key": key, "ETag": f'"{hashlib.md5(body).hexdigest()}"', "Size": len(body), "LastModified": when}  # noqa: S324
            yield {"Contents": [landed]} if key.startswith(Prefix) else {}


@dataclass
class Faults:
    """Die at the nth call of any client: before it is made, or after, when its answer is lost."""

    at: int = 0
    after: bool = False
    calls: list[str] = field(default_factory=list)

    def around(self, client: Any) -> Any:
        return Crashing(client, self)


class Crashing:
    """A client that dies when its faults say so."""

    def __init__(self, client: Any, faults: Faults) -> None:
        self._client = client
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        target = getattr(self._client, name)
        if name == "get_paginator":
            return target
        return lambda *args, **kwargs: self._call(name, target, *args, **kwargs)

    def _call(self, name: str, target: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        self._faults.calls.append(name)
        dies = len(self._faults.calls) == self._faults.at
        if dies and not self._faults.after:
            raise Crash(f"before {name}")
        answer = target(*args, **kwargs)
        if dies:
            raise Crash(f"after {name}")
        return answer


class World:
    """One ledger, one lake, one application, and the day's clock standing still."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.s3 = FakeS3()
        self.emr = FakeEmr()
        self.sfn = FakeSfn()
        self.ledger = Ledger(self.store)
        self.lake = Lake(cast(Any, self.s3), BUCKET)
        self._tokens = 0

    def open_run(self, data_date: str = "2026-07-30", execution: str = "day1") -> Run:
        opening = Opening(
            execution_arn=EXECUTION + execution,
            request={"data_date": data_date},
            now=NOW,
            unique=uuid.uuid5(uuid.NAMESPACE_URL, execution).hex,
            code_digest="code1",
            released=digests.released(),
            sources=("fx_rates", "snowflake_orders"),
            can_still_run=lambda _: True,
        )
        answer = open_run(self.ledger, opening)
        run = self.ledger.run(answer["run_id"])
        assert run is not None
        return run

    def open_upkeep(self, request: dict[str, Any], execution: str = "upkeep1") -> dict[str, Any]:
        """OpenRun's answer to an execution of the maintenance."""
        opening = Opening(
            execution_arn=EXECUTION + execution,
            request=request,
            workflow="maintenance",
            now=NOW,
            unique=uuid.uuid5(uuid.NAMESPACE_URL, execution).hex,
            code_digest="code1",
            released=digests.released(),
            sources=("fx_rates", "snowflake_orders"),
            can_still_run=lambda _: True,
        )
        return open_run(self.ledger, opening)

    def land(self, name: str, body: bytes = b"Date,USD,\n2026-07-30,1.1,\n") -> str:
        key = f"landing/fx/{name}"
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        return key

    def ask(self, run: Run, step: str = "ingest", subject: str = "fx_rates", **changes: Any) -> Ask:
        """An ask with a token of its own, which closes the tokens that the step had before."""
        self._tokens += 1
        token = f"token-{self._tokens}"
        self.sfn.open = {token}
        fields: dict[str, Any] = {"round": 0, "redrive_count": 0, "retry_count": 0, "receipts": (), **changes}
        return Ask(run_id=run.run_id, step=step, subject=subject, token=token, **fields)

    def launcher(
        self, faults: Faults | None = None, settings: LaunchSettings = SETTINGS, now: datetime = NOW
    ) -> Launcher:
        faults = faults or Faults()
        return Launcher(
            ledger=Ledger(faults.around(self.store)),
            lake=Lake(faults.around(self.s3), BUCKET),
            jobs=JobRuns(faults.around(self.emr), "00app"),
            sfn=faults.around(self.sfn),
            s3=cast(Any, self.s3),
            settings=settings,
            now=now,
        )

    def settler(self, faults: Faults | None = None) -> Settler:
        launcher = self.launcher(faults)
        return Settler(ledger=launcher.ledger, lake=launcher.lake, jobs=launcher.jobs, sfn=launcher.sfn)

    def end(self, job_run_id: str, state: str = "SUCCESS", **receipt: Any) -> None:
        """A job run ends as EMR tells; with a receipt when it succeeded, or when one is given."""
        run = self.emr.runs[job_run_id]
        run["state"] = state
        name = JobName.parse(run["name"])
        if state == "SUCCESS" or receipt:
            self.write_receipt(name, **receipt)

    def write_receipt(self, name: JobName, **changes: Any) -> None:
        receipt: dict[str, Any] = {
            "status": "SUCCEEDED",
            "run_id": name.run_id,
            "step": name.step,
            "subject": name.subject,
            "attempt": name.attempt,
            "round": name.round,
            "redrive_count": 0,
            "started_at": "2026-07-31T06:01:00Z",
            "ended_at": "2026-07-31T06:01:30Z",
            "tables": [
                {
                    "table": "bronze/fx_rates",
                    "version_before": None,
                    "version_after": 0,
                    "rows": 3,
                    "path": "bronze/fx_rates",
                }
            ],
            "rows": {"received": 3, "accepted": 3, "quarantined": 0},
            "verdict": None,
            "results": [],
            "published": None,
            "lineage": [],
            **changes,
        }
        self.s3.put_object(Bucket=BUCKET, Key=name.receipt_key, Body=json.dumps(receipt).encode())

    def finish(self, job_run_id: str, faults: Faults | None = None) -> str:
        settler = self.settler(faults)
        return finish(settler, settler.jobs.get(job_run_id))

    def request_of(self, job_run_id: str) -> dict[str, Any]:
        name = JobName.parse(self.emr.runs[job_run_id]["name"])
        return cast(dict[str, Any], self.lake.read(name.request_key))


def event(name: str, **detail: Any) -> dict[str, Any]:
    """A recorded event, with parts of its detail changed."""
    sent: dict[str, Any] = recorded(name)
    inner: Mapping[str, Any] = sent.get("detail", {})
    return {**sent, "detail": {**inner, **detail}} if inner else sent


def create_ledger(dynamodb: Any, name: str = TABLE) -> None:
    """The ledger's table, empty."""
    keys = {"pk": "HASH", "sk": "RANGE"}
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys.items()],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
    )


def environment(**changes: str) -> dict[str, str]:
    """The variables that the functions are deployed with, some of them changed."""
    return {
        "STAGE": "test",
        "LAKE_BUCKET": BUCKET,
        "CODE_BUCKET": "assay-test-code",
        "LEDGER_TABLE": TABLE,
        "APPLICATION_ID": "00app",
        "JOB_ROLES": json.dumps(ROLES),
        "SECRET_ARNS": "{}",
        "PII_KEY_ARN": "arn:pii-key",
        "SOURCES": '["fx_rates", "snowflake_orders"]',
        "FAIL_FROM": '{"error": "1"}',
        "SPARK_CONF": "{}",
        "SPARK_ENTRY_KEY": "spark/1/main.py",
        "SPARK_CODE_KEY": "spark/1/code.zip",
        "SPARK_DEPS_KEY": "spark/deps-1.tar.gz",
        "CODE_DIGEST": "code1",
        "JOB_TIMEOUT_MINUTES": "60",
        "LEASE_WAIT_MINUTES": "240",
        "GLUE_DATABASES": json.dumps({layer: f"assay_test_{layer}" for layer in DATABASES}),
        "NOTICE_TOPIC_ARN": f"arn:aws:sns:eu-west-1:{ACCOUNT}:assay-test-notices",
        **changes,
    }
