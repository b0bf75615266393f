"""What sources behind an HTTP API share: waiting for them, signing in anew, and errors on their way out of a task."""

import json
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest
from moto import mock_aws
from pyspark import TaskContext

from contracts.errors import (
    ContractViolationError,
    InvalidRequestError,
    SourceFailedError,
    SourceUnavailableError,
)
from ops.workflow_lint import SUBSTITUTIONS, lint
from spark_jobs.sources.credentials import CredentialsRefusedError
from spark_jobs.sources.rest import (
    PATIENCE,
    Patience,
    SignedIn,
    TemporaryError,
    error_of_status,
    page_with,
    patiently,
    seconds_to_wait,
    told_by_a_task,
    told_to_the_driver,
)

ROOT = Path(__file__).parents[1]
SHORT = Patience(seconds=1, first_wait_seconds=0.01, longest_wait_seconds=0.02, attempts=4)


def answers(*given):
    """A function that gives or raises one of these a call, the last one for ever."""
    left = list(given)

    def answer(*_):
        answer.calls += 1
        each = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(each, Exception):
            raise each
        return each

    answer.calls = 0
    return answer


@pytest.fixture
def secret_arn(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        client = boto3.client("secretsmanager")
        yield client.create_secret(Name="system", SecretString='{"password": "one"}')["ARN"]


def test_a_source_that_comes_back_is_waited_for():
    ask = answers(TemporaryError("status 503"), TemporaryError("status 429", retry_after_seconds=0.01), "page")
    assert patiently("deals", ask, SHORT) == "page"
    assert ask.calls == 3


def test_a_source_that_stays_away_has_failed_and_the_error_says_what_to_do():
    with pytest.raises(SourceFailedError, match="deals: asked 4 times, the last answer was status 503; redrive"):
        patiently("deals", answers(TemporaryError("status 503")), SHORT)


def test_a_wait_that_outlasts_the_patience_is_not_begun():
    ask = answers(TemporaryError("status 429", retry_after_seconds=3600))
    with pytest.raises(SourceFailedError, match=r"asked once, .* asks to wait 3600 s"):
        patiently("deals", ask, SHORT)


def test_what_the_reader_has_waited_for_no_state_retries():
    """A source that is down costs one patience before a person is told, not one a retry of the state."""
    for path in sorted((ROOT / "state_machines").glob("*.asl.json")):
        assert "SourceFailedError" not in path.read_text(), path.name
    retried = lint_retrier("SourceFailedError")
    assert [finding.rule for finding in retried] == ["retry"], "the lint refuses such a retrier"


def lint_retrier(error):
    """What the lint says of the ingest's state with one more retrier."""
    definition = json.loads((ROOT / "state_machines" / "daily_batch.asl.json").read_text())
    ingest = definition["States"]["IngestSources"]["ItemProcessor"]["States"]["IngestSource"]
    ingest["Retry"].append({"ErrorEquals": [error], "MaxAttempts": 1})
    found = lint(definition, file="x", substitutions=SUBSTITUTIONS["daily_batch.asl.json"])
    return [each for each in found if each.state == "IngestSource"]


def test_a_task_that_spark_tries_again_has_little_patience_left(secret_arn, monkeypatch):
    context = TaskContext._getOrCreate()
    try:
        for attempt, seconds in ((0, 300), (1, 30), (3, 30)):
            monkeypatch.setattr(context, "_attemptNumber", attempt, raising=False)
            assert SignedIn("deals", secret_arn, dict, PATIENCE)._patience.seconds == seconds
    finally:
        TaskContext._setTaskContext(None)


def test_an_error_that_will_not_pass_is_not_repeated():
    ask = answers(SourceUnavailableError("gone"))
    with pytest.raises(SourceUnavailableError, match="gone"):
        patiently("deals", ask, SHORT)
    assert ask.calls == 1


def test_a_session_that_ends_is_renewed_with_the_secret_as_it_is_then(secret_arn):
    seen = []
    session = SignedIn("deals", secret_arn, lambda secret: seen.append(secret["password"]) or "client", SHORT)
    assert session.ask(answers("first")) == "first"
    boto3.client("secretsmanager").put_secret_value(SecretId=secret_arn, SecretString='{"password": "two"}')
    assert session.ask(answers(CredentialsRefusedError("expired"), "second")) == "second"
    assert seen == ["one", "two"]


def test_a_user_refused_again_after_a_new_sign_in_makes_the_source_unavailable(secret_arn):
    session = SignedIn("deals", secret_arn, lambda _: "client", SHORT)
    session.ask(answers("first"))
    with pytest.raises(SourceFailedError, match="deals: no rights, and again after a new sign-in") as refused:
        session.ask(answers(CredentialsRefusedError("no rights")))
    assert "one" not in str(refused.value).split()


def test_without_a_secret_nothing_is_asked():
    with pytest.raises(InvalidRequestError, match="names no secret"):
        SignedIn("deals", None, answers("client"), SHORT).ask(answers("page"))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        pytest.param(401, CredentialsRefusedError, id="unauthorised"),
        pytest.param(429, TemporaryError, id="too-many-requests"),
        pytest.param(503, TemporaryError, id="down"),
        pytest.param(400, SourceFailedError, id="bad-request"),
        pytest.param(403, SourceFailedError, id="forbidden"),
    ],
)
def test_a_status_says_whether_to_ask_again(status, error):
    assert type(error_of_status("Deals", status, code="WHY")) is error
    assert "WHY" in str(error_of_status("Deals", status, code="WHY"))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        pytest.param(None, None, id="none"),
        pytest.param("7", 7.0, id="seconds"),
        pytest.param("Wed, 29 Jul 2026 00:01:30 GMT", 90.0, id="date"),
        pytest.param("Tue, 28 Jul 2026 00:00:00 GMT", 0.0, id="date-gone-by"),
        pytest.param("soon", None, id="neither"),
        pytest.param("nan", None, id="not-a-number"),
    ],
)
def test_retry_after_is_seconds_or_a_date(header, seconds):
    assert seconds_to_wait(header, now=datetime(2026, 7, 29, tzinfo=UTC)) == seconds


def test_a_page_of_another_shape_is_asked_for_again():
    assert page_with({"records": []}, records=list) == {"records": []}
    for page in ([], {"records": None}, {}):
        with pytest.raises(TemporaryError, match="a page"):
            page_with(page, records=list)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(SourceUnavailableError('down: {"a": "}"} \n assay-end'), id="unavailable"),
        pytest.param(ContractViolationError("deals", "1-0-0", "amount", "type", "line 1"), id="violation"),
    ],
)
def test_an_error_passes_through_the_text_of_a_traceback_as_itself(error):
    def task():
        with told_to_the_driver():
            yield 1
            raise error

    with pytest.raises(RuntimeError) as raised:
        list(task())
    told = told_by_a_task(Exception(f"Traceback\n  RuntimeError: {raised.value}\n\tat org.apache.spark"))
    assert (type(told), str(told)) == (type(error), str(error))
    assert raised.value.__suppress_context__


def test_another_failure_of_spark_tells_nothing():
    assert told_by_a_task(Exception("Job aborted due to stage failure")) is None
