from datetime import timedelta
from typing import Any

import pytest
from lambdas_world import NOW, World

from contracts.errors import InvalidRequestError
from lambdas.ledger import NextRound, Notice, Rejection, Run
from lambdas.rejections import Refusal, concerning, held_at, may_be_rejected, reject, rejections_of

USD, GBP = (f"fx_rates_bronze:expect_column_values_to_not_be_null:{name}" for name in ("USD", "GBP"))
COUNT = "fx_rates_bronze:expect_table_row_count_to_be_between"
RATE = "fx_rates_silver:expect_column_values_to_be_between:rate"
UNIQUE = "orders_silver:expect_column_values_to_be_unique:order_id"
REFERENCE = "orders_silver:expect_column_values_to_exist_in_table:currency"
SHARE = "fct_daily_revenue_gold:expect_column_values_to_not_be_null:rate"


def result(name: str, severity: str = "error", **changes: Any) -> dict[str, Any]:
    dataset, expectation, *column = name.split(":")
    return {
        "dataset": dataset,
        "expectation": expectation,
        "column": column[0] if column else None,
        "severity": severity,
        "success": False,
        "waived": False,
        **changes,
    }


@pytest.fixture
def w() -> World:
    return World()


def held(w: World, *results: dict[str, Any], layer: str = "bronze", round_: int = 0) -> Run:
    """A run whose gate has closed on these results."""
    run = w.open_run()
    w.launcher().ensure(w.ask(run, step=f"check_{layer}", subject="all", round=round_, redrive_count=round_))
    job_run_id = list(w.emr.runs)[-1]
    w.end(job_run_id, verdict="FAIL", results=list(results))
    w.finish(job_run_id)
    told = Notice(run_id=run.run_id, gate=f"{layer.capitalize()}Gate", round=round_, redrive_count=round_)
    assert w.ledger.add(told)
    return run


def ask(w: World, run: Run, *expectations: str, **changes: Any) -> tuple[list[Rejection], list[str]]:
    fields: dict[str, Any] = {
        "run_id": run.run_id,
        "expectations": expectations,
        "reason": "the vendor went out of business",
        "by": "Ada",
        "now": NOW,
    }
    return reject(w.ledger, w.lake.read, Refusal(**{**fields, **changes}))


def test_rejection_says_who_why_and_when(w: World) -> None:
    run = held(w, result(USD), result(GBP, "warn"))
    made, left = ask(w, run, USD)
    assert left == [GBP]
    assert made == w.ledger.rejections(run.run_id)
    assert made == [
        Rejection(
            rev=1,
            run_id=run.run_id,
            expectation=USD,
            reason="the vendor went out of business",
            by="Ada",
            made_at="2026-07-31T06:00:12Z",
        )
    ]


def test_all_takes_what_closed_the_gate_and_speaks_of_rows(w: World) -> None:
    run = held(w, result(USD), result(GBP, "warn"), result(COUNT), result(UNIQUE, success=True))
    made, left = ask(w, run)
    assert ([each.expectation for each in made], left) == ([USD], [GBP, COUNT])


def test_all_takes_warnings_only_where_nothing_else_failed(w: World) -> None:
    run = held(w, result(GBP, "warn"), result(USD, waived=True))
    assert [each.expectation for each in ask(w, run)[0]] == [GBP]


def test_rejection_asked_for_again_after_a_lost_answer_stays_one(w: World) -> None:
    run = held(w, result(USD))
    assert ask(w, run, USD) == ask(w, run, USD)
    assert len(w.ledger.rejections(run.run_id)) == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param("rate", "is not <dataset>:<expectation>", id="not-a-name"),
        pytest.param("nothing:expect_x:rate", "there is no dataset nothing", id="unknown-dataset"),
        pytest.param(USD.replace("USD", "JPY"), f"has no such expectation; there are .*{USD}", id="unknown-name"),
        pytest.param(COUNT, "speaks of the table, no single row fails it: waive it", id="table"),
        pytest.param(UNIQUE, "speaks of the table", id="uniqueness"),
        pytest.param(REFERENCE, "speaks of the table", id="reference"),
        pytest.param(SHARE, "rows of gold are computed.* reject the rows of silver", id="gold"),
        pytest.param("fx_rates_silver:row_rule_minimum:rate", "is a rule of the contract", id="row-rule"),
        pytest.param(GBP, f"did not fail in the check that closed the gate; there failed {USD}", id="passed"),
    ],
)
def test_what_cannot_be_rejected_is_refused_with_what_to_do_and_leaves_nothing(w: World, name: str, words: str) -> None:
    run = held(w, result(USD))
    with pytest.raises(InvalidRequestError, match=words):
        ask(w, run, USD, name)
    assert w.ledger.rejections(run.run_id) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"run_id": "20260731T060012Z-" + "f" * 32}, "is not in the ledger", id="unknown-run"),
        pytest.param({"reason": " "}, "reason is empty", id="no-reason"),
        pytest.param({"by": "x" * 501}, "by has 501 characters", id="long-name"),
    ],
)
def test_ask_that_says_too_little_is_refused(w: World, changes: dict[str, Any], words: str) -> None:
    run = held(w, result(USD))
    with pytest.raises(InvalidRequestError, match=words):
        ask(w, run, USD, **changes)


def test_gate_of_gold_has_nothing_to_reject(w: World) -> None:
    run = held(w, result(SHARE), layer="gold")
    with pytest.raises(InvalidRequestError, match="none of what failed can be told row by row of a source"):
        ask(w, run)


def test_second_person_learns_that_it_was_rejected(w: World) -> None:
    run = held(w, result(USD))
    ask(w, run, USD)
    with pytest.raises(InvalidRequestError, match="was rejected by Ada at 2026-07-31T06:00:12Z: redrive"):
        ask(w, run, USD, by="Grace", now=NOW + timedelta(minutes=1))
    assert [each.by for each in w.ledger.rejections(run.run_id)] == ["Ada"]


@pytest.mark.parametrize("status", ["SUCCEEDED", "SUPERSEDED"])
def test_closed_run_is_refused(w: World, status: str) -> None:
    run = held(w, result(USD))
    w.ledger.change(run, status=status)
    with pytest.raises(InvalidRequestError, match=status if status == "SUCCEEDED" else "was superseded by"):
        ask(w, run, USD)


def test_run_that_no_gate_holds_is_refused(w: World) -> None:
    with pytest.raises(InvalidRequestError, match="is not held at a gate"):
        ask(w, w.open_run(), USD)


def test_gate_holds_until_a_redrive_opens_the_next_round(w: World) -> None:
    run = held(w, result(USD))
    assert held_at(w.ledger, run.run_id) is not None
    w.ledger.add(NextRound(run_id=run.run_id, redrive_count=1, gate="BronzeGate", round=1))
    with pytest.raises(InvalidRequestError, match="is not held at a gate"):
        ask(w, run, USD)
    w.ledger.add(Notice(run_id=run.run_id, gate="SilverGate", round=1, redrive_count=1))
    again = held_at(w.ledger, run.run_id)
    assert again is not None
    assert (again.gate, again.round) == ("SilverGate", 1)


def test_gate_without_a_receipt_has_to_be_measured_again(w: World) -> None:
    run = held(w, result(USD))
    w.s3.objects = {key: body for key, body in w.s3.objects.items() if not key.startswith("runs/")}
    with pytest.raises(InvalidRequestError, match=r"BronzeGate closed without a receipt.*redrive"):
        ask(w, run, USD)


@pytest.mark.parametrize(
    ("step", "subject", "expected"),
    [
        pytest.param("ingest", "fx_rates", [USD], id="its-source"),
        pytest.param("ingest", "snowflake_orders", [], id="another-source"),
        pytest.param("bronze_to_silver", "all", [RATE], id="silver"),
        pytest.param("check_bronze", "all", [], id="a-check-writes-no-rows"),
        pytest.param("publish_gold", "all", [], id="publish"),
    ],
)
def test_step_is_given_the_rejections_of_the_rows_that_it_writes(
    w: World, step: str, subject: str, expected: list[str]
) -> None:
    run = w.open_run()
    for name in (USD, RATE):
        w.ledger.add(
            Rejection(run_id=run.run_id, expectation=name, reason="r", by="Ada", made_at="2026-07-31T06:00:12Z")
        )
    assert [each.expectation for each in concerning(rejections_of(w.ledger, run), step, subject)] == expected
    w.launcher().ensure(w.ask(run, step=step, subject=subject))
    request = w.request_of("00job001")
    assert [each["expectation"] for each in request["rejections"]] == expected
    assert (request["input_digest"] != request["received_digest"]) == bool(expected)


def test_round_after_a_rejection_has_another_input_and_its_own_digest_of_what_was_received(w: World) -> None:
    """So the job commits again, while what follows from the same files alone is not written twice."""
    w.land("eurofxref-2026-07-30.csv")
    run = w.open_run()
    w.launcher().ensure(w.ask(run))
    w.end("00job001")
    w.finish("00job001")
    w.ledger.add(Rejection(run_id=run.run_id, expectation=USD, reason="r", by="Ada", made_at="2026-07-31T06:00:12Z"))
    w.launcher().ensure(w.ask(run, round=1, redrive_count=1))
    before, after = w.request_of("00job001"), w.request_of("00job002")
    assert after["rejections"] == [
        {"run_id": run.run_id, "expectation": USD, "reason": "r", "by": "Ada", "made_at": "2026-07-31T06:00:12Z"}
    ]
    assert after["input_digest"] != before["input_digest"]
    assert after["received_digest"] == before["received_digest"] == before["input_digest"]


def test_rows_of_silver_are_rejected_under_a_lease_that_ends_with_the_job(w: World) -> None:
    run = w.open_run()
    w.launcher().ensure(w.ask(run, step="bronze_to_silver", subject="all"))
    assert w.ledger.lease("quarantine/fx_rates_silver") is None
    w.end("00job001")
    w.finish("00job001")
    w.ledger.add(Rejection(run_id=run.run_id, expectation=RATE, reason="r", by="Ada", made_at="2026-07-31T06:00:12Z"))
    w.launcher().ensure(w.ask(run, step="bronze_to_silver", subject="all", round=1, redrive_count=1))
    lease = w.ledger.lease("quarantine/fx_rates_silver")
    assert lease is not None
    assert (lease.held, lease.job_run_id) == (True, "00job002")
    w.end("00job002")
    w.finish("00job002")
    lease = w.ledger.lease("quarantine/fx_rates_silver")
    assert lease is not None
    assert not lease.held


def test_run_that_takes_another_s_place_refuses_what_that_one_refused(w: World) -> None:
    old, new = w.open_run(), w.open_run("2026-07-31", "day2")
    new = w.ledger.change(new, supersedes=old.run_id) or new
    for run_id, name, minute in ((old.run_id, USD, 1), (new.run_id, GBP, 2)):
        made_at = f"2026-07-31T06:0{minute}:00Z"
        w.ledger.add(Rejection(run_id=run_id, expectation=name, reason="r", by="Ada", made_at=made_at))
    assert [each.expectation for each in rejections_of(w.ledger, new)] == [USD, GBP]
    assert [each.expectation for each in rejections_of(w.ledger, old)] == [USD]
    w.launcher().ensure(w.ask(new))
    assert w.request_of("00job001")["superseded"] == [old.run_id]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param(USD, True, id="bronze"),
        pytest.param(RATE, True, id="silver"),
        pytest.param(SHARE, False, id="gold"),
        pytest.param(COUNT, False, id="table"),
        pytest.param("fx_rates_silver:row_rule_minimum:rate", False, id="row-rule"),
        pytest.param("gone_silver:expect_column_values_to_be_null:x", False, id="no-such-dataset"),
        pytest.param("nonsense", False, id="not-a-name"),
    ],
)
def test_only_rows_of_a_source_can_be_rejected(name: str, expected: bool) -> None:
    assert may_be_rejected(name) is expected
