from datetime import timedelta
from typing import Any

import pytest
from lambdas_world import NOW, World

from contracts.errors import InvalidRequestError
from lambdas.gates import failures
from lambdas.ledger import Run, Waiver
from lambdas.waivers import Plea, grant, in_force

RATE = "fx_rates_silver:expect_column_values_to_be_between:rate"
KEY = "fct_daily_revenue_gold:expect_compound_columns_to_be_unique:revenue_date,currency"


@pytest.fixture
def w() -> World:
    return World()


@pytest.fixture
def run(w: World) -> Run:
    return w.open_run()


def plea(run_id: str, **changes: Any) -> Plea:
    fields: dict[str, Any] = {
        "run_id": run_id,
        "expectation": RATE,
        "reason": "the vendor confirmed the jump",
        "by": "Ada",
        "hours": 24,
        "now": NOW,
        "unique": "0a1b2c3d",
    }
    return Plea(**{**fields, **changes})


def test_waiver_says_who_why_what_and_until_when(w: World, run: Run) -> None:
    grant(w.ledger, plea(run.run_id, reason=" the vendor confirmed the jump "))
    assert w.ledger.waivers(run.run_id) == [
        Waiver(
            rev=1,
            run_id=run.run_id,
            waiver_id="20260731T060012Z-0a1b2c3d",
            expectation=RATE,
            reason="the vendor confirmed the jump",
            by="Ada",
            made_at="2026-07-31T06:00:12Z",
            until="2026-08-01T06:00:12Z",
        )
    ]


def test_second_waiver_is_a_second_item_and_changes_nothing_of_the_first(w: World, run: Run) -> None:
    first = grant(w.ledger, plea(run.run_id))
    second = grant(w.ledger, plea(run.run_id, by="Grace", hours=1, unique="4e5f6071"))
    assert w.ledger.waivers(run.run_id) == [first, second]


def test_waiver_asked_for_again_after_a_lost_answer_stays_one(w: World, run: Run) -> None:
    first = grant(w.ledger, plea(run.run_id))
    assert grant(w.ledger, plea(run.run_id)) == first
    assert w.ledger.waivers(run.run_id) == [first]


def test_columns_may_be_named_as_a_receipt_writes_them(w: World, run: Run) -> None:
    assert grant(w.ledger, plea(run.run_id, expectation=KEY.replace(",", ", "))).expectation == KEY


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"run_id": "20260731T060012Z-" + "f" * 32}, "is not in the ledger", id="unknown-run"),
        pytest.param({"expectation": "rate"}, "is not <dataset>:<expectation>", id="not-a-name"),
        pytest.param({"expectation": "nothing:expect_x:rate"}, "there is no dataset nothing", id="unknown-dataset"),
        pytest.param(
            {"expectation": "fx_rates_silver:expect_column_values_to_be_between:currency"},
            f"no contract of fx_rates_silver has it; there are .*{RATE}",
            id="column-without-that-expectation",
        ),
        pytest.param(
            {"expectation": "fx_rates_silver:expect_column_values_to_be_between"},
            "no contract of",
            id="column-left-out",
        ),
        pytest.param(
            {"expectation": "fx_rates_silver:row_rule_exclusiveMinimum:rate"}, "is never waived", id="row-rule"
        ),
        pytest.param({"expectation": "fx_rates_bronze:row_rule_layout:*"}, "is never waived", id="rule-of-whole-rows"),
        pytest.param({"hours": 0}, "1 to 168 hours", id="no-time"),
        pytest.param({"hours": 169}, "1 to 168 hours", id="more-than-a-week"),
        pytest.param({"reason": "  "}, "reason is empty", id="no-reason"),
        pytest.param({"reason": "x" * 501}, "reason has 501 characters", id="essay"),
        pytest.param({"by": ""}, "by is empty", id="nobody"),
    ],
)
def test_what_cannot_be_waived_is_refused_and_leaves_nothing(
    w: World, run: Run, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidRequestError, match=words):
        grant(w.ledger, plea(**{"run_id": run.run_id, **changes}))
    assert w.ledger.waivers(run.run_id) == []


def test_run_that_succeeded_has_nothing_to_waive(w: World, run: Run) -> None:
    w.ledger.change(run, status="SUCCEEDED")
    with pytest.raises(InvalidRequestError, match="has SUCCEEDED"):
        grant(w.ledger, plea(run.run_id))


def test_name_that_the_gate_says_is_the_name_that_is_taken(w: World, run: Run) -> None:
    failed = {
        "dataset": "fct_daily_revenue_gold",
        "expectation": "expect_compound_columns_to_be_unique",
        "column": "revenue_date, currency",
        "severity": "error",
        "success": False,
    }
    [line] = failures({"results": [failed]})
    assert grant(w.ledger, plea(run.run_id, expectation=line.split(" ")[0])).expectation == KEY


def test_waiver_is_in_force_until_its_last_second(w: World, run: Run) -> None:
    waiver = grant(w.ledger, plea(run.run_id, hours=1))
    hour = timedelta(hours=1)
    assert in_force([waiver], NOW) == [waiver]
    assert in_force([waiver], NOW + hour - timedelta(seconds=1)) == [waiver]
    assert in_force([waiver], NOW + hour) == []


@pytest.mark.parametrize(
    ("step", "later_hours", "given"),
    [
        pytest.param("check_silver", 0, 1, id="check"),
        pytest.param("check_gold", 23, 1, id="any-check-while-it-lasts"),
        pytest.param("check_silver", 24, 0, id="expired"),
        pytest.param("silver_to_gold", 0, 0, id="step-that-judges-nothing"),
    ],
)
def test_check_is_given_what_is_in_force_when_it_is_launched(
    w: World, run: Run, step: str, later_hours: int, given: int
) -> None:
    waiver = grant(w.ledger, plea(run.run_id))
    other = w.open_run("2026-07-31", "day2")
    grant(w.ledger, plea(other.run_id, by="Grace"))
    now = NOW + timedelta(hours=later_hours)
    w.launcher(now=now).ensure(w.ask(run, step=step, subject="all"))
    expected = {
        "id": waiver.waiver_id,
        "expectation": RATE,
        "reason": "the vendor confirmed the jump",
        "by": "Ada",
        "until": "2026-08-01T06:00:12Z",
    }
    assert w.request_of("00job001")["waivers"] == [expected] * given


def test_request_once_written_keeps_its_waivers_through_a_retry(w: World, run: Run) -> None:
    """The job run may have read it already, so a waiver made since waits for the next attempt."""
    w.launcher().ensure(w.ask(run, step="check_silver", subject="all"))
    grant(w.ledger, plea(run.run_id))
    w.launcher().ensure(w.ask(run, step="check_silver", subject="all", retry_count=1))
    assert len(w.emr.runs) == 1
    assert w.request_of("00job001")["waivers"] == []
    w.end("00job001", verdict="FAIL")
    w.finish("00job001")
    w.launcher().ensure(w.ask(run, step="check_silver", subject="all", redrive_count=1, round=1))
    assert [each["by"] for each in w.request_of("00job002")["waivers"]] == ["Ada"]
