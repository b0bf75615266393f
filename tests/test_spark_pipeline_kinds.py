"""Freshness, references between tables, and drift against the runs before."""

import dataclasses
from datetime import UTC, date, datetime

import pytest
from spark_session import quiet, spark  # noqa: F401

from contracts import contract as contracts
from contracts.contract import Expectation
from contracts.errors import InvalidRequestError, UnsupportedKeywordError
from spark_jobs.expectations import Batch, evaluate
from spark_jobs.pipeline_kinds import PIPELINE_KINDS

pytestmark = quiet

DAY = date(2026, 7, 30)
SCHEMA = "c string, v double, d date, at timestamp"
ROWS = [
    ("USD", 1.0, date(2026, 7, 28), datetime(2026, 7, 30, 12, tzinfo=UTC)),
    ("USD", 3.0, date(2026, 7, 29), None),
    ("GBP", None, None, None),
    (None, 3.0, None, None),
]
ROW_COUNT, FRESH = "expect_table_row_count_to_be_near_trailing", "expect_table_to_be_fresh"
NULL_SHARE, EXISTS = "expect_column_null_share_to_be_near_trailing", "expect_column_values_to_exist_in_table"
AS_OF = {"as_of": {"$run": "data_date"}}


def result(spark, name, rows=ROWS, *, earlier=(), **kwargs):  # noqa: F811
    expectation = Expectation(type=name, kwargs=kwargs, severity="error", mostly=1.0)
    contract = dataclasses.replace(contracts.load("fx_rates_silver"), expectations=(expectation,))
    batch = Batch(contract=contract, rows=spark.createDataFrame(rows, SCHEMA), may_be_empty=True)
    history = {("fx_rates_silver", name, kwargs.get("column")): earlier}
    (only,) = evaluate([batch], {"data_date": DAY}, history=history)
    return only["observed"], only["success"], only["expected"]


def test_one_run_beside_those_before(spark):  # noqa: F811
    observed, passed, expected = result(spark, ROW_COUNT, earlier=(9, 8, 10), min_ratio=0.5, max_ratio=2)
    assert (observed, passed) == (4, False)
    assert expected == {"min_ratio": 0.5, "max_ratio": 2, "trailing_median": 9.0, "trailing_runs": 3}
    assert result(spark, ROW_COUNT, rows=[], earlier=(4, 4, 4), min_ratio=0.5)[:2] == (0, False)
    assert result(spark, NULL_SHARE, earlier=(0.2, 0.2, 0.3), column="v", max_increase=0.1)[:2] == (0.25, True)


@pytest.mark.parametrize(
    ("earlier", "success", "median"),
    [
        ((), True, None),
        ((400, 400), True, None),  # too few runs to know what is usual
        ((4, 5, 3), True, 4.0),
        ((9, 8, 10), False, 9.0),
        ((1, 1, 1), False, 1.0),
        ((8, 2, 2), True, 2.0),
        ((4, 4, None, 4), True, 4.0),  # a run that could not tell
    ],
)
def test_a_row_count_is_judged_by_the_median_of_the_runs_before(earlier, success, median):
    trended = PIPELINE_KINDS[ROW_COUNT].judge(4, earlier, {"min_ratio": 0.5, "max_ratio": 2})
    assert (trended.observed, trended.success, trended.basis["trailing_median"]) == (4, success, median)


def test_only_the_stated_number_of_runs_counts():
    kwargs = {"min_ratio": 0.5, "runs": 2, "min_runs": 2}
    trended = PIPELINE_KINDS[ROW_COUNT].judge(4, (4, 4, 900, 900, 900), kwargs)
    assert trended.success
    assert trended.basis == {"trailing_median": 4.0, "trailing_runs": 2}


@pytest.mark.parametrize(
    ("earlier", "success"), [((), True), ((0.2, 0.2, 0.3), True), ((0.1, 0.1, 0.1), False), ((0.0, 0.15, 0.9), True)]
)
def test_a_share_of_nulls_may_grow_a_little(earlier, success):
    assert PIPELINE_KINDS[NULL_SHARE].judge(0.25, earlier, {"max_increase": 0.1}).success is success


def test_a_share_of_nulls_of_some_rows(spark):  # noqa: F811
    kwargs = {"column": "v", "max_increase": 0.1, "row_condition": "c = 'USD'", "condition_parser": "spark"}
    assert result(spark, NULL_SHARE, earlier=(0, 0, 0), **kwargs)[:2] == (0.0, True)
    assert result(spark, NULL_SHARE, rows=[], earlier=(0, 0, 0), column="v", max_increase=0.1)[:2] == (None, True)


@pytest.mark.parametrize(
    ("column", "hours", "success", "newest", "age"),
    [
        ("d", 24, True, "2026-07-29", 24),
        ("d", 23, False, "2026-07-29", 24),
        ("at", 12, True, "2026-07-30T12:00:00.000000Z", 12),
        ("at", 11.9, False, "2026-07-30T12:00:00.000000Z", 12),
    ],
)
def test_the_newest_value_must_be_recent(spark, column, hours, success, newest, age):  # noqa: F811
    observed, passed, expected = result(spark, FRESH, column=column, max_age_hours=hours, **AS_OF)
    assert (observed, passed, expected["age_hours"]) == (newest, success, age)


@pytest.mark.parametrize(
    ("earlier", "success", "newest"),
    [((), False, None), (("2026-07-29", "2026-07-28"), True, "2026-07-29"), (("2026-07-20",), False, "2026-07-20")],
)
def test_a_run_without_rows_is_as_fresh_as_the_runs_before(spark, earlier, success, newest):  # noqa: F811
    assert result(spark, FRESH, rows=[], earlier=earlier, column="d", max_age_hours=24, **AS_OF)[:2] == (
        newest,
        success,
    )


def test_freshness_is_of_days_and_moments_only(spark):  # noqa: F811
    with pytest.raises(
        UnsupportedKeywordError, match=r"fx_rates_silver 1-1-0: expect_table_to_be_fresh: column c is a string"
    ):
        result(spark, FRESH, column="c", max_age_hours=24, **AS_OF)


def currencies(spark, *names):  # noqa: F811
    def table(path, day, _days):
        assert day is None
        assert path == "silver/fx_rates"
        return spark.createDataFrame([(name,) for name in names], "currency string")

    return {"table": table}


@pytest.mark.parametrize(
    ("there", "mostly", "unexpected", "success"),
    [
        (("USD", "GBP", "GBP", None), 1.0, 0, True),
        (("USD",), 1.0, 1, False),
        (("USD",), 0.6, 1, True),
        ((), 1.0, 3, False),
    ],
)
def test_a_value_must_stand_in_the_other_table(spark, there, mostly, unexpected, success):  # noqa: F811
    kwargs = {"column": "c", "table": "silver/fx_rates", "table_column": "currency"}
    expectation = Expectation(type=EXISTS, kwargs=kwargs, severity="error", mostly=mostly)
    contract = dataclasses.replace(contracts.load("fx_rates_silver"), expectations=(expectation,))
    batch = Batch(contract=contract, rows=spark.createDataFrame(ROWS, SCHEMA))
    (only,) = evaluate([batch], {"data_date": DAY}, **currencies(spark, *there))
    assert (only["observed"], only["success"]) == ({"rows": 3, "unexpected": unexpected}, success)
    with pytest.raises(InvalidRequestError, match="no other table"):
        evaluate([batch], {"data_date": DAY})


@pytest.mark.parametrize(
    ("lately", "ever", "unexpected"),
    [
        pytest.param(("USD", "GBP"), None, 0, id="all-of-late"),
        pytest.param(("USD",), ("USD", "GBP"), 0, id="one-long-ago"),
        pytest.param(("USD",), ("USD",), 1, id="one-never"),
    ],
)
def test_the_whole_of_a_table_is_read_only_for_what_its_newest_rows_lack(spark, lately, ever, unexpected):  # noqa: F811
    def whole(*given):
        assert ever is not None, "all is there of late"
        return currencies(spark, *ever)["table"](*given)

    kwargs = {"column": "c", "table": "silver/fx_rates", "table_column": "currency"}
    expectation = Expectation(type=EXISTS, kwargs=kwargs, severity="error", mostly=1.0)
    contract = dataclasses.replace(contracts.load("fx_rates_silver"), expectations=(expectation,))
    batch = Batch(contract=contract, rows=spark.createDataFrame(ROWS, SCHEMA))
    newest = {"newest": lambda path: currencies(spark, *lately)["table"](path, None, None)}
    (only,) = evaluate([batch], {"data_date": DAY}, table=whole, **newest)
    assert only["observed"] == {"rows": 3, "unexpected": unexpected}


def test_a_reference_on_the_same_day_reads_the_other_table_on_the_days_of_the_rows(spark):  # noqa: F811
    first, second, other = date(2026, 7, 1), date(2026, 7, 2), date(2026, 7, 20)
    asked = []

    def table(path, day, days):
        asked.append((path, day, days()))
        return spark.createDataFrame([(1,), (2,)], "order_id bigint")

    kwargs = {"column": "order_id", "table": "silver/orders", "table_column": "order_id", "same_day": "order_date"}
    expectation = Expectation(type=EXISTS, kwargs=kwargs, severity="error", mostly=1.0)
    contract = dataclasses.replace(contracts.load("order_lines_silver"), expectations=(expectation,))
    rows = spark.createDataFrame([(1, first), (1, second), (2, other), (3, other)], "order_id bigint, order_date date")
    (only,) = evaluate([Batch(contract=contract, rows=rows)], {"data_date": DAY}, table=table)
    assert asked == [("silver/orders", "order_date", [(first, second), (other, other)])]
    assert (only["observed"], only["success"]) == ({"rows": 4, "unexpected": 1}, False)
