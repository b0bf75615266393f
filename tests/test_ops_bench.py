import datetime

import pytest

from ops.bench import orchestration
from ops.executions import Step
from ops.run import Progress

START = datetime.datetime(2026, 7, 31, 6, 0, tzinfo=datetime.UTC)


def at(seconds):
    return START + datetime.timedelta(seconds=seconds)


def events(*types_and_seconds):
    """A chain of events, each after the one before."""
    return [
        {"id": number, "previousEventId": number - 1, "type": kind, "timestamp": at(second)}
        for number, (kind, second) in enumerate(types_and_seconds, 1)
    ]


HISTORY = events(
    ("ExecutionStarted", 0),
    ("TaskStateEntered", 0),
    ("TaskScheduled", 0),
    ("TaskStarted", 0),
    ("TaskFailed", 2),
    ("TaskScheduled", 3),  # a retry
    ("TaskStarted", 3),
    ("TaskSubmitted", 5),
    ("TaskSucceeded", 30),
    ("TaskStateExited", 30),
    ("ChoiceStateEntered", 30),
)


def day(*, ended, job_ended, step="check_bronze", subject="all"):
    name = "IngestSource" if step == "ingest" else "CheckBronze"
    state = Step(name=name, started=at(0), ended=at(ended), subject=subject if step == "ingest" else None)
    job = {"step": step, "subject": subject, "updated": at(job_ended)}
    return Progress(
        execution_arn="", status="SUCCEEDED", redrive_count=0, started=at(0), ended=at(ended), steps=[state],
        jobs=[job], run_id=None, output={}, failure=None, redrivable_until=None, plan=None,
    )  # fmt: skip


def test_a_retry_is_a_transition_and_a_call():
    figures = orchestration.measure([day(ended=30, job_ended=29.5)], [HISTORY])
    assert figures["transitions_a_day"][0] == 3
    assert figures["lambda_calls_a_day"][0] == 3  # two by the state, one by the job run's end
    lambda_usd = 3 * 0.2e-6 + 0.5 * (2 + 2) * 0.0000133334
    assert figures["orchestration_usd_a_day"][0] == pytest.approx(3 * 0.000025 + lambda_usd)


def test_a_handover_is_from_the_job_run_to_its_own_state():
    days = [
        day(ended=30, job_ended=29.5),
        day(ended=40, job_ended=38, step="ingest", subject="fx_rates"),
        day(ended=40, job_ended=39.9),
    ]
    figures = orchestration.measure(days, [HISTORY] * 3)
    assert figures["handover_p50"][0] == pytest.approx(0.5)
    assert figures["handover_p99"][0] == pytest.approx(2)
