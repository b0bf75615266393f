"""Expectations count what fails them and decide by severity."""

import dataclasses
from datetime import date, datetime
from decimal import Decimal

import pytest
from spark_session import quiet, spark  # noqa: F401

from contracts import contract as contracts
from contracts.contract import Expectation
from contracts.errors import UnsupportedKeywordError
from spark_jobs.expectation_kinds import KINDS
from spark_jobs.expectations import Batch, evaluate, verdict

pytestmark = quiet

RUN = {"data_date": date(2026, 7, 30)}


def evaluated(spark, expectations, rows=None, *, may_be_empty=False):  # noqa: F811
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
    return evaluate([Batch(contract=contract, rows=frame, may_be_empty=may_be_empty)], RUN)


def expect(name, /, severity="error", mostly=1.0, **kwargs):
    return Expectation(type=f"expect_{name}", kwargs=kwargs, severity=severity, mostly=mostly)


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
    pytest.param(expect("table_row_count_to_equal", value=4), 4, True, id="row-count"),
    pytest.param(expect("table_column_count_to_equal", value=2), 3, False, id="column-count"),
    pytest.param(expect("table_column_count_to_be_between", max_value=3), 3, True, id="columns-at-most"),
    pytest.param(
        expect("table_columns_to_match_ordered_list", column_list=["v", "c", "d"]), ["c", "v", "d"], False, id="order"
    ),
    pytest.param(
        expect("table_columns_to_match_set", column_set=["v", "c"], exact_match=False),
        ["c", "v", "d"],
        True,
        id="names",
    ),
    pytest.param(expect("column_to_exist", column="v", column_index=0), ["c", "v", "d"], False, id="exists-at"),
    pytest.param(expect("column_values_to_be_of_type", column="d", type_="DateType"), "DateType", True, id="type"),
    pytest.param(
        expect("column_values_to_be_in_type_list", column="v", type_list=["LongType"]), "DoubleType", False, id="types"
    ),
    pytest.param(expect("column_values_to_be_null", column="v"), counted(4, 3), False, id="all-null"),
    pytest.param(
        expect("column_values_to_not_be_in_set", column="c", value_set=["USD"]), counted(3, 2), False, id="not-in-set"
    ),
    pytest.param(
        expect("column_value_lengths_to_be_between", column="c", min_value=3, max_value=3, strict_max=True),
        counted(3, 3),
        False,
        id="length",
    ),
    pytest.param(expect("column_value_lengths_to_equal", column="c", value=3), counted(3, 0), True, id="length-equal"),
    pytest.param(
        expect("column_values_to_not_match_regex", column="c", regex="D$"), counted(3, 2), False, id="no-regex"
    ),
    pytest.param(
        expect("column_values_to_match_regex_list", column="c", regex_list=["^U", "^G"]), counted(3, 0), True, id="any"
    ),
    pytest.param(
        expect("column_values_to_match_regex_list", column="c", regex_list=["^U", "D$", "^.S"], match_on="all"),
        counted(3, 1),
        False,
        id="all-of",
    ),
    pytest.param(
        expect("column_values_to_not_match_regex_list", column="c", regex_list=["^U", "^X"]),
        counted(3, 2),
        False,
        id="none-of",
    ),
    pytest.param(
        expect("column_pair_values_a_to_be_greater_than_b", column_A="v", column_B="v", or_equal=True),
        counted(3, 0),
        True,
        id="greater-or-equal",
    ),
    pytest.param(
        expect("column_pair_values_a_to_be_greater_than_b", column_A="v", column_B="v"),
        counted(3, 3),
        False,
        id="greater",
    ),
    pytest.param(
        expect("column_pair_values_to_be_equal", column_A="c", column_B="c", ignore_row_if="neither"),
        counted(4, 0),
        True,
        id="equal",
    ),
    pytest.param(
        expect("multicolumn_sum_to_equal", column_list=["v", "v"], sum_total=6),
        counted(3, 1),
        False,
        id="sum-of-columns",
    ),
    pytest.param(expect("column_sum_to_be_between", column="v", min_value=7, strict_min=True), 7.0, False, id="sum"),
    pytest.param(expect("column_mean_to_be_between", column="v", min_value=2, max_value=2.5), 7 / 3, True, id="mean"),
    pytest.param(expect("column_median_to_be_between", column="v", max_value=2.9), 3.0, False, id="median"),
    pytest.param(
        expect("column_stdev_to_be_between", column="v", max_value=1.2), pytest.approx(1.1547005), True, id="stdev"
    ),
    pytest.param(
        expect(
            "column_quantile_values_to_be_between",
            column="v",
            quantile_ranges={"quantiles": [0.1, 0.9], "value_ranges": [[0, 1], [None, 2]]},
        ),
        [1.0, 3.0],
        False,
        id="quantiles",
    ),
    pytest.param(
        expect("column_distinct_values_to_be_in_set", column="v", value_set=[1, 3, 5]),
        [1.0, 3.0],
        True,
        id="within-set",
    ),
    pytest.param(
        expect("column_distinct_values_to_equal_set", column="v", value_set=[1, 3, 5]),
        [1.0, 3.0],
        False,
        id="set-equal",
    ),
    pytest.param(
        expect("column_distinct_values_to_contain_set", column="c", value_set=["GBP"]),
        ["GBP", "USD"],
        True,
        id="contains",
    ),
    pytest.param(
        expect("column_unique_value_count_to_be_between", column="v", min_value=3), 2, False, id="distinct-count"
    ),
    pytest.param(
        expect("column_proportion_of_unique_values_to_be_between", column="v", max_value=0.7),
        2 / 3,
        True,
        id="proportion",
    ),
]


def test_every_expectation_observes_and_decides(spark):  # noqa: F811
    """All cases in one evaluation, as a check runs them."""
    results = evaluated(spark, [case.values[0] for case in CASES])
    assert {case.id: (result["observed"], result["success"]) for case, result in zip(CASES, results, strict=True)} == {
        case.id: case.values[1:] for case in CASES
    }


@pytest.mark.parametrize(("may_be_empty", "maximum"), [pytest.param(True, True), pytest.param(False, False)])
def test_no_rows_have_no_maximum_and_break_a_row_count(spark, may_be_empty, maximum):  # noqa: F811
    wanted = [
        expect("table_row_count_to_be_between", min_value=1),
        expect("column_values_to_not_be_null", column="v"),
        expect("column_max_to_be_between", column="v", max_value=1),
        expect("column_values_to_be_unique", column="v"),
    ]
    results = evaluated(spark, wanted, rows="none", may_be_empty=may_be_empty)
    assert [result["success"] for result in results] == [False, True, maximum, True]


LAYOUTS = ["%Y-%m-%d", "%d/%m/%Y", "%Y%m%d", "%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f%z", "%m-%d", "100%% %Y", "%Y %m"]
MOMENTS = [
    *("2026-07-30", "2026-7-3", "2026-02-29", "2024-02-29", "0000-01-01", "30/07/2026", "31/06/2026", "20260730"),
    *("23:59:59", "24:00:00", "1:2:3", "23:59:60", "2026-07-30T01:02:03.5Z", "2026-07-30T01:02:03.123456+02:00"),
    *("02-29", "02-28", "100% 2026", "100% 0000", "2026 07", "2026  7", " 2026-07-30", "2026-07-30\n", "", "x"),
]


def test_strftime_means_what_strptime_reads(spark):  # noqa: F811
    kind = KINDS["expect_column_values_to_match_strftime_format"]
    frame = spark.createDataFrame([(each,) for each in MOMENTS], "t string")
    failing = [kind.compile({"column": "t", "strftime_format": each}, frame.schema)[1] for each in LAYOUTS]
    found = frame.select("t", *failing).collect()

    def reads(text, layout):
        try:
            datetime.strptime(text, layout)
        except ValueError:
            return False
        return True

    assert {row[0]: [not each for each in row[1:]] for row in found} == {
        text: [reads(text, layout) for layout in LAYOUTS] for text in MOMENTS
    }
    with pytest.raises(UnsupportedKeywordError, match="%A"):
        kind.compile({"column": "t", "strftime_format": "%A"}, frame.schema)


def test_a_bound_on_a_decimal_is_exact(spark):  # noqa: F811
    total = expect("column_sum_to_be_between", column="v", max_value=0.3)
    frame = spark.createDataFrame([(Decimal("0.1"),), (Decimal("0.2"),)], "v decimal(20,10)")
    contract = dataclasses.replace(contracts.load("fx_rates_silver"), expectations=(total,))
    assert evaluate([Batch(contract=contract, rows=frame)], RUN)[0]["success"]
    above = frame.unionByName(spark.createDataFrame([(Decimal("0.0000000001"),)], "v decimal(20,10)"))
    assert not evaluate([Batch(contract=contract, rows=above)], RUN)[0]["success"]


def test_an_unknown_expectation_is_refused(spark):  # noqa: F811
    with pytest.raises(UnsupportedKeywordError, match="expect_magic"):
        evaluated(spark, [expect("magic")])


@pytest.mark.parametrize(
    ("failed", "fail_from", "expected"),
    [
        pytest.param([], {"error": 1}, "PASS", id="none"),
        pytest.param(["warn", "warn"], {"error": 1}, "WARN", id="warn"),
        pytest.param(["warn", "error"], {"error": 1}, "FAIL", id="error"),
        pytest.param(["error"], {"error": 2}, "WARN", id="one-error-of-two"),
        pytest.param(["warn", "warn"], {"error": 1, "warn": 2}, "FAIL", id="two-warnings"),
    ],
)
def test_the_verdict_follows_the_thresholds(failed, fail_from, expected):
    kept = {"severity": "error", "success": True}
    results = [kept, *({"severity": each, "success": False} for each in failed)]
    assert verdict(results, fail_from) == expected


@pytest.mark.parametrize(
    ("failed", "waived", "expected"),
    [
        pytest.param([], ["error"], "PASS_WITH_WAIVER", id="only-failure"),
        pytest.param(["warn"], ["error"], "PASS_WITH_WAIVER", id="a-warning-is-left"),
        pytest.param([], ["warn"], "PASS_WITH_WAIVER", id="only-warning"),
        pytest.param(["error"], ["error"], "FAIL", id="another-failure-is-left"),
        pytest.param(["warn"], ["warn"], "WARN", id="another-warning-is-left"),
    ],
)
def test_a_waived_failure_counts_as_none(failed, waived, expected):
    results = [{"severity": each, "success": False, "waived": False} for each in failed]
    results += [{"severity": each, "success": False, "waived": True} for each in waived]
    assert verdict(results, {"error": 1}) == expected


def test_a_waived_failure_leaves_fewer_than_the_threshold():
    results = [{"severity": "error", "success": False, "waived": each} for each in (True, False, False)]
    assert verdict(results, {"error": 3}) == "PASS_WITH_WAIVER"
    assert verdict(results, {"error": 2}) == "FAIL"
