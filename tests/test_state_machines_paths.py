"""Every way through the daily workflow."""
# ruff: noqa: F811  # fixtures that are imported are asked for by their names

import re
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from workflow_day import FORWARD, Day, Execution, Outcome, Sfn, day, definition, jobs, land_rates, trail  # noqa: F401

from contracts.errors import InvalidRequestError, SourceUnavailableError
from lambdas.rejections import Refusal, reject
from lambdas.waivers import Plea, grant


def test_a_good_day_goes_straight_through(day: Day) -> None:
    outcome = Execution().run()
    assert (outcome.status, outcome.error) == ("SUCCEEDED", None)
    assert trail(outcome) == FORWARD
    assert outcome.output["status"] == "SUCCEEDED"
    assert outcome.output["rows"] == {"gold/fct_daily_revenue": 2}
    assert sorted(jobs(day)) == [
        "bronze_to_silver:all:0:1",
        "check_bronze:all:0:1",
        "check_gold:all:0:1",
        "check_silver:all:0:1",
        "ingest:fx_rates:0:1",
        "ingest:snowflake_orders:0:1",
        "publish_gold:all:0:1",
        "silver_to_gold:all:0:1",
    ]
    run_id = outcome.output["run_id"]
    summary = day.world.lake.read(f"runs/{run_id}/run.json")
    assert summary is not None
    assert len(summary["steps"]) == 8


def test_each_job_is_given_the_receipts_it_needs(day: Day) -> None:
    Execution().run()
    given = {}
    for job_run_id, run in day.world.emr.runs.items():
        receipts = day.world.request_of(job_run_id)["inputs"]["receipts"]
        given[run["name"].split(":")[1]] = ["/".join(receipt.split("/")[2:4]) for receipt in receipts]
    ingests = ["ingest/fx_rates", "ingest/snowflake_orders"]
    assert given == {
        "ingest": [],
        "check_bronze": ingests,
        "bronze_to_silver": ingests,
        "check_silver": [*ingests, "bronze_to_silver/all"],
        "silver_to_gold": [*ingests, "bronze_to_silver/all"],
        "check_gold": [*ingests, "bronze_to_silver/all", "silver_to_gold/all"],
        "publish_gold": [*ingests, "bronze_to_silver/all", "silver_to_gold/all"],
    }


def test_second_execution_of_a_day_changes_nothing_and_says_so(day: Day) -> None:
    first = Execution().run()
    count = len(day.world.emr.runs)
    second = Execution("again").run()
    assert second.status == "SUCCEEDED"
    assert trail(second) == ["OpenRun", "IsNewRun", "AlreadyDone"]
    assert (second.output["status"], second.output["run_id"]) == ("ALREADY_DONE", first.output["run_id"])
    assert len(day.world.emr.runs) == count


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        pytest.param("bronze", {"verdict": "FAIL"}, id="bronze"),
        pytest.param("silver", {"verdict": "FAIL"}, id="silver"),
        pytest.param("gold", {"verdict": "FAIL"}, id="gold"),
        pytest.param("bronze", {"verdict": None}, id="missing-verdict"),
        pytest.param("gold", {"verdict": "pass"}, id="word-that-is-not-a-pass"),
    ],
)
def test_closed_gate_holds_then_goes_round_after_a_redrive(day: Day, layer: str, said: dict[str, Any]) -> None:
    bad = {1, 2}  # measured at the start, and again after a redrive that mended nothing
    day.script = lambda step, attempt: dict(said) if step == f"check_{layer}" and attempt in bad else {}
    execution = Execution()
    gate = f"{layer.capitalize()}Gate"
    for redrive in range(2):
        held = execution.run()
        assert (held.status, held.error) == ("FAILED", "QualityGateClosedError"), held.cause
        assert held.states[-1] == f"HoldAt{gate}"
        assert f"{gate} is closed for run" in (held.cause or "")
        assert not any("publish" in job for job in jobs(day))
        assert len(day.sns.subjects) == redrive + 1
    outcome = execution.run()
    assert outcome.status == "SUCCEEDED"
    assert trail(outcome) == [f"HoldAt{gate}", *FORWARD[3:]]
    assert "publish_gold:all:2:1" in jobs(day)


def test_waiver_opens_the_gate_once_it_is_in_force(day: Day) -> None:
    """Held; held again with a waiver that has ended; through with one that lasts."""

    def judged(step: str, attempt: int) -> dict[str, Any]:
        if step != "check_silver":
            return {}
        [key] = [
            each for each in day.world.s3.objects if re.fullmatch(f"requests/[^/]+/{step}/all/{attempt}.json", each)
        ]
        waivers = (day.world.lake.read(key) or {})["waivers"]
        return {"verdict": "PASS_WITH_WAIVER" if waivers else "FAIL"}

    day.script = judged
    execution = Execution()
    assert execution.run().error == "QualityGateClosedError"
    run_id = day.world.emr.runs["00job001"]["name"].split(":")[0]
    now = datetime.now(UTC).replace(microsecond=0)
    ask: dict[str, Any] = {"run_id": run_id, "reason": "r", "by": "Ada", "hours": 1, "unique": "0a1b2c3d"}
    rate = "fx_rates_silver:expect_column_values_to_be_between:rate"
    grant(day.world.ledger, Plea(**ask, expectation=rate, now=now - timedelta(hours=2)))
    assert execution.run().error == "QualityGateClosedError"
    grant(day.world.ledger, Plea(**ask, expectation=rate, now=now))
    outcome = execution.run()
    assert (outcome.status, outcome.states[0]) == ("SUCCEEDED", "HoldAtSilverGate")
    summary = day.world.lake.read(f"runs/{run_id}/run.json") or {}
    assert [step["verdict"] for step in summary["steps"] if step["step"] == "check_silver"] == ["PASS_WITH_WAIVER"]


def test_superseding_run_finishes_the_day_and_the_dead_one_cannot_be_redriven(
    day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    day.script = lambda step, attempt: {"verdict": "FAIL"} if step == "check_bronze" else {}  # noqa: ARG005
    dead = Execution()
    assert dead.run().error == "QualityGateClosedError"
    claimed = day.world.ledger.interval_claim("2026-07-30")
    assert claimed is not None
    early = Execution("day1-again", supersedes=claimed.run_id).run()
    assert early.error == "InvalidRequestError"  # the first one runs, for all that Step Functions says
    monkeypatch.setattr(Sfn, "status", "FAILED")
    day.script = lambda step, attempt: {}  # noqa: ARG005
    outcome = Execution("day1-once-more", supersedes=claimed.run_id).run()
    assert outcome.status == "SUCCEEDED", outcome
    assert outcome.output["data_date"] == "2026-07-30"
    request = next(
        day.world.request_of(job) for job, run in day.world.emr.runs.items() if ":ingest:fx_rates:0:1" in run["name"]
        and run["name"].startswith(outcome.output["run_id"])
    )  # fmt: skip
    assert [each["key"] for each in request["inputs"]["files"]] == ["landing/fx/eurofxref-2026-07-30.csv"]
    started = len(day.world.emr.runs)
    assert dead.run().error == "RunSupersededError"
    assert len(day.world.emr.runs) == started


def test_rejected_rows_open_the_gate_that_they_closed(day: Day) -> None:
    """Held; the rows rejected; in the next round ingest is asked to refuse them, and the gate passes."""
    usd = "fx_rates_bronze:expect_column_values_to_not_be_null:USD"
    dataset, expectation, column = usd.split(":")
    failed = {"dataset": dataset, "expectation": expectation, "column": column, "severity": "error", "success": False}

    def asked(step: str, attempt: int) -> dict[str, Any]:
        if step != "check_bronze":
            return {}
        [key] = [
            each
            for each in day.world.s3.objects
            if re.fullmatch(f"requests/[^/]+/ingest/fx_rates/{attempt}.json", each)
        ]
        refused = (day.world.lake.read(key) or {})["rejections"]
        return {"verdict": "PASS"} if refused else {"verdict": "FAIL", "results": [failed]}

    day.script = asked
    execution = Execution()
    assert execution.run().error == "QualityGateClosedError"
    run_id = day.world.emr.runs["00job001"]["name"].split(":")[0]
    now = datetime.now(UTC).replace(microsecond=0)
    asked_for = Refusal(run_id=run_id, expectations=(), reason="r", by="Ada", now=now)
    reject(day.world.ledger, day.world.lake.read, asked_for)
    outcome = execution.run()
    assert (outcome.status, outcome.states[0]) == ("SUCCEEDED", "HoldAtBronzeGate")
    with pytest.raises(InvalidRequestError, match="has SUCCEEDED"):
        reject(day.world.ledger, day.world.lake.read, asked_for)


def test_later_gate_that_closes_after_an_earlier_one_was_redriven(day: Day) -> None:
    day.script = lambda step, attempt: (
        {"verdict": "FAIL"} if (step, attempt) in {("check_bronze", 1), ("check_gold", 1), ("check_silver", 2)} else {}
    )
    execution = Execution()
    held = [execution.run().states[-1] for _ in range(3)]
    assert held == ["HoldAtBronzeGate", "HoldAtGoldGate", "HoldAtSilverGate"]
    assert execution.run().status == "SUCCEEDED"
    assert "publish_gold:all:3:1" in jobs(day)


def test_broken_contract_is_not_retried_and_a_redrive_runs_only_what_failed(day: Day) -> None:
    failure = {
        "state": "FAILED",
        "status": "FAILED",
        "error": "ContractViolationError",
        "cause": "fx_rates_bronze 1-0-0",
    }
    day.script = lambda step, attempt: dict(failure) if (step, attempt) == ("ingest:fx_rates", 1) else {}
    execution = Execution()
    failed = execution.run()
    assert (failed.status, failed.error, failed.cause) == ("FAILED", "ContractViolationError", "fx_rates_bronze 1-0-0")
    outcome = execution.run()
    assert outcome.status == "SUCCEEDED"
    assert trail(outcome) == FORWARD[3:]
    assert [job for job in jobs(day) if "ingest:fx" in job] == ["ingest:fx_rates:0:1", "ingest:fx_rates:0:2"]


def test_bad_file_fails_before_any_job_run_and_is_taken_once_put_right(day: Day) -> None:
    land_rates(day, "-1.1")
    execution = Execution()
    failed = execution.run()
    assert (failed.status, failed.error, failed.states[-1]) == ("FAILED", "ContractViolationError", "ValidateContracts")
    assert "fx_rates_bronze 1-2-0: column USD breaks rule exclusiveMinimum" in (failed.cause or "")
    assert day.world.emr.runs == {}
    land_rates(day)
    assert execution.run().status == "SUCCEEDED"


def test_a_working_day_waits_for_its_file_and_a_redrive_after_delivery_passes(day: Day) -> None:
    day.world.s3.objects.clear()
    execution = Execution()
    for _ in range(2):
        failed = execution.run()
        assert (failed.status, failed.error) == ("FAILED", "ContractViolationError")
        assert failed.states[-1] == "ValidateContracts"
        assert "expected_file: no file came for 2026-07-30 (Thursday)" in (failed.cause or "")
        assert day.world.emr.runs == {}
    land_rates(day)
    assert execution.run().status == "SUCCEEDED"


def test_job_run_that_dies_is_tried_once_more_then_waits_for_a_redrive(day: Day) -> None:
    day.script = lambda step, attempt: (
        {"state": "FAILED", "status": "KILLED"} if step == "silver_to_gold" and attempt < 3 else {}
    )
    execution = Execution()
    failed = execution.run()
    assert (failed.status, failed.error) == ("FAILED", "SparkJobFailedError")
    assert [job for job in jobs(day) if "silver_to_gold" in job] == ["silver_to_gold:all:0:1", "silver_to_gold:all:0:2"]
    outcome = execution.run()
    assert outcome.status == "SUCCEEDED"
    assert trail(outcome) == FORWARD[9:]


def test_success_without_a_receipt_is_not_believed(day: Day) -> None:
    day.script = lambda step, attempt: {"status": "WRONG"} if (step, attempt) == ("publish_gold", 1) else {}
    execution = Execution()
    assert execution.run().error == "ReceiptMissingError"
    assert execution.run().status == "SUCCEEDED"


def test_lost_callback_costs_a_heartbeat_and_no_second_job_run(day: Day) -> None:
    day.script = lambda step, _: {"lost": True} if step in {"check_silver", "publish_gold"} else {}
    outcome = Execution(text=definition(heartbeat_seconds=2)).run()
    assert outcome.status == "SUCCEEDED"
    assert len(day.world.emr.runs) == 8


def test_base_that_moved_is_built_on_again_and_checked_again(day: Day) -> None:
    day.script = lambda step, attempt: {"published": False} if step == "publish_gold" and attempt < 3 else {}
    outcome = Execution().run()
    assert outcome.status == "SUCCEEDED"
    again = ["SilverToGold", "CheckGold", "GoldGate", "PublishGold", "IsPublished"]
    assert trail(outcome) == [*FORWARD[:14], *again, *again, *FORWARD[14:]]
    assert [job for job in jobs(day) if "publish" in job] == [
        "publish_gold:all:0:1",
        "publish_gold:all:1:2",
        "publish_gold:all:2:3",
    ]


def test_gate_that_closes_on_a_rebuilt_candidate_holds(day: Day) -> None:
    day.script = lambda step, attempt: (
        {"published": False} if (step, attempt) == ("publish_gold", 1)
        else {"verdict": "FAIL"} if (step, attempt) == ("check_gold", 2) else {}
    )  # fmt: skip
    execution = Execution()
    assert execution.run().states[-1] == "HoldAtGoldGate"
    assert execution.run().status == "SUCCEEDED"


def test_second_day_waits_for_the_writer_of_the_same_table(day: Day) -> None:
    slow = threading.Event()
    results: dict[str, Outcome] = {}
    ends = day.end

    def end_later(job_run_id: str) -> None:
        if slow.is_set():
            ends(job_run_id)

    day.end = end_later  # type: ignore[method-assign]
    threads = [
        threading.Thread(target=lambda name=name, when=when: results.update({name: Execution(name, when).run()}))
        for name, when in (("day1", "2026-07-30"), ("day2", "2026-07-31"))
    ]
    threads[0].start()
    wait_for(lambda: len(day.world.emr.runs) == 2)
    land_rates(day, date="2026-07-31")
    threads[1].start()
    time.sleep(1.5)
    assert len(day.world.emr.runs) == 2  # the second waits: LeaseHeldError is retried
    slow.set()
    for job_run_id in list(day.world.emr.runs):
        ends(job_run_id)
    for thread in threads:
        thread.join(60)
    assert {name: result.status for name, result in results.items()} == {"day1": "SUCCEEDED", "day2": "SUCCEEDED"}


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("waited a minute")


@pytest.mark.parametrize("function", ["open_run", "launch_job", "hold_at_gate"])
def test_function_that_fails_for_a_passing_reason_is_called_again(day: Day, function: str) -> None:
    day.broken[function] = SourceUnavailableError("AWS did not answer in time")
    day.script = lambda step, attempt: {"verdict": "FAIL"} if (step, attempt) == ("check_bronze", 1) else {}
    execution = Execution()
    assert execution.run().error == "QualityGateClosedError"
    assert execution.run().status == "SUCCEEDED"
    assert day.broken == {}
