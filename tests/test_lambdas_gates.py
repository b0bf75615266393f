from typing import Any

import pytest

from lambdas.gates import Verdict, failures, holds, sentence


def result(
    dataset: str, expectation: str, column: str | None, severity: str, observed: object, expected: object
) -> Any:
    return {
        "dataset": dataset,
        "expectation": expectation,
        "column": column,
        "severity": severity,
        "observed": observed,
        "expected": expected,
        "success": False,
    }


RECEIPT = {
    "results": [
        result("orders_silver", "expect_column_values_to_be_unique", "order_id", "warn", 2, 0),
        result("fx_rates_silver", "expect_column_values_to_be_between", "rate", "error", 10.8, "0.5 to 2.0"),
        {
            **result("fx_rates_silver", "expect_table_row_count_to_be_between", None, "error", 41, "1 or more"),
            "success": True,
        },
    ]
}


@pytest.mark.parametrize(
    ("check", "redrive_count", "expected"),
    [
        pytest.param({"verdict": "FAIL", "verdict_redrive_count": 0}, 0, True, id="just-measured"),
        pytest.param({"verdict": "FAIL", "verdict_redrive_count": 0}, 1, False, id="redriven-since"),
        pytest.param({"verdict": "FAIL", "verdict_redrive_count": 1}, 1, True, id="measured-again-and-bad-still"),
        pytest.param({"verdict": "FAIL", "verdict_redrive_count": 1}, 3, False, id="redriven-twice-since"),
        pytest.param({"verdict": "FAIL"}, 0, True, id="count-missing-means-zero"),
        pytest.param({"verdict": "FAIL", "verdict_redrive_count": None}, 1, False, id="count-null-means-zero"),
        pytest.param({}, 0, True, id="missing-receipt"),
        pytest.param(None, 0, True, id="no-check-at-all"),
        pytest.param("PASS", 0, True, id="not-an-object"),
        pytest.param({"verdict": "FAIL", "verdict_redrive_count": 1.0}, 1, True, id="count-as-jsonata-writes-it"),
    ],
)
def test_gate_holds_until_somebody_has_redriven(check: Any, redrive_count: int, expected: bool) -> None:
    assert holds(Verdict.read(check), redrive_count) is expected


def test_failing_expectations_are_named_errors_first() -> None:
    assert failures(RECEIPT) == [
        "fx_rates_silver:expect_column_values_to_be_between:rate (error): observed 10.8, expected 0.5 to 2.0",
        "orders_silver:expect_column_values_to_be_unique:order_id (warn): observed 2, expected 0",
    ]


def test_what_was_waived_did_not_close_the_gate() -> None:
    waived = {**RECEIPT["results"][1], "waived": True}
    assert failures({"results": [RECEIPT["results"][0], waived]}) == [
        "orders_silver:expect_column_values_to_be_unique:order_id (warn): observed 2, expected 0"
    ]


@pytest.mark.parametrize(
    "receipt",
    [pytest.param(None, id="no-receipt"), pytest.param({}, id="empty"), pytest.param({"results": None}, id="null")],
)
def test_receipt_without_results_names_nothing(receipt: dict[str, Any] | None) -> None:
    assert failures(receipt) == []


def test_cause_says_what_failed_where_the_receipt_is_and_how_to_go_on() -> None:
    verdict = Verdict(verdict="FAIL", redrive_count=0, receipt="runs/r/check_silver/all/1.json")
    text = sentence("SilverGate", "r", verdict, failures(RECEIPT))
    assert "SilverGate is closed for run r: verdict FAIL." in text
    assert "observed 10.8, expected 0.5 to 2.0" in text
    assert "Receipt: runs/r/check_silver/all/1.json." in text
    assert "redrive the execution" in text
    assert "assay gate waive" in text


def test_cause_stays_short_however_much_failed() -> None:
    text = sentence("GoldGate", "r", Verdict.read({}), [f"failure {n}" for n in range(1_000)])
    assert "and 995 more" in text
    assert len(text) < 1_000
