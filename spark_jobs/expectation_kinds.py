"""Every expectation that a contract may use, in Great Expectations' spelling: what it needs of Spark, how it is judged.

A kind says how an expectation is measured. Row-wise ones and single values become aggregates of one pass; repeats need
a group-by of their own; shapes need no rows at all. Verdicts are Great Expectations' own on Spark, nulls, NaN and empty
tables included; a regular expression means what it means to Python.

Source: Great Expectations 1.24, Expectation gallery and its Spark metrics.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import reduce
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as sf
from pyspark.sql.types import BooleanType, IntegralType, NumericType, StringType, StructType

from contracts.errors import UnsupportedKeywordError
from spark_jobs.strftime import keeps_strftime

Kwargs = Mapping[str, Any]
Rows = tuple[Column, Column]  # which rows an expectation evaluates, and which of those fail it
_LARGEST_ACCURACY = 2**31 - 1  # of percentile_approx: every value counts


@dataclass(frozen=True)
class RowWise:
    """About each row. Null values are left out unless it says otherwise."""

    compile: Callable[[Kwargs, StructType], Rows]


@dataclass(frozen=True)
class OneValue:
    """About one value of the table, which Spark computes and `judge` decides on."""

    compile: Callable[[Kwargs, StructType], Column]
    judge: Callable[[Any, Kwargs], bool]


@dataclass(frozen=True)
class Repeats:
    """About how often the values of some columns repeat; `measure` is None where each repeated row fails.

    `ignore_row_if` says which rows are left out: unless it says otherwise, those that have only nulls there.
    """

    columns: Callable[[Kwargs], Sequence[str]]
    measure: Callable[[Mapping[str, int]], float] | None = None


@dataclass(frozen=True)
class Shape:
    """About the table's columns: from its schema, what was observed and whether that is as expected."""

    judge: Callable[[StructType, Kwargs], tuple[Any, bool]]


Kind = RowWise | OneValue | Repeats | Shape


def within(observed: Any, kwargs: Kwargs) -> bool:
    """Whether a value lies between min_value and max_value; nothing, and what is not a number, lies nowhere."""
    if observed is None or observed == "NaN":
        return False
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    value, *bounds = _comparable(observed, low, high)
    above = low is None or (value > bounds[0] if kwargs.get("strict_min") else value >= bounds[0])
    below = high is None or (value < bounds[1] if kwargs.get("strict_max") else value <= bounds[1])
    return bool(above and below)


def between(value: Column, kwargs: Kwargs) -> Column:
    """The condition that a value lies between min_value and max_value."""
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    inside = sf.lit(True)
    if low is not None:
        inside = inside & (value > sf.lit(low) if kwargs.get("strict_min") else value >= sf.lit(low))
    if high is not None:
        inside = inside & (value < sf.lit(high) if kwargs.get("strict_max") else value <= sf.lit(high))
    return inside


def _comparable(*values: Any) -> list[Any]:
    """The values as one kind: numbers exact, moments in UTC, anything else as text."""
    present = [value for value in values if value is not None]
    for convert in (_number, _moment):
        try:
            return [None if value is None else convert(value) for value in values]
        except (TypeError, ValueError, ArithmeticError):
            continue
    return [None if value is None else str(value) for value in values] if present else list(values)


def _number(value: Any) -> Decimal:
    if isinstance(value, str) and value not in ("Infinity", "-Infinity"):
        raise TypeError  # text that looks like a number is text
    return Decimal(str(value))


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(str(value))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _values(failing: Callable[[Column, Kwargs], Column]) -> RowWise:
    """About each value of a column that is not null."""

    def compiled(kwargs: Kwargs, _: StructType) -> Rows:
        value = sf.col(kwargs["column"])
        return value.isNotNull(), failing(value, kwargs)

    return RowWise(compiled)


def _between(kwargs: Kwargs, schema: StructType) -> Rows:
    """About each value that is not null, whose column must compare with the bounds."""
    column, bounds = kwargs["column"], [kwargs.get("min_value"), kwargs.get("max_value")]
    kind = schema[column].dataType
    numbers = any(isinstance(bound, int | float | Decimal) for bound in bounds)
    if isinstance(kind, BooleanType) or (isinstance(kind, StringType) and numbers):
        raise UnsupportedKeywordError(f"column {column} is a {kind.simpleString()}, its bounds are not")
    value = sf.col(column)
    return value.isNotNull(), ~between(value, kwargs)


def _every_row(failing: Callable[[Column], Column]) -> RowWise:
    return RowWise(lambda kwargs, _: (sf.lit(True), failing(sf.col(kwargs["column"]))))


def _pair(failing: Callable[[Column, Column, Kwargs], Column]) -> RowWise:
    """About two columns of each row; `ignore_row_if` says which rows are left out."""

    def compiled(kwargs: Kwargs, _: StructType) -> Rows:
        one, other = sf.col(kwargs["column_A"]), sf.col(kwargs["column_B"])
        left_out = {
            "both_values_are_missing": one.isNull() & other.isNull(),
            "either_value_is_missing": one.isNull() | other.isNull(),
            "neither": sf.lit(False),
        }[kwargs.get("ignore_row_if", "both_values_are_missing")]
        return ~left_out, failing(one, other, kwargs)

    return RowWise(compiled)


def _greater(one: Column, other: Column, kwargs: Kwargs) -> Column:
    return ~((one >= other) | one.eqNullSafe(other)) if kwargs.get("or_equal") else ~(one > other)


def present(columns: Sequence[str], kwargs: Kwargs) -> Column:
    """The rows that an expectation of several columns is about, by its `ignore_row_if`."""
    nulls = [sf.col(name).isNull() for name in columns]
    return ~{
        "all_values_are_missing": reduce(Column.__and__, nulls),
        "any_value_is_missing": reduce(Column.__or__, nulls),
        "never": sf.lit(False),
    }[kwargs.get("ignore_row_if", "all_values_are_missing")]


def _sum_of_columns(kwargs: Kwargs, schema: StructType) -> Rows:
    # whole numbers in a decimal that no sum of them outgrows
    parts = [
        sf.coalesce(
            sf.col(name).cast("decimal(38,0)") if isinstance(schema[name].dataType, IntegralType) else sf.col(name),
            sf.lit(0),
        )
        for name in kwargs["column_list"]
    ]
    return present(kwargs["column_list"], kwargs), reduce(Column.__add__, parts) != sf.lit(kwargs["sum_total"])


def _matches(value: Column, regex: str) -> Column:
    # (?d): only \n ends a line, as in Python
    return value.rlike(f"(?d){regex}")


def _matches_list(value: Column, kwargs: Kwargs) -> Column:
    """Whether a value matches any (or all, by `match_on`) of the expressions."""
    found = [_matches(value, regex) for regex in kwargs["regex_list"]]
    return reduce(Column.__and__ if kwargs.get("match_on") == "all" else Column.__or__, found)


def _value(aggregate: Callable[[Column], Column], judge: Callable[[Any, Kwargs], bool] = within) -> OneValue:
    """About one aggregate of a column."""
    return OneValue(lambda kwargs, _: aggregate(kept(kwargs, sf.col(kwargs["column"]))), judge)


def _of_numbers(
    aggregate: Callable[[Column, Kwargs], Column], judge: Callable[[Any, Kwargs], bool] = within
) -> OneValue:
    """About one aggregate of a column, which must hold numbers."""

    def compiled(kwargs: Kwargs, schema: StructType) -> Column:
        column = kwargs["column"]
        kind = schema[column].dataType
        if not isinstance(kind, NumericType):
            raise UnsupportedKeywordError(f"column {column} is a {kind.simpleString()}, not a number")
        return aggregate(kept(kwargs, sf.col(column)), kwargs)

    return OneValue(compiled, judge)


def _sum(kwargs: Kwargs, schema: StructType) -> Column:
    """The sum, that of whole numbers in a decimal that none outgrows."""
    value = kept(kwargs, sf.col(kwargs["column"]))
    whole = isinstance(schema[kwargs["column"]].dataType, IntegralType)
    return sf.sum(value.cast("decimal(20,0)") if whole else value)


def _not_nan(column: Column) -> Column:
    """The values as doubles, without NaN: a quantile leaves it out."""
    number = column.cast("double")
    return sf.when(~sf.isnan(number), number)


def _quantiles(column: Column, kwargs: Kwargs) -> Column:
    wanted = [float(each) for each in kwargs["quantile_ranges"]["quantiles"]]
    return sf.percentile_approx(_not_nan(column), wanted, _LARGEST_ACCURACY)


def _each_within(observed: Any, kwargs: Kwargs) -> bool:
    ranges = kwargs["quantile_ranges"]["value_ranges"]
    if not observed:
        return False
    return all(
        within(value, {"min_value": low, "max_value": high}) or _close(value, low) or _close(value, high)
        for value, (low, high) in zip(observed, ranges, strict=True)
    )


def _close(value: Any, bound: float | None) -> bool:
    """Whether a quantile all but equals a bound, which is enough to keep it."""
    return bound is not None and math.isfinite(float(value)) and abs(float(value) - bound) <= 1e-8 + 1e-4 * abs(bound)


def _alike(observed: Sequence[Any], wanted: Sequence[Any]) -> tuple[set[str], set[str]]:
    """Two collections of values, each value as text: Spark's come as JSON."""
    texts = [{json.dumps(_plain(value)) for value in values} for values in (observed, wanted)]
    return texts[0], texts[1]


def _plain(value: Any) -> Any:
    """A value without its spelling: 1, 1.0 and Decimal('1.00') are one number."""
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return format(Decimal(str(value)).normalize(), "f")
    return value if isinstance(value, bool) else str(value)


def _in_set(observed: Any, kwargs: Kwargs) -> bool:
    there, allowed = _alike(observed or (), kwargs["value_set"])
    return there <= allowed


def _equals_set(observed: Any, kwargs: Kwargs) -> bool:
    return _in_set(observed, kwargs) and _contains_set(observed, kwargs)


def _contains_set(observed: Any, kwargs: Kwargs) -> bool:
    there, wanted = _alike(observed or (), kwargs["value_set"])
    # a value that is asked for twice is never there twice
    return there >= wanted and len(wanted) == len(kwargs["value_set"])


def _set_of(judge: Callable[[Any, Kwargs], bool]) -> OneValue:
    return _value(lambda column: sf.sort_array(sf.collect_set(column)), judge)


def _column_exists(schema: StructType, kwargs: Kwargs) -> tuple[Any, bool]:
    names, index = schema.names, kwargs.get("column_index")
    there = kwargs["column"] in names
    return names, there and (index is None or names.index(kwargs["column"]) == index)


def _column_set(schema: StructType, kwargs: Kwargs) -> tuple[Any, bool]:
    there, wanted = set(schema.names), set(kwargs["column_set"])
    return schema.names, there == wanted if kwargs.get("exact_match", True) else there >= wanted


def _type_in(schema: StructType, kwargs: Kwargs) -> tuple[Any, bool]:
    """By the name of the type's class in Spark, such as DecimalType, or of one above it, such as NumericType."""
    kind = type(schema[kwargs["column"]].dataType)
    names = {each.__name__ for each in kind.__mro__}
    return kind.__name__, not names.isdisjoint(kwargs.get("type_list", [kwargs.get("type_")]))


def kept(kwargs: Kwargs, value: Column) -> Column:
    """The value where the expectation's row condition holds, else null."""
    return sf.when(condition(kwargs), value)


def condition(kwargs: Kwargs) -> Column:
    """The rows that an expectation is about: those on which its `row_condition`, in Spark SQL, is true."""
    text = kwargs.get("row_condition")
    return sf.coalesce(sf.expr(text), sf.lit(False)) if text else sf.lit(True)


_ROWS = OneValue(lambda kwargs, _: sf.count(kept(kwargs, sf.lit(1))), within)

KINDS: Mapping[str, Kind] = {
    # the table
    "expect_table_row_count_to_be_between": _ROWS,
    "expect_table_row_count_to_equal": OneValue(_ROWS.compile, lambda rows, kwargs: bool(rows == kwargs["value"])),
    "expect_table_column_count_to_be_between": Shape(
        lambda schema, kwargs: (len(schema.names), within(len(schema.names), kwargs))
    ),
    "expect_table_column_count_to_equal": Shape(
        lambda schema, kwargs: (len(schema.names), len(schema.names) == kwargs["value"])
    ),
    "expect_table_columns_to_match_ordered_list": Shape(
        lambda schema, kwargs: (schema.names, schema.names == list(kwargs["column_list"]))
    ),
    "expect_table_columns_to_match_set": Shape(_column_set),
    "expect_column_to_exist": Shape(_column_exists),
    "expect_column_values_to_be_of_type": Shape(_type_in),
    "expect_column_values_to_be_in_type_list": Shape(_type_in),
    # each value
    "expect_column_values_to_not_be_null": _every_row(lambda value: value.isNull()),
    "expect_column_values_to_be_null": _every_row(lambda value: value.isNotNull()),
    "expect_column_values_to_be_between": RowWise(_between),
    "expect_column_values_to_be_in_set": _values(lambda value, kwargs: ~value.isin(*kwargs["value_set"])),
    "expect_column_values_to_not_be_in_set": _values(lambda value, kwargs: value.isin(*kwargs["value_set"])),
    "expect_column_value_lengths_to_be_between": _values(lambda value, kwargs: ~between(sf.char_length(value), kwargs)),
    "expect_column_value_lengths_to_equal": _values(lambda value, kwargs: sf.char_length(value) != kwargs["value"]),
    "expect_column_values_to_match_regex": _values(lambda value, kwargs: ~_matches(value, kwargs["regex"])),
    "expect_column_values_to_not_match_regex": _values(lambda value, kwargs: _matches(value, kwargs["regex"])),
    "expect_column_values_to_match_regex_list": _values(lambda value, kwargs: ~_matches_list(value, kwargs)),
    "expect_column_values_to_not_match_regex_list": _values(
        lambda value, kwargs: _matches_list(value, {**kwargs, "match_on": "any"})
    ),
    "expect_column_values_to_match_strftime_format": _values(
        lambda value, kwargs: ~keeps_strftime(value, kwargs["strftime_format"])
    ),
    # columns of one row
    "expect_column_pair_values_a_to_be_greater_than_b": _pair(_greater),
    "expect_column_pair_values_to_be_equal": _pair(lambda one, other, _: ~one.eqNullSafe(other)),
    "expect_multicolumn_sum_to_equal": RowWise(_sum_of_columns),
    # one value of a column
    "expect_column_max_to_be_between": _value(sf.max),
    "expect_column_min_to_be_between": _value(sf.min),
    "expect_column_sum_to_be_between": OneValue(_sum, within),
    "expect_column_mean_to_be_between": _of_numbers(lambda column, _: sf.avg(column)),
    "expect_column_median_to_be_between": _of_numbers(lambda column, _: sf.median(_not_nan(column))),
    "expect_column_stdev_to_be_between": _value(sf.stddev_samp),
    "expect_column_quantile_values_to_be_between": _of_numbers(_quantiles, _each_within),
    "expect_column_distinct_values_to_be_in_set": _set_of(_in_set),
    "expect_column_distinct_values_to_equal_set": _set_of(_equals_set),
    "expect_column_distinct_values_to_contain_set": _set_of(_contains_set),
    # repeats
    "expect_column_values_to_be_unique": Repeats(lambda kwargs: [kwargs["column"]]),
    "expect_compound_columns_to_be_unique": Repeats(lambda kwargs: kwargs["column_list"]),
    "expect_column_unique_value_count_to_be_between": Repeats(
        lambda kwargs: [kwargs["column"]], lambda counts: counts["distinct"]
    ),
    "expect_column_proportion_of_unique_values_to_be_between": Repeats(
        lambda kwargs: [kwargs["column"]],
        lambda counts: counts["distinct"] / counts["rows"] if counts["rows"] else 0,
    ),
}
