"""Our verdicts are Great Expectations' own, on the same Spark frames.

Great Expectations lives in an environment of its own (ops/bench/gx.py, made on first use), because pandas here would
change how other clients behave. Frames reach it as Parquet, expectations as the suites that contracts export.
"""

import dataclasses
import json
import os
import random
import re
import subprocess
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyspark
import pytest
from spark_session import quiet, spark  # noqa: F401

from contracts import contract as contracts
from contracts.contract import Expectation
from contracts.errors import UnsupportedKeywordError
from contracts.gx_suites import from_suite, to_suite
from ops.bench import gx
from spark_jobs.expectation_kinds import KINDS
from spark_jobs.expectations import Batch, evaluate

pytestmark = [quiet, pytest.mark.slow]

ROOT = Path(__file__).parents[1]
ORACLE = ROOT / "tests" / "oracle"
RUN = {"data_date": date(2026, 7, 30)}
NAN, INFINITY = float("nan"), float("inf")

SCHEMA = (
    "i int, j int, l bigint, h smallint, d double, e double, x float, m decimal(18,4), n decimal(10,2),"
    " s string, t string, day date, due date, at timestamp, flag boolean"
)
DAYS = [date(2026, 7, 28) + timedelta(days=each) for each in range(5)]
# bounds are drawn from the same values as rows, so that rows lie on them
NUMBERS = [-1.5, -1, 0, 0.25, 0.5, 1, 2, 3]
TEXTS = ["USD", "GBP", "", "a", "ab", " ab ", "ß", "日本", "😀", "'q'", '"', "\\d", "a\tb", "NaN", "null", "1", "2.5"]
TEXTS += ["2026-07-30", "2026-02-30", "30/07/2026"]
POOLS = {
    "i": [-1, 0, 1, 2, 3],
    "j": [-1, 0, 1, 2, 3],
    "l": [-1, 0, 1, 2, 2**40],
    "h": [0, 1, 2],
    "d": [*map(float, NUMBERS), -0.0],
    "e": [*map(float, NUMBERS), 1e9],
    "x": [0.25, 0.5, 2.0],
    "m": [Decimal(str(each)) for each in NUMBERS],
    "n": [Decimal(str(each)) for each in NUMBERS],
    "s": TEXTS[:6],
    "t": TEXTS,
    "day": DAYS,
    "due": DAYS,
    "at": [datetime(2026, 7, 28, 12, tzinfo=UTC) + timedelta(hours=each * 12) for each in range(6)],
    "flag": [True, False],
}
SPECIAL = {"d": [NAN, INFINITY, -INFINITY, 1.0], "e": [INFINITY, NAN, 0.5], "x": [NAN, INFINITY, 2.0]}
LARGE = {"l": [2**62, 2**62 + 1, -(2**62), 2**62], "i": [2**31 - 1], "j": [2**31 - 1, -1], "d": [1e300, -1e300, 1e-300]}
LARGE |= {"m": [Decimal("99999999999999.9999"), Decimal("0.0001")]}
INTEGERS, FLOATS, DECIMALS = ["i", "j", "l"], ["d", "e", "x"], ["m", "n"]
NUMERIC, STRINGS, TEMPORAL = INTEGERS + FLOATS + DECIMALS, ["s", "t"], ["day", "due", "at"]


def rows(draw, count, nulls=0.0, only=None, **pools):
    """Rows of values from the pools, some null; columns in `only` are null throughout."""
    pools = {**POOLS, **pools}
    return [
        tuple(None if name in (only or ()) or draw.random() < nulls else draw.choice(pools[name]) for name in POOLS)
        for _ in range(count)
    ]


def frames(draw):
    ties = {name: pool[:2] for name, pool in POOLS.items()}
    return {
        "empty": [],
        "one-row": rows(draw, 1),
        "one-null-row": rows(draw, 1, nulls=1),
        "null-columns": rows(draw, 7, only=["i", "d", "m", "s", "day", "at", "flag"]),
        "ties": rows(draw, 60, **ties),
        "ties-and-nulls": rows(draw, 41, nulls=0.4, **ties),
        "mixed": rows(draw, 24, nulls=0.2),
        "whole": rows(draw, 15),
        "not-finite": rows(draw, 18, nulls=0.2, **SPECIAL),
        "large": rows(draw, 8, **LARGE),
    }


CONDITIONS = [
    "d > 0.5",
    "s = 'USD'",
    "i IS NULL",
    "i IN (1, 2) OR flag",
    "i > 100",
    "s <> 'it''s' AND day >= '2026-07-30'",
]
SPARK_TYPES = ["IntegerType", "LongType", "DoubleType", "DecimalType", "StringType", "DateType", "NumericType"]
SPARK_TYPES += ["FractionalType", "AtomicType", "TimestampType", "BooleanType"]
REGEXES = ["^[A-Z]+$", "a", r"\s", "^$", ".", "^.{1,2}$", r"\d{4}-\d{2}", "(a|b)b?", "[^ -~]", r"\\"]


class Draw(random.Random):
    """Arguments of expectations."""

    def some(self, pool, most=3):
        return self.sample(pool, self.randint(1, min(most, len(pool))))

    def bounds(self, pool, strict=True):
        low, high = sorted(self.choices(pool, k=2))
        wanted = self.choice([{"min_value": low}, {"max_value": high}, {"min_value": low, "max_value": high}])
        if strict and self.random() < 0.4:
            wanted |= {f"strict_{name[:3]}": True for name in [*wanted]}
        return wanted

    def number(self):
        return {"column": self.choice(NUMERIC), **self.bounds(NUMBERS)}

    def number_or_moment(self):
        """Mostly numbers; days too, for which there are parameters of the run."""
        if self.random() < 0.7:
            return self.number()
        if self.random() < 0.3:
            return {"column": "day", "max_value": {"$run": "data_date"}}
        return {"column": self.choice(TEMPORAL), **self.bounds([str(each) for each in DAYS])}

    def value_set(self):
        column = self.choice(["i", "l", "d", "s", "t", "day", "flag", "m"])
        pool = [str(each) for each in DAYS] if column == "day" else NUMBERS if column == "m" else POOLS[column]
        return {"column": column, "value_set": self.choices(pool, k=self.randint(1, 6))}

    def pair(self):
        columns = self.choice([("i", "j"), ("d", "e"), ("m", "n"), ("s", "t"), ("day", "due"), ("i", "d"), ("l", "m")])
        return dict(zip(("column_A", "column_B"), columns, strict=True)) | self.optional(
            ignore_row_if=["both_values_are_missing", "either_value_is_missing", "neither"]
        )

    def columns(self, *pools):
        return {"column_list": self.choice(pools)} | self.optional(
            ignore_row_if=["all_values_are_missing", "any_value_is_missing", "never"]
        )

    def optional(self, **choices):
        return {name: self.choice(values) for name, values in choices.items() if self.random() < 0.5}

    def quantiles(self):
        wanted = sorted(self.sample([0.0, 0.1, 0.25, 0.5, 0.9, 1.0], 2))
        ranges = [[*sorted(self.choices(NUMBERS, k=2))] for _ in wanted]
        ranges[0][self.randint(0, 1)] = None
        return {"column": self.choice(NUMERIC), "quantile_ranges": {"quantiles": wanted, "value_ranges": ranges}}

    def text(self, **others):
        return {"column": self.choice(STRINGS), **others}


ALL = list(POOLS)
COUNTS = list(range(0, 30, 3))
ARGUMENTS = {
    "table_row_count_to_be_between": lambda draw: draw.bounds(COUNTS),
    "table_row_count_to_equal": lambda draw: {"value": draw.choice([0, 1, 7, 24])},
    "table_column_count_to_be_between": lambda draw: draw.bounds([14, 15, 16], strict=False),
    "table_column_count_to_equal": lambda draw: {"value": draw.choice([14, 15])},
    "table_columns_to_match_ordered_list": lambda draw: {"column_list": draw.choice([ALL, ALL[::-1], ALL[1:]])},
    "table_columns_to_match_set": lambda draw: (
        {"column_set": draw.choice([ALL, ALL[::-1], ALL[1:], [*ALL, "z"]])} | draw.optional(exact_match=[True, False])
    ),
    "column_to_exist": lambda draw: {"column": draw.choice(["i", "j", "z"])} | draw.optional(column_index=[1, 2, 40]),
    "column_values_to_be_of_type": lambda draw: {"column": draw.choice(ALL), "type_": draw.choice(SPARK_TYPES)},
    "column_values_to_be_in_type_list": lambda draw: {
        "column": draw.choice(ALL),
        "type_list": draw.some([*SPARK_TYPES, "Text"]),
    },
    "column_values_to_not_be_null": lambda draw: {"column": draw.choice(ALL)},
    "column_values_to_be_null": lambda draw: {"column": draw.choice(ALL)},
    "column_values_to_be_between": lambda draw: draw.number_or_moment(),
    "column_values_to_be_in_set": lambda draw: draw.value_set(),
    "column_values_to_not_be_in_set": lambda draw: draw.value_set(),
    "column_value_lengths_to_be_between": lambda draw: draw.text(**draw.bounds([0, 1, 2, 3, 10])),
    "column_value_lengths_to_equal": lambda draw: draw.text(value=draw.choice([0, 1, 3])),
    "column_values_to_match_regex": lambda draw: draw.text(regex=draw.choice(REGEXES)),
    "column_values_to_not_match_regex": lambda draw: draw.text(regex=draw.choice(REGEXES)),
    "column_values_to_match_regex_list": lambda draw: (
        draw.text(regex_list=draw.some(REGEXES)) | draw.optional(match_on=["any", "all"])
    ),
    "column_values_to_not_match_regex_list": lambda draw: draw.text(regex_list=draw.some(REGEXES)),
    "column_values_to_match_strftime_format": lambda draw: draw.text(
        strftime_format=draw.choice(["%Y-%m-%d", "%d/%m/%Y", "%H:%M", "%Y"])
    ),
    "column_pair_values_a_to_be_greater_than_b": lambda draw: draw.pair() | draw.optional(or_equal=[True, False]),
    "column_pair_values_to_be_equal": lambda draw: draw.pair(),
    "multicolumn_sum_to_equal": lambda draw: (
        draw.columns(["i", "j"], ["l", "i", "j"], ["m", "n"], ["d", "e"], ["i", "d"])
        | {"sum_total": draw.choice(NUMBERS)}
    ),
    "column_max_to_be_between": lambda draw: draw.number_or_moment(),
    "column_min_to_be_between": lambda draw: draw.number_or_moment(),
    "column_sum_to_be_between": lambda draw: draw.number(),
    "column_mean_to_be_between": lambda draw: draw.number(),
    "column_median_to_be_between": lambda draw: draw.number(),
    "column_stdev_to_be_between": lambda draw: draw.number(),
    "column_quantile_values_to_be_between": lambda draw: draw.quantiles(),
    "column_distinct_values_to_be_in_set": lambda draw: draw.value_set(),
    "column_distinct_values_to_equal_set": lambda draw: draw.value_set(),
    "column_distinct_values_to_contain_set": lambda draw: draw.value_set(),
    "column_values_to_be_unique": lambda draw: {"column": draw.choice(ALL)},
    "compound_columns_to_be_unique": lambda draw: draw.columns(["i", "j"], ["s", "day"], ["d", "e", "m"], ["t", "at"]),
    "column_unique_value_count_to_be_between": lambda draw: {"column": draw.choice(ALL), **draw.bounds(COUNTS)},
    "column_proportion_of_unique_values_to_be_between": lambda draw: {
        "column": draw.choice(ALL),
        **draw.bounds([0, 0.25, 0.5, 1]),
    },
}
SHAPES = [name for name in ARGUMENTS if re.search("column_count|columns_to_match|column_to_exist|type", name)]
MOSTLY = [
    name
    for name in ARGUMENTS
    if re.search("column_value|pair_values|multicolumn|compound", name) and name not in SHAPES
]


def drawn(draw, name):
    kwargs = ARGUMENTS[name](draw)
    mostly = draw.choice([0, 0.25, 0.5, 0.75, 0.9]) if name in MOSTLY and draw.random() < 0.4 else 1.0
    if name not in SHAPES and draw.random() < 0.3:
        kwargs |= {"row_condition": draw.choice(CONDITIONS), "condition_parser": "spark"}
    severity = draw.choice(["error", "warn"])
    return Expectation(type=f"expect_{name}", kwargs=kwargs, severity=severity, mostly=float(mostly))


def contract_of(expectations):
    return dataclasses.replace(contracts.load("fx_rates_silver"), expectations=tuple(expectations))


@pytest.fixture(scope="module")
def oracle():
    """The Python that has Great Expectations, with the Spark that is used here."""
    assert f"pyspark=={pyspark.__version__}\n" in gx.PINNED.read_text()
    return gx.python()


def asked(python, folder, batches):
    """A process that writes the oracle's verdicts of (frame's folder, expectations) to folder/verdicts.json."""
    documents = []
    for frame, expectations in batches:
        suite = to_suite(contract_of(expectations))
        for case, each in enumerate(suite["expectations"]):
            each["meta"]["case"] = case
        documents.append({"frame": str(frame), "suite": suite, "parameters": {name: str(RUN[name]) for name in RUN}})
    (folder / "cases.json").write_text(json.dumps(documents))
    with (folder / "oracle.log").open("w") as log:
        return subprocess.Popen(
            [python, ORACLE / "gx_verdicts.py", folder / "cases.json", folder / "verdicts.json"],
            env={**os.environ, "PYTHONPATH": ""},
            stdout=log,
            stderr=log,
        )


def ours(frame, expectations):
    """What a check finds: a verdict of each expectation, or the error that it ends in when it is among them."""
    try:
        results = evaluate([Batch(contract=contract_of(expectations), rows=frame)], RUN)
        return [{"success": each["success"]} for each in results]
    except UnsupportedKeywordError as error:
        if len(expectations) == 1:
            return [{"error": str(error)}]
    half = len(expectations) // 2
    return ours(frame, expectations[:half]) + ours(frame, expectations[half:])


def always(name, **kwargs):
    return Expectation(type=f"expect_{name}", kwargs=kwargs, severity="error", mostly=1.0)


# What chance would seldom draw, of every frame.
ALWAYS = [
    always("column_sum_to_be_between", column="l", max_value=2**70),
    always("column_values_to_be_unique", column="d"),
    always("column_unique_value_count_to_be_between", column="d", min_value=4),
    always("compound_columns_to_be_unique", column_list=["i", "m"], ignore_row_if="any_value_is_missing"),
    always("compound_columns_to_be_unique", column_list=["i", "m"], ignore_row_if="never"),
    always("column_distinct_values_to_contain_set", column="flag", value_set=[True, True]),
    always(
        "column_quantile_values_to_be_between",
        column="d",
        quantile_ranges={"quantiles": [0.0, 1.0], "value_ranges": [[-1.49995, 9], [-9, 2.9998]]},
    ),
]


def odd(name, ours, theirs, mostly=1.0, **kwargs):
    return Expectation(type=f"expect_{name}", kwargs=kwargs, severity="error", mostly=mostly), ours, theirs


# One row, and what is said of it where the two do not both give the same verdict.
ODD_ROW = dict.fromkeys(POOLS) | {
    "i": 1,
    "l": 2**53 + 1,
    "h": 2,
    "d": 0.5,
    "n": Decimal("0.30"),
    "s": "a\r",
    "flag": True,
}
ODD_ROW |= {"day": date(2026, 7, 30), "at": datetime(2026, 7, 30, tzinfo=UTC), "t": "Thursday"}
REFUSED = "refused"
DIFFERENCES = {
    # Java's $ stands before any line end, and its dot matches none; Python knows \n alone
    "regex-end": odd("column_values_to_match_regex", False, True, column="s", regex="^a$"),
    "regex-dot": odd("column_values_to_match_regex", True, False, column="s", regex="^a.$"),
    # Great Expectations reads each bound as a float; here it is the number that the contract writes
    "whole-bound": odd("column_values_to_be_between", False, True, column="l", max_value=2**53),
    # Great Expectations takes the first place for no place at all
    "first-place": odd("column_to_exist", False, True, column="j", column_index=0),
    "names-of-days": odd("column_values_to_match_strftime_format", REFUSED, True, column="t", strftime_format="%A"),
}
QUANTILE = {"quantiles": [0.5], "value_ranges": [[0, 3]]}
RAISES = {
    "text-and-numbers": odd("column_values_to_be_between", REFUSED, "StringType", column="s", max_value=3),
    "boolean-and-numbers": odd("column_values_to_be_between", REFUSED, "BooleanType", column="flag", max_value=3),
    "mean-of-texts": odd("column_mean_to_be_between", REFUSED, "numeric column type", column="s", max_value=3),
    "median-of-days": odd("column_median_to_be_between", REFUSED, "not supported", column="day", max_value=3),
    "quantiles-of-texts": odd(
        "column_quantile_values_to_be_between", REFUSED, "not supported", column="s", quantile_ranges=QUANTILE
    ),
    "mean-of-smallints": odd("column_mean_to_be_between", True, "numeric column type", column="h", max_value=3),
    "whole-quantiles": odd(
        "column_quantile_values_to_be_between",
        True,
        "ClassCastException",
        column="d",
        quantile_ranges={"quantiles": [0.5, 1], "value_ranges": [[0, 3], [0, 3]]},
    ),
    "crossed-bounds": odd(
        "column_values_to_be_between", False, "cannot be greater", column="d", min_value=3, max_value=1
    ),
    "no-bounds": odd("column_values_to_be_between", True, "cannot both be None", column="d"),
    "no-values": odd("column_distinct_values_to_be_in_set", False, "non-empty", column="i", value_set=[]),
    "unknown-type": odd("column_values_to_be_of_type", False, "No recognized", column="i", type_="Text"),
    "moment-and-zone": odd(
        "column_max_to_be_between", True, "offset-naive", column="at", max_value="2026-07-31T00:00:00+02:00"
    ),
    "text-as-bound": odd("column_values_to_be_between", True, "ValidationError", column="s", min_value="A"),
}
ODD = DIFFERENCES | RAISES


@pytest.fixture(scope="module")
def judged(spark, oracle, tmp_path_factory):  # noqa: F811
    """By frame: expectations, our verdicts, theirs, and the suite as Great Expectations saves it."""
    folder, draw = tmp_path_factory.mktemp("oracle"), Draw(20260730)
    cases = {name: (each, [*(drawn(draw, name) for name in ARGUMENTS), *ALWAYS]) for name, each in frames(draw).items()}
    cases["odd"] = [tuple(ODD_ROW.values())], [each for each, _, _ in ODD.values()]
    for name, (values, _) in cases.items():
        spark.createDataFrame(values, SCHEMA).coalesce(1).write.parquet(str(folder / name))
    process = asked(oracle, folder, [(folder / name, expectations) for name, (_, expectations) in cases.items()])
    try:
        verdicts = {
            name: ours(spark.read.parquet(str(folder / name)), expectations)
            for name, (_, expectations) in cases.items()
        }
        assert process.wait(timeout=550) == 0, (folder / "oracle.log").read_text()[-2000:]
    finally:
        process.kill()
    found = json.loads((folder / "verdicts.json").read_text())
    return {
        name: (expectations, verdicts[name], theirs["verdicts"], theirs["suite"])
        for (name, (_, expectations)), theirs in zip(cases.items(), found, strict=True)
    }


@pytest.mark.timeout(1200)  # the first use installs the oracle
def test_a_verdict_is_that_of_great_expectations(judged):
    compared = [
        (name, each, *both)
        for name, (expectations, *verdicts, _) in judged.items()
        if name != "odd"
        for each, *both in zip(expectations, *verdicts, strict=True)
    ]
    assert [case for case in compared if case[2] != case[3]] == []
    # a proof that decides one way only proves little
    decided = Counter((each.type, verdict["success"]) for _, each, verdict, _ in compared)
    assert {name for name, _ in decided} == set(KINDS)
    assert {name for name in KINDS if not decided[name, True] or not decided[name, False]} == set()


@pytest.mark.parametrize("case", ODD)
def test_where_the_two_part_is_known(judged, case):
    _, mine, theirs = ODD[case]
    _, my_verdicts, their_verdicts, _ = judged["odd"]
    mine_found, theirs_found = my_verdicts[list(ODD).index(case)], their_verdicts[list(ODD).index(case)]
    assert mine_found.get("success", REFUSED) == mine
    if case in DIFFERENCES:
        assert theirs_found == {"success": theirs}
    else:
        assert re.search(theirs, theirs_found["error"])


def test_a_suite_that_great_expectations_saves_comes_back(judged):
    for name, (expectations, _, _, saved) in judged.items():
        if name != "odd":
            assert without_defaults(saved) == without_defaults(to_suite(contract_of(expectations)))


def without_defaults(suite):
    """The expectations read back, without the arguments that Great Expectations does not save."""
    defaults = {"match_on": ["any"], "ignore_row_if": ["both_values_are_missing", "all_values_are_missing"]}
    defaults |= {"exact_match": [True]}
    return [
        {**each, "kwargs": {key: value for key, value in each["kwargs"].items() if value not in defaults.get(key, [])}}
        for each in from_suite(suite)
    ]
