"""A dataset's expectations, compiled to one aggregation.

Each type is registered with two functions: which aggregates it needs, and how their values are judged. All aggregates
of a table go into one `agg`; uniqueness needs its own group-by, whose result joins the same row. So a whole check is
one Spark job, however many tables and expectations it has.

Spelling and meaning are Great Expectations': a map expectation counts the rows that fail it among those it evaluates
(null values are left out, except by not_be_null), and succeeds when the share of the others is at least `mostly`.
`row_condition` is a Spark SQL condition. A bound may be `{"$run": "data_date"}`, a value of the run.

Source: Great Expectations 1.x, Expectation gallery.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from contracts.contract import Contract, Expectation
from contracts.errors import UnsupportedKeywordError
from spark_jobs.row_rules import RowRules

_BROKEN_RULE = "_broken_rule"
Result = Mapping[str, Any]
Kwargs = Mapping[str, Any]
Values = Mapping[str, Any]


@dataclass(frozen=True)
class _Map:
    """An expectation about each row: which rows it evaluates, and which of those fail it."""

    compile: Callable[[Kwargs], tuple[Column, Column]]


@dataclass(frozen=True)
class _Aggregate:
    """An expectation about one value of the table, which must lie between min_value and max_value."""

    compile: Callable[[Kwargs], Column]


@dataclass(frozen=True)
class _Unique:
    """An expectation that a tuple of columns does not repeat."""

    columns: Callable[[Kwargs], Sequence[str]]


_REGISTRY: dict[str, _Map | _Aggregate | _Unique] = {
    "expect_table_row_count_to_be_between": _Aggregate(lambda kwargs: sf.count(_kept(kwargs, sf.lit(1)))),
    "expect_column_max_to_be_between": _Aggregate(lambda kwargs: sf.max(_kept(kwargs, sf.col(kwargs["column"])))),
    "expect_column_min_to_be_between": _Aggregate(lambda kwargs: sf.min(_kept(kwargs, sf.col(kwargs["column"])))),
    "expect_column_values_to_not_be_null": _Map(lambda kwargs: (sf.lit(True), sf.col(kwargs["column"]).isNull())),
    "expect_column_values_to_be_between": _Map(
        lambda kwargs: _non_null(kwargs, lambda value: ~_between(value, kwargs))
    ),
    "expect_column_values_to_be_in_set": _Map(
        lambda kwargs: _non_null(kwargs, lambda value: ~value.isin(*kwargs["value_set"]))
    ),
    "expect_column_values_to_match_regex": _Map(
        lambda kwargs: _non_null(kwargs, lambda value: ~value.rlike(f"(?d){kwargs['regex']}"))
    ),
    "expect_column_values_to_be_unique": _Unique(lambda kwargs: [kwargs["column"]]),
    "expect_compound_columns_to_be_unique": _Unique(lambda kwargs: kwargs["column_list"]),
}


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One dataset's rows to be judged: values typed, and the row rules that are not known to hold yet."""

    contract: Contract
    rows: DataFrame
    rules: RowRules | None = None


def evaluate(batches: Sequence[Batch], run: Mapping[str, Any]) -> tuple[Result, ...]:
    """The result of every rule and expectation of the batches, from one Spark job.

    Args:
        batches: the datasets.
        run: what `{"$run": name}` may name.
    Returns:
        One result each: dataset, expectation, column, severity, observed, expected, success.
    """
    measured = [_measure(str(index), batch, run) for index, batch in enumerate(batches)]
    frames = [frame for frame in measured if frame is not None]
    if not frames:
        return ()
    values: dict[str, dict[str, Any]] = {}
    for name, text in reduce(DataFrame.unionAll, frames).collect():
        values.setdefault(name, {}).update(json.loads(text))
    return tuple(
        result for index, batch in enumerate(batches) for result in _judge(batch, values.get(str(index), {}), run)
    )


def verdict(results: Sequence[Result]) -> str:
    """FAIL when an error expectation failed, WARN when another did, else PASS."""
    failed = {result["severity"] for result in results if not result["success"]}
    if "error" in failed:
        return "FAIL"
    return "WARN" if failed else "PASS"


def _measure(name: str, batch: Batch, run: Mapping[str, Any]) -> DataFrame | None:
    """The batch's values as (name, JSON) rows: one of plain aggregates, one of each uniqueness."""
    aggregates: list[Column] = []
    frames: list[DataFrame] = []
    rows = batch.rows
    if batch.rules is not None:
        rows = rows.withColumn(_BROKEN_RULE, batch.rules.first_broken)
        aggregates += [
            _count(sf.col(_BROKEN_RULE) == index).alias(f"rule{index}") for index in range(len(batch.rules.rules))
        ]
    for index, expectation in enumerate(batch.contract.expectations):
        kind, kwargs = _registered(batch.contract, expectation), _resolve(expectation.kwargs, run)
        if isinstance(kind, _Map):
            evaluated, failing = kind.compile(kwargs)
            kept = _condition(kwargs) & evaluated
            aggregates += [_count(kept).alias(f"rows{index}"), _count(kept & failing).alias(f"failing{index}")]
        elif isinstance(kind, _Aggregate):
            aggregates.append(kind.compile(kwargs).alias(f"value{index}"))
        else:
            frames.append(_repeats(batch.rows.where(_condition(kwargs)), kind.columns(kwargs), index))
    if aggregates:
        frames.insert(0, rows.agg(*aggregates))
    values = [frame.select(sf.lit(name), sf.to_json(sf.struct("*"), {"ignoreNullFields": "false"})) for frame in frames]
    return reduce(DataFrame.unionAll, values) if values else None


def _judge(batch: Batch, values: Values, run: Mapping[str, Any]) -> list[Result]:
    contract = batch.contract
    results = []
    for index, rule in enumerate(batch.rules.rules if batch.rules else ()):
        broken = values[f"rule{index}"]
        results.append(
            _result(contract, f"row_rule_{rule.rule}", rule.column, "error", broken, rule.expected, success=broken == 0)
        )
    for index, expectation in enumerate(contract.expectations):
        kind, kwargs = _registered(contract, expectation), _resolve(expectation.kwargs, run)
        expected = {key: value for key, value in kwargs.items() if key not in ("column", "column_list")}
        if expectation.mostly < 1:
            expected["mostly"] = expectation.mostly
        if isinstance(kind, _Aggregate):
            observed: Any = values[f"value{index}"]
            success = _within(observed, kwargs)
        else:
            rows, failing = values[f"rows{index}"], values[f"failing{index}"]
            observed = {"rows": rows, "unexpected": failing}
            success = failing == 0 or (rows - failing) / rows >= expectation.mostly
        column = expectation.column
        results.append(
            _result(contract, expectation.type, column, expectation.severity, observed, expected, success=success)
        )
    return results


def _result(
    contract: Contract, name: str, column: str | None, severity: str, observed: Any, expected: Any, *, success: bool
) -> Result:
    return {
        "dataset": contract.dataset,
        "expectation": name,
        "column": column,
        "severity": severity,
        "observed": observed,
        "expected": expected,
        "success": success,
    }


def _registered(contract: Contract, expectation: Expectation) -> _Map | _Aggregate | _Unique:
    kind = _REGISTRY.get(expectation.type)
    if kind is None:
        raise UnsupportedKeywordError(f"{contract.dataset} {contract.version}: no expectation {expectation.type}")
    return kind


def _resolve(kwargs: Kwargs, run: Mapping[str, Any]) -> Kwargs:
    return {
        key: run[value["$run"]] if isinstance(value, dict) and "$run" in value else value
        for key, value in kwargs.items()
    }


def _condition(kwargs: Kwargs) -> Column:
    condition = kwargs.get("row_condition")
    return sf.coalesce(sf.expr(condition), sf.lit(False)) if condition else sf.lit(True)


def _kept(kwargs: Kwargs, value: Column) -> Column:
    return sf.when(_condition(kwargs), value)


def _count(condition: Column) -> Column:
    return sf.count(sf.when(condition, sf.lit(1)))


def _non_null(kwargs: Kwargs, failing: Callable[[Column], Column]) -> tuple[Column, Column]:
    value = sf.col(kwargs["column"])
    return value.isNotNull(), failing(value)


def _between(value: Column, kwargs: Kwargs) -> Column:
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    inside = sf.lit(True)
    if low is not None:
        inside = inside & (value > sf.lit(low) if kwargs.get("strict_min") else value >= sf.lit(low))
    if high is not None:
        inside = inside & (value < sf.lit(high) if kwargs.get("strict_max") else value <= sf.lit(high))
    return inside


def _within(observed: Any, kwargs: Kwargs) -> bool:
    """Whether a table's value lies within its bounds; a table without a value (no rows) breaks none."""
    if observed is None:
        return True
    # dates arrive as ISO text, which sorts as they do
    alike: Callable[[Any], Any] = str if isinstance(observed, str) else lambda bound: bound
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    return (low is None or observed >= alike(low)) and (high is None or observed <= alike(high))


def _repeats(rows: DataFrame, columns: Sequence[str], index: int) -> DataFrame:
    """How many rows there are whose columns are not all null, and how many of them share theirs with another."""
    present = rows.dropna(how="all", subset=list(columns))
    groups = present.groupBy(*columns).agg(sf.count("*").alias("_rows"))
    return groups.agg(
        sf.coalesce(sf.sum("_rows"), sf.lit(0)).alias(f"rows{index}"),
        sf.coalesce(sf.sum(sf.when(sf.col("_rows") > 1, sf.col("_rows"))), sf.lit(0)).alias(f"failing{index}"),
    )
