import dataclasses
from typing import Any

import pytest
from lambdas_world import EXECUTION, SETTINGS, Crash, Faults, World

from contracts import contract as contracts
from contracts.errors import BreakingContractChangeError, InvalidRequestError, LeaseHeldError
from lambdas.jobs import Ask, Next, Work, decide
from lambdas.ledger import Run, Step

TODAY = Work(code_digest="code1", contracts_digest="contracts1")
RUN_ID = "20260731T060012Z-" + "0" * 32


@pytest.fixture
def w() -> World:
    return World()


@pytest.fixture
def run(w: World) -> Run:
    return w.open_run()


def step(**changes: Any) -> Step:
    fields: dict[str, Any] = {
        "run_id": RUN_ID,
        "step": "check_bronze",
        "subject": "all",
        "round": 1,
        "attempt": 2,
        "status": "RUNNING",
        "token": "mine",
        "token_order": "000000.000001.000000",
        "redrive_count": 0,
        "code_digest": "code1",
        "contracts_digest": "contracts1",
        "job_run_id": "00job001",
    }
    return Step(**{**fields, **changes})


def ask(**changes: Any) -> Ask:
    fields: dict[str, Any] = {
        "run_id": RUN_ID,
        "step": "check_bronze",
        "subject": "all",
        "round": 1,
        "redrive_count": 0,
        "retry_count": 0,
        "token": "mine",
        "receipts": (),
    }
    return Ask(**{**fields, **changes})


@pytest.mark.parametrize(
    ("record", "asked", "job_state", "expected"),
    [
        pytest.param(None, ask(), None, Next.BEGIN, id="never-asked"),
        pytest.param(step(status="SUCCEEDED"), ask(), None, Next.ANSWER, id="succeeded-in-this-round"),
        pytest.param(step(status="SUCCEEDED", round=0), ask(), None, Next.RENEW, id="succeeded-in-an-older-round"),
        pytest.param(step(status="FAILED"), ask(), None, Next.RENEW, id="failed"),
        pytest.param(step(status="FAILED", round=0), ask(), None, Next.RENEW, id="failed-in-an-older-round"),
        pytest.param(step(status="STARTING"), ask(), None, Next.START, id="intent-without-a-job-run"),
        pytest.param(step(status="STARTING"), ask(token="new"), None, Next.KEEP_TOKEN, id="intent-with-an-older-token"),
        pytest.param(step(status="STARTING", round=0), ask(), None, Next.FIND, id="intent-of-an-older-round"),
        pytest.param(step(), ask(), "RUNNING", Next.ADOPT, id="live-with-this-token"),
        pytest.param(step(), ask(token="new"), "RUNNING", Next.KEEP_TOKEN, id="live-with-an-older-token"),
        pytest.param(step(), ask(token="new", retry_count=3), "SUBMITTED", Next.KEEP_TOKEN, id="heartbeat-missed"),
        pytest.param(step(), ask(), "SUCCESS", Next.SETTLE, id="ended-well-and-nobody-told"),
        pytest.param(step(), ask(token="new"), "FAILED", Next.SETTLE, id="ended-badly-and-nobody-told"),
        pytest.param(step(), ask(), "CANCELLED", Next.SETTLE, id="cancelled-and-nobody-told"),
        pytest.param(step(), ask(), "LOST", Next.SETTLE, id="unknown-to-emr"),
        pytest.param(step(), ask(token="new"), "CANCELLING", Next.WAIT, id="cancelling-is-not-over"),
        pytest.param(step(round=0), ask(), "RUNNING", Next.WAIT, id="older-round-still-alive"),
        pytest.param(step(token_order="000001.000001.000000"), ask(), "RUNNING", Next.IGNORE, id="ask-of-the-past"),
        pytest.param(
            step(code_digest="code0"),
            ask(token="new", retry_count=1),
            "RUNNING",
            Next.KEEP_TOKEN,
            id="deployed-between-heartbeats",
        ),
        pytest.param(
            step(code_digest="code0"),
            ask(token="new", redrive_count=1),
            "RUNNING",
            Next.CANCEL,
            id="redriven-with-new-code",
        ),
        pytest.param(
            step(), ask(token="new", redrive_count=1), "RUNNING", Next.KEEP_TOKEN, id="redriven-with-the-same-code"
        ),
    ],
)
def test_next_thing_to_do(record: Step | None, asked: Ask, job_state: str | None, expected: Next) -> None:
    is_live = job_state in {"SUBMITTED", "RUNNING", "CANCELLING"}
    assert decide(record, asked, job_state, is_live, TODAY) is expected


def test_first_ask_starts_one_job_run_with_all_it_needs(w: World, run: Run) -> None:
    w.land("eurofxref-2026-07-30.csv")
    assert w.launcher().ensure(w.ask(run)) == "START"
    request = w.emr.requests[0]
    assert request["name"] == f"{run.run_id}:ingest:fx_rates:0:1"
    assert len(request["clientToken"]) == 64
    assert request["executionRoleArn"] == "arn:aws:iam::000000000000:role/assay-test-ingest"
    assert request["executionTimeoutMinutes"] == 60
    submit = request["jobDriver"]["sparkSubmit"]
    assert submit["entryPoint"] == "s3://assay-test-code/spark/code1/main.py"
    assert submit["entryPointArguments"] == [
        "--request",
        f"s3://assay-test-lake/requests/{run.run_id}/ingest/fx_rates/1.json",
    ]
    job = w.request_of("00job001")
    assert job["interval"] == {"start": None, "end": "2026-07-31T00:00:00Z"}
    assert job["receipt_key"] == f"runs/{run.run_id}/ingest/fx_rates/1.json"
    assert [file["key"] for file in job["inputs"]["files"]] == ["landing/fx/eurofxref-2026-07-30.csv"]
    assert job["secret_arn"] is None


def test_database_source_gets_its_secret_and_no_files(w: World, run: Run) -> None:
    w.launcher().ensure(w.ask(run, subject="snowflake_orders"))
    job = w.request_of("00job001")
    assert job["secret_arn"].endswith("assay/test/snowflake-AbCdEf")
    assert job["inputs"] == {"receipts": [], "files": []}


def test_later_step_gets_receipts_and_no_secret(w: World, run: Run) -> None:
    receipts = (f"runs/{run.run_id}/ingest/fx_rates/1.json",)
    w.launcher().ensure(w.ask(run, step="check_bronze", subject="all", receipts=receipts))
    job = w.request_of("00job001")
    assert job["inputs"]["receipts"] == list(receipts)
    assert job["secret_arn"] is None
    assert w.emr.requests[0]["executionRoleArn"].endswith("assay-test-check")


def test_the_step_that_makes_silver_gets_the_key_of_tokens_by_its_address(w: World, run: Run) -> None:
    receipts = (f"runs/{run.run_id}/ingest/fx_rates/1.json",)
    w.launcher().ensure(w.ask(run, step="bronze_to_silver", subject="all", receipts=receipts))
    assert w.request_of("00job001")["secret_arn"].endswith("assay/test/pii-key-AbCdEf")


@pytest.mark.parametrize(
    "receipt",
    [
        pytest.param("runs/20260101T000000Z-" + "a" * 32 + "/ingest/fx_rates/1.json", id="another-runs"),
        pytest.param("landing/fx/eurofxref.csv", id="not-a-receipt"),
    ],
)
def test_receipt_of_another_run_is_refused(w: World, run: Run, receipt: str) -> None:
    with pytest.raises(InvalidRequestError, match="is not of run"):
        w.launcher().ensure(w.ask(run, step="check_bronze", subject="all", receipts=(receipt,)))
    assert w.emr.runs == {}


def test_heartbeat_retry_adopts_the_live_job_run(w: World, run: Run) -> None:
    w.launcher().ensure(w.ask(run))
    assert w.launcher().ensure(w.ask(run, retry_count=1)) == "ADOPT"
    w.end("00job001")
    assert w.finish("00job001") == "ANSWERED"
    assert [(token, word) for token, word, _ in w.sfn.answers] == [("token-2", "SUCCEEDED")]
    assert list(w.emr.runs) == ["00job001"]


def test_lost_callback_is_answered_from_the_receipt(w: World, run: Run) -> None:
    w.launcher().ensure(w.ask(run))
    w.end("00job001")
    assert w.launcher().ensure(w.ask(run, retry_count=1)) == "ANSWER"
    token, word, output = w.sfn.answers[0]
    assert (token, word) == ("token-2", "SUCCEEDED")
    assert output["tables"] == {"bronze/fx_rates": 3}
    assert list(w.emr.runs) == ["00job001"]


def test_lost_callback_of_a_failure_tells_its_error_and_starts_nothing(w: World, run: Run) -> None:
    w.launcher().ensure(w.ask(run))
    w.end("00job001", "FAILED", status="FAILED", error="ContractViolationError", cause="fx_rates_bronze 1-0-0: USD")
    assert w.launcher().ensure(w.ask(run, retry_count=1)) == "SETTLE"
    assert w.sfn.answers == [("token-2", "ContractViolationError", {"cause": "fx_rates_bronze 1-0-0: USD"})]
    assert list(w.emr.runs) == ["00job001"]


def test_redrive_after_an_untold_failure_starts_a_new_attempt_at_once(w: World, run: Run) -> None:
    w.launcher().ensure(w.ask(run))
    w.end("00job001", "FAILED", status="FAILED", error="ContractViolationError", cause="bad")
    assert w.launcher().ensure(w.ask(run, redrive_count=1)) == "START"
    assert w.sfn.answers == []
    assert w.emr.runs["00job002"]["name"].endswith(":ingest:fx_rates:0:2")


def test_attempts_count_across_retries_rounds_and_redrives(w: World, run: Run) -> None:
    w.launcher().ensure(w.ask(run))
    w.end("00job001", "FAILED")
    w.finish("00job001")
    w.launcher().ensure(w.ask(run, retry_count=1))
    w.end("00job002")
    w.finish("00job002")
    w.launcher().ensure(w.ask(run, round=1, redrive_count=1))
    assert [each["name"].split(":", 2)[2] for each in w.emr.runs.values()] == [
        "fx_rates:0:1",
        "fx_rates:0:2",
        "fx_rates:1:3",
    ]
    assert w.request_of("00job003")["redrive_count"] == 1


def test_corrected_file_is_taken_by_the_next_attempt(w: World, run: Run) -> None:
    w.land("eurofxref-2026-07-30.csv", b"bad")
    w.land("eurofxref-gone.csv", b"bad too")
    w.launcher().ensure(w.ask(run))
    w.end("00job001", "FAILED")
    w.finish("00job001")
    w.land("eurofxref-2026-07-30.csv", b"good")
    del w.s3.objects["landing/fx/eurofxref-gone.csv"]
    w.launcher().ensure(w.ask(run, redrive_count=1))
    first, second = w.request_of("00job001"), w.request_of("00job002")
    assert [file["key"] for file in second["inputs"]["files"]] == ["landing/fx/eurofxref-2026-07-30.csv"]
    assert first["input_digest"] != second["input_digest"]


def test_unchanged_files_keep_their_digest_in_a_new_round(w: World, run: Run) -> None:
    w.land("eurofxref-2026-07-30.csv")
    w.launcher().ensure(w.ask(run))
    w.end("00job001")
    w.finish("00job001")
    w.launcher().ensure(w.ask(run, round=1, redrive_count=1))
    assert w.request_of("00job001")["input_digest"] == w.request_of("00job002")["input_digest"]


def test_database_is_read_again_in_a_new_round(w: World, run: Run) -> None:
    w.launcher().ensure(w.ask(run, subject="snowflake_orders"))
    w.end("00job001")
    w.finish("00job001")
    w.launcher().ensure(w.ask(run, subject="snowflake_orders", round=1, redrive_count=1))
    assert w.request_of("00job001")["input_digest"] != w.request_of("00job002")["input_digest"]


def test_redrive_with_new_code_cancels_the_live_job_run_and_waits_for_its_end(w: World, run: Run) -> None:
    w.launcher().ensure(w.ask(run))
    newer = dataclasses.replace(SETTINGS, code_digest="code2")
    with pytest.raises(LeaseHeldError, match="replaced code"):
        w.launcher(settings=newer).ensure(w.ask(run, redrive_count=1))
    assert w.emr.runs["00job001"]["state"] == "CANCELLING"
    with pytest.raises(LeaseHeldError, match="CANCELLING"):
        w.launcher(settings=newer).ensure(w.ask(run, redrive_count=1, retry_count=1))
    w.end("00job001", "CANCELLED")
    assert w.launcher(settings=newer).ensure(w.ask(run, redrive_count=1, retry_count=2)) == "START"
    assert w.request_of("00job002")["code_digest"] == "code2"
    changes = w.store.items(f"run#{run.run_id}", "change#")
    assert [change["code_digest"] for change in changes] == ["code2"]


def test_breaking_contract_change_starts_nothing(w: World, run: Run) -> None:
    pinned = {**run.schemas, "fx_rates_bronze": ["1-0-0", "another row schema"]}
    assert w.ledger.change(run, schemas=pinned, contracts_digest="another")
    with pytest.raises(BreakingContractChangeError, match="fx_rates_bronze 1-0-0: was altered in place"):
        w.launcher().ensure(w.ask(run))
    assert w.emr.runs == {}


def test_deployment_between_a_lost_answer_and_its_retry_adopts(first_calls: list[str], w: World, run: Run) -> None:
    crash_around_start(w, run, first_calls, after=True)
    newer = dataclasses.replace(SETTINGS, code_digest="code2", spark_code_key="spark/code2/code.zip")
    assert w.launcher(settings=newer).ensure(w.ask(run, retry_count=1)) == "START"
    assert list(w.emr.runs) == ["00job001"]
    assert w.ledger.step(run.run_id, "ingest", "fx_rates").job_run_id == "00job001"  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def first_calls() -> list[str]:
    """The calls that a first ask makes, in order."""
    one = World()
    run = one.open_run()
    one.land("eurofxref-2026-07-30.csv")
    faults = Faults()
    one.launcher(faults).ensure(one.ask(run))
    return faults.calls


@pytest.mark.parametrize("after", [pytest.param(False, id="before"), pytest.param(True, id="after")])
def test_crash_at_any_call_leaves_exactly_one_job_run_after_a_retry(first_calls: list[str], after: bool) -> None:
    assert "start_job_run" in first_calls
    for at in range(1, len(first_calls) + 1):
        one = World()
        run = one.open_run()
        one.land("eurofxref-2026-07-30.csv")
        with pytest.raises(Crash):
            one.launcher(Faults(at=at, after=after)).ensure(one.ask(run))
        one.launcher().ensure(one.ask(run, retry_count=1))
        assert list(one.emr.runs) == ["00job001"], f"call {at}, {first_calls[at - 1]}"
        one.end("00job001")
        assert one.finish("00job001") == "ANSWERED"
        assert [(token, word) for token, word, _ in one.sfn.answers] == [("token-2", "SUCCEEDED")]
        lease = one.ledger.lease("bronze/fx_rates")
        assert lease is not None
        assert not lease.held


@pytest.mark.parametrize("after", [pytest.param(False, id="before"), pytest.param(True, id="after")])
def test_crash_of_job_finished_at_any_call_is_made_good_by_the_next_event_or_heartbeat(after: bool) -> None:
    one = World()
    run = one.open_run()
    one.launcher().ensure(one.ask(run))
    one.end("00job001")
    faults = Faults()
    one.finish("00job001", faults)
    for at in range(1, len(faults.calls) + 1):
        for again in ("event", "heartbeat"):
            one = World()
            run = one.open_run()
            one.launcher().ensure(one.ask(run))
            one.end("00job001")
            with pytest.raises(Crash):
                one.finish("00job001", Faults(at=at, after=after))
            if again == "event":
                one.finish("00job001")
            elif not one.sfn.answers:
                one.launcher().ensure(one.ask(run, retry_count=1))
            assert [word for _, word, _ in one.sfn.answers] == ["SUCCEEDED"]
            assert list(one.emr.runs) == ["00job001"]


def test_late_event_does_not_give_an_old_job_run_to_the_intent_of_a_new_attempt(
    first_calls: list[str], w: World, run: Run
) -> None:
    w.launcher().ensure(w.ask(run))
    w.end("00job001", "FAILED")
    w.finish("00job001")
    with pytest.raises(Crash):
        w.launcher(Faults(at=first_calls.index("start_job_run"))).ensure(w.ask(run, retry_count=1))
    intent = w.ledger.step(run.run_id, "ingest", "fx_rates")
    assert intent is not None
    assert (intent.attempt, intent.status, intent.job_run_id) == (2, "STARTING", None)
    assert w.finish("00job001") == "SUPERSEDED"
    assert w.ledger.step(run.run_id, "ingest", "fx_rates") == intent


def test_request_that_a_job_may_have_read_never_changes(first_calls: list[str], w: World, run: Run) -> None:
    crash_around_start(w, run, first_calls, after=False)
    w.land("eurofxref-later.csv")
    w.launcher().ensure(w.ask(run, retry_count=1))
    request = w.request_of("00job001")
    assert [file["key"] for file in request["inputs"]["files"]] == ["landing/fx/eurofxref-2026-07-30.csv"]
    record = w.ledger.step(run.run_id, "ingest", "fx_rates")
    assert record is not None
    assert record.input_digest == request["input_digest"]


def test_intent_of_an_older_round_is_given_up_when_it_has_no_job_run(
    first_calls: list[str], w: World, run: Run
) -> None:
    crash_around_start(w, run, first_calls, after=False)
    assert w.launcher().ensure(w.ask(run, round=1, redrive_count=1)) == "START"
    assert [each["name"][-13:] for each in w.emr.runs.values()] == [":fx_rates:1:2"]


def test_job_run_of_an_older_round_is_waited_for(first_calls: list[str], w: World, run: Run) -> None:
    crash_around_start(w, run, first_calls, after=True)
    with pytest.raises(LeaseHeldError, match="waits for its end"):
        w.launcher().ensure(w.ask(run, round=1, redrive_count=1))
    w.end("00job001")
    assert w.launcher().ensure(w.ask(run, round=1, redrive_count=1, retry_count=1)) == "START"
    assert w.sfn.answers == []


def test_receipt_that_is_gone_is_written_by_a_new_attempt(w: World, run: Run) -> None:
    w.launcher().ensure(w.ask(run))
    w.end("00job001")
    w.finish("00job001")
    del w.s3.objects[w.request_of("00job001")["receipt_key"]]
    assert w.launcher().ensure(w.ask(run, retry_count=1)) == "START"
    assert len(w.emr.runs) == 2


def test_job_run_that_emr_no_longer_knows_counts_as_failed(w: World, run: Run) -> None:
    w.launcher().ensure(w.ask(run))
    w.emr.runs.clear()
    assert w.launcher().ensure(w.ask(run, retry_count=1)) == "SETTLE"
    assert [word for _, word, _ in w.sfn.answers] == ["SparkJobFailedError"]


def test_ask_left_over_from_before_a_redrive_changes_nothing(w: World, run: Run) -> None:
    stale = w.ask(run)
    w.launcher().ensure(w.ask(run, redrive_count=1))
    assert w.launcher().ensure(stale) == "IGNORE"
    assert w.ledger.step(run.run_id, "ingest", "fx_rates").token == "token-2"  # type: ignore[union-attr]


def test_attempt_given_up_by_another_run_while_it_started_is_cancelled(w: World, run: Run) -> None:
    launcher = w.launcher()
    start = w.emr.start_job_run

    def give_up_meanwhile(**request: Any) -> dict[str, str]:
        record = w.ledger.step(run.run_id, "ingest", "fx_rates")
        assert record is not None
        assert w.ledger.change(record, status="FAILED", error="SparkJobFailedError")
        return start(**request)

    w.emr.start_job_run = give_up_meanwhile  # type: ignore[method-assign]
    with pytest.raises(LeaseHeldError, match="given up while it started"):
        launcher.ensure(w.ask(run))
    assert w.emr.runs["00job001"]["state"] == "CANCELLING"


def test_run_that_is_not_in_the_ledger_is_refused(w: World, run: Run) -> None:
    stranger = dataclasses.replace(run, run_id=RUN_ID)
    with pytest.raises(InvalidRequestError, match="is not in the ledger"):
        w.launcher().ensure(w.ask(stranger))


def test_second_execution_waits_for_the_writer_of_the_same_table(w: World, run: Run) -> None:
    second = w.open_run("2026-07-31", "day2")
    w.launcher().ensure(w.ask(run))
    with pytest.raises(LeaseHeldError, match=f"bronze/fx_rates is written by run {run.run_id}.*00job001"):
        w.launcher().ensure(w.ask(second))
    w.emr.runs["00job001"]["state"] = "CANCELLING"
    with pytest.raises(LeaseHeldError):
        w.launcher().ensure(w.ask(second, retry_count=1))
    w.end("00job001", "CANCELLED")
    assert w.launcher().ensure(w.ask(second, retry_count=2)) == "START"
    lease = w.ledger.lease("bronze/fx_rates")
    assert lease is not None
    assert (lease.epoch, lease.run_id, lease.job_run_id) == (2, second.run_id, "00job002")


def test_publish_takes_every_shared_table_and_gives_all_back(w: World, run: Run) -> None:
    receipts = (f"runs/{run.run_id}/silver_to_gold/all/1.json",)
    w.launcher().ensure(w.ask(run, step="publish_gold", subject="all", receipts=receipts))
    tables = [each.table for each in contracts.load_all() if each.layer in ("silver", "gold")]
    assert {"gold/kpi_daily", "gold/fct_daily_revenue", "silver/orders"} <= set(tables)
    assert all(w.ledger.lease(table).held for table in tables)  # type: ignore[union-attr]
    w.end("00job001")
    w.finish("00job001")
    assert not any(w.ledger.lease(table).held for table in tables)  # type: ignore[union-attr]


def crash_around_start(w: World, run: Run, calls: list[str], *, after: bool) -> None:
    w.land("eurofxref-2026-07-30.csv")
    with pytest.raises(Crash):
        w.launcher(Faults(at=calls.index("start_job_run") + 1, after=after)).ensure(w.ask(run))


def test_lease_of_an_intent_passes_on_when_its_execution_has_ended(first_calls: list[str], w: World, run: Run) -> None:
    second = w.open_run("2026-07-31", "day2")
    crash_around_start(w, run, first_calls, after=False)
    with pytest.raises(LeaseHeldError, match="not known yet"):
        w.launcher().ensure(w.ask(second))
    w.sfn.executions[EXECUTION + "day1"] = {"status": "FAILED", "redriveCount": 0}
    assert w.launcher().ensure(w.ask(second, retry_count=1)) == "START"
    assert [each["name"].split(":")[0] for each in w.emr.runs.values()] == [second.run_id]


def test_lease_of_an_intent_whose_job_run_nobody_wrote_down_stays(first_calls: list[str], w: World, run: Run) -> None:
    second = w.open_run("2026-07-31", "day2")
    crash_around_start(w, run, first_calls, after=True)
    w.sfn.executions[EXECUTION + "day1"] = {"status": "FAILED", "redriveCount": 0}
    with pytest.raises(LeaseHeldError):
        w.launcher().ensure(w.ask(second))
    w.end("00job001")
    assert w.launcher().ensure(w.ask(second, retry_count=1)) == "START"
