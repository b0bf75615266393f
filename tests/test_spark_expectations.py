"""Expectations count what fails them and decide by severity."""

import dataclasses
from datetime import date

import pytest
from spark_session import quiet, spark  # noqa: F401

from contracts import contract as contracts
from contracts.contract import Expectation
from contracts.errors import UnsupportedKeywordError
from spark_jobs.expectations import Batch, evaluate, verdict

pytestmark = quiet

RUN = {"data_date": date(2026, 7, 30)}


def evaluated(spark, expectations, rows=None):  # noqa: F811
    rows = rows or [
        ("USD", 1.0, date(2026, 7, 30)),
        ("USD", 3.0, date(2026, 7, 31)),
        ("GBP", None, None),
        (None, 3.0, None),
    ]
    frame = (
        spark.createDataFrame([], "c string, v double, d date")
        if rows == "none"
        else spark.createDataFrame(rows, "c string, v double, d date")
    )
    contract = dataclasses.replace(contracts.load("fx_rates_silver"), expectations=tuple(expectations))
    return evaluate([Batch(contract=contract, rows=frame)], RUN)


def expect(type_, severity="error", mostly=1.0, **kwargs):
    return Expectation(type=f"expect_{type_}", kwargs=kwargs, severity=severity, mostly=mostly)


def counted(rows, unexpected):
    return {"rows": rows, "unexpected": unexpected}


BETWEEN, DATA_DATE = "column_values_to_be_between", {"$run": "data_date"}
DOLLARS = {"row_condition": "c = 'USD'", "condition_parser": "spark"}
CASES = [
    pytest.param(expect("table_row_count_to_be_between", min_value=4, max_value=4), 4, True, id="rows"),
    pytest.param(expect("table_row_count_to_be_between", min_value=5), 4, False, id="too-few-rows"),
    pytest.param(expect("column_values_to_not_be_null", column="v"), counted(4, 1), False, id="null"),
    pytest.param(expect("column_values_to_not_be_null", mostly=0.75, column="v"), counted(4, 1), True, id="mostly"),
    pytest.param(expect(BETWEEN, column="v", min_value=0.5, max_value=2), counted(3, 2), False, id="between"),
    pytest.param(expect(BETWEEN, column="v", min_value=1, max_value=3), counted(3, 0), True, id="bounds"),
    pytest.param(expect(BETWEEN, column="v", min_value=1, strict_min=True), counted(3, 1), False, id="strict"),
    pytest.param(expect(BETWEEN, column="v", max_value=2, **DOLLARS), counted(2, 1), False, id="row-condition"),
    pytest.param(expect(BETWEEN, column="d", max_value=DATA_DATE), counted(2, 1), False, id="run"),
    pytest.param(
        expect("column_max_to_be_between", column="d", max_value=DATA_DATE), "2026-07-31", False, id="max-day"
    ),
    pytest.param(expect("column_max_to_be_between", column="v", max_value=3), 3.0, True, id="max"),
    pytest.param(expect("column_min_to_be_between", column="v", min_value=2), 1.0, False, id="min"),
    pytest.param(expect("column_values_to_be_in_set", column="c", value_set=["USD"]), counted(3, 1), False, id="set"),
    pytest.param(expect("column_values_to_match_regex", column="c", regex="^[A-Z]+$"), counted(3, 0), True, id="regex"),
    pytest.param(expect("column_values_to_be_unique", column="v"), counted(3, 2), False, id="unique"),
    pytest.param(expect("compound_columns_to_be_unique", column_list=["c", "v"]), counted(4, 0), True, id="compound"),
]


def test_every_expectation_observes_and_decides(spark):  # noqa: F811
    """All cases in one evaluation, as a check runs them."""
    results = evaluated(spark, [case.values[0] for case in CASES])
    assert {case.id: (result["observed"], result["success"]) for case, result in zip(CASES, results, strict=True)} == {
        case.id: case.values[1:] for case in CASES
    }


def test_no_rows_break_nothing_but_a_row_count(spark):  # noqa: F811
    wanted = [
        expect("table_row_count_to_be_between", min_value=1),
        expect("column_values_to_not_be_null", column="v"),
        expect("column_max_to_be_between", column="v", max_value=1),
        expect("column_values_to_be_unique", column="v"),
    ]
    assert [result["success"] for result in evaluated(spark, wanted, rows="none")] == [False, True, True, True]


def test_an_unknown_expectation_is_refused(spark):  # noqa: F811
    with pytest.raises(UnsupportedKeywordError, match="expect_magic"):
        evaluated(spark, [expect("magic")])


@pytest.mark.parametrize(
    ("failed", "expected"),
    [
        pytest.param([], "PASS", id="none"),
        pytest.param(["warn"], "WARN", id="warn"),
        pytest.param(["warn", "error"], "FAIL", id="error"),
    ],
)
def test_the_verdict_follows_the_worst_failure(failed, expected):
    kept = {"severity": "error", "success": True}
    assert verdict([kept, *({"severity": each, "success": False} for each in failed)]) == expected
