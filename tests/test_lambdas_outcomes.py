from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lambdas_world import World, event

from contracts.errors import InvalidRequestError
from lambdas.emr import JobRun
from lambdas.names import JobName
from lambdas.outcomes import Outcome, outcome_of
from lambdas.payloads import encoded

RUN_ID = "20260731T060012Z-" + "0" * 32
NAME = JobName(run_id=RUN_ID, step="ingest", subject="fx_rates", round=0, attempt=2)
SAID = {"run_id": RUN_ID, "step": "ingest", "subject": "fx_rates", "attempt": 2}


@pytest.mark.parametrize(
    ("state", "receipt", "expected"),
    [
        pytest.param("SUCCESS", {**SAID, "status": "SUCCEEDED"}, (None, None), id="success"),
        pytest.param("SUCCESS", None, ("ReceiptMissingError", "holds no receipt"), id="success-without-receipt"),
        pytest.param(
            "SUCCESS",
            {**SAID, "attempt": 1, "status": "SUCCEEDED"},
            ("ReceiptMissingError", "holds no receipt"),
            id="success-with-the-receipt-of-another-attempt",
        ),
        pytest.param(
            "SUCCESS",
            {**SAID, "status": "FAILED"},
            ("ReceiptMissingError", "holds no receipt"),
            id="success-that-says-failed",
        ),
        pytest.param(
            "FAILED",
            {
                **SAID,
                "status": "FAILED",
                "error": "ContractViolationError",
                "cause": "fx_rates_bronze 1-0-0: column USD",
            },
            ("ContractViolationError", "fx_rates_bronze 1-0-0: column USD"),
            id="failure-that-names-its-error",
        ),
        pytest.param(
            "FAILED",
            {**SAID, "status": "FAILED", "error": "KeyError", "cause": "x"},
            ("SparkJobFailedError", "KeyError"),
            id="failure-by-an-unknown-error",
        ),
        pytest.param(
            "FAILED",
            {**SAID, "status": "FAILED", "error": "AssayError", "cause": "x"},
            ("SparkJobFailedError", "AssayError"),
            id="failure-by-the-root-of-all-errors",
        ),
        pytest.param("FAILED", None, ("SparkJobFailedError", "OutOfMemoryError"), id="killed"),
        pytest.param("CANCELLED", None, ("SparkJobFailedError", "ended CANCELLED"), id="cancelled"),
        pytest.param("LOST", None, ("SparkJobFailedError", "ended LOST"), id="unknown-to-emr"),
        pytest.param(
            "FAILED",
            {**SAID, "status": "SUCCEEDED"},
            ("SparkJobFailedError", "left no receipt"),
            id="killed-after-its-receipt",
        ),
    ],
)
def test_outcome_of_a_job_run(
    state: str, receipt: dict[str, Any] | None, expected: tuple[str | None, str | None]
) -> None:
    job = JobRun(job_run_id="00job", name=str(NAME), state=state, details="x" * 600 + " OutOfMemoryError")
    outcome = outcome_of(NAME, job, receipt)
    error, words = expected
    assert outcome.error == error
    assert outcome.status == ("FAILED" if error else "SUCCEEDED")
    assert (words or "") in (outcome.cause or "")
    assert len(outcome.cause or "") <= 2_000


@pytest.mark.parametrize(
    "name",
    [
        "some other job",
        f"{RUN_ID}:ingest:fx_rates:0",
        f"{RUN_ID}:ingest:fx_rates:0:1:2",
        f"{RUN_ID}:ingest:../secrets:0:1",
        f"{RUN_ID}:drop_table:all:0:1",
        f"{RUN_ID}:ingest:fx_rates:-1:1",
        f"{RUN_ID}:ingest:fx_rates:0:1²",
        f"{RUN_ID}:ingest:fx_rates:0:٣",
        "20260731T060012Z-nothex:ingest:fx_rates:0:1",
        f"{RUN_ID}:ingest:Fx_Rates:0:1",
    ],
)
def test_name_of_a_foreign_job_run_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequestError):
        JobName.parse(name)


def test_name_goes_there_and_back() -> None:
    assert JobName.parse(str(NAME)) == NAME
    assert str(NAME) == f"{RUN_ID}:ingest:fx_rates:0:2"


def test_client_token_differs_by_attempt_and_fits() -> None:
    tokens = {
        JobName(run_id=RUN_ID, step="ingest", subject="fx_rates", round=0, attempt=n).client_token for n in (1, 2, 3)
    }
    assert len(tokens) == 3
    assert all(len(token) == 64 for token in tokens)


@pytest.mark.parametrize("size_bytes", [262_143, 262_144, 262_145])
def test_payload_over_the_limit_is_refused_before_it_is_sent(size_bytes: int) -> None:
    payload = {"a": "x" * (size_bytes - len('{"a":""}'))}
    if size_bytes > 262_144:
        with pytest.raises(InvalidRequestError, match="262145 bytes is over 262144"):
            encoded(payload)
    else:
        assert len(encoded(payload)) == size_bytes


def started(**asked: Any) -> World:
    w = World()
    w.launcher().ensure(w.ask(w.open_run(), **asked))
    return w


def test_event_of_a_live_job_run_changes_nothing() -> None:
    w = started()
    w.emr.runs["00job001"]["state"] = "RUNNING"
    assert w.finish("00job001") == "LIVE"
    assert w.sfn.answers == []


def test_foreign_job_runs_are_left_alone() -> None:
    w = started()
    w.emr.runs["00job001"].update(name="somebody else's", state="FAILED")
    assert w.finish("00job001") == "FOREIGN"
    assert w.sfn.answers == []


def test_job_run_without_a_record_is_left_alone() -> None:
    w = started()
    w.emr.runs["00job001"].update(name=str(NAME), state="FAILED")
    assert w.finish("00job001") == "FOREIGN"


def test_late_event_of_an_older_attempt_does_not_answer_the_new_token() -> None:
    w = World()
    run = w.open_run()
    w.launcher().ensure(w.ask(run))
    w.end("00job001", "FAILED")
    w.finish("00job001")
    w.launcher().ensure(w.ask(run, retry_count=1))
    assert w.finish("00job001") == "SUPERSEDED"
    assert [(token, word) for token, word, _ in w.sfn.answers] == [("token-1", "SparkJobFailedError")]
    assert w.sfn.open == {"token-2"}


def test_twin_of_a_job_run_is_not_believed() -> None:
    w = started()
    twin = {**w.emr.runs["00job001"], "jobRunId": "00twin", "clientToken": "another"}
    w.emr.runs["00twin"] = twin
    w.end("00twin", "FAILED")
    assert w.finish("00twin") == "SUPERSEDED"
    assert w.sfn.answers == []


def test_answer_to_a_task_that_is_over_is_no_error() -> None:
    w = started()
    w.end("00job001")
    w.sfn.open.clear()
    assert w.finish("00job001") == "ANSWERED"
    assert w.sfn.answers == []


def test_output_for_the_state_machine_is_small_and_complete() -> None:
    w = started()
    w.end("00job001", verdict="PASS", results=[{"dataset": "x" * 500}] * 1_000)
    w.finish("00job001")
    assert w.sfn.answers[0][2] == {
        "step": "ingest",
        "subject": "fx_rates",
        "receipt": w.request_of("00job001")["receipt_key"],
        "attempt": 1,
        "round": 0,
        "verdict": "PASS",
        "verdict_redrive_count": 0,
        "published": None,
        "rows": {"received": 3, "accepted": 3, "quarantined": 0},
        "tables": {"bronze/fx_rates": 3},
    }


def test_recorded_event_names_the_job_run_where_job_finished_looks() -> None:
    assert event("emr_job_run_state_change")["detail"]["jobRunId"] == "00job001"


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.sampled_from(["event1", "event2", "event3", "retry", "end"]), max_size=25),
    st.lists(st.sampled_from(["SUCCESS", "FAILED", "CANCELLED"]), min_size=3, max_size=3),
)
def test_events_in_any_order_and_number_answer_each_token_once(moves: list[str], ends: list[str]) -> None:
    """Whatever is delivered, retried and lost: one live job run at a time, each token answered by its own attempt."""
    w = World()
    run = w.open_run()
    asks = 0
    w.launcher().ensure(w.ask(run))
    for move in [*moves, "end", "retry", "end", "retry", "end", "retry", "event3"]:
        if move == "retry" and w.sfn.open and asks < 50:
            asks += 1  # the task missed its heartbeat
            w.launcher().ensure(w.ask(run, retry_count=asks))
        elif move == "retry" and w.sfn.answers[-1][1] == "SparkJobFailedError" and len(w.emr.runs) < 3:
            asks += 1  # the retrier for a failed job run
            w.launcher().ensure(w.ask(run, retry_count=asks))
        elif move == "end" and w.emr.live():
            job_run_id = w.emr.live()[0]
            w.end(job_run_id, ends[len(w.emr.runs) - 1])
        elif move.startswith("event") and f"00job00{move[-1]}" in w.emr.runs:
            w.finish(f"00job00{move[-1]}")
        assert len(w.emr.live()) <= 1
    tokens = [token for token, _, _ in w.sfn.answers]
    assert len(tokens) == len(set(tokens))
    words = [word for _, word, _ in w.sfn.answers]
    told = [
        ends[index] for index in range(len(w.emr.runs)) if w.emr.runs[f"00job00{index + 1}"]["state"] != "SUBMITTED"
    ]
    assert words == ["SUCCEEDED" if end == "SUCCESS" else "SparkJobFailedError" for end in told][: len(words)]
    assert words.count("SUCCEEDED") <= 1


def test_failed_outcome_without_words_is_still_an_error_name() -> None:
    from lambdas.outcomes import answer_failure

    w = World()
    w.sfn.open = {"t"}
    assert answer_failure(w.launcher().sfn, "t", Outcome(status="FAILED"))
    assert w.sfn.answers == [("t", "SparkJobFailedError", {"cause": ""})]
