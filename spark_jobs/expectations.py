"""A dataset's expectations, compiled to one aggregation.

All row-wise expectations and single values of a table go into one `agg`; what asks for repeats needs its own group-by,
whose result joins the same row. So a whole check is one Spark job, however many tables and expectations it has. A
bound may be `{"$run": "data_date"}`, a value of the run.

Source: spark_jobs/expectation_kinds.py has the expectations themselves.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from contracts.contract import Contract, Expectation
from contracts.errors import UnsupportedKeywordError
from spark_jobs.expectation_kinds import (
    KINDS,
    Kind,
    Kwargs,
    OneValue,
    Repeats,
    RowWise,
    Shape,
    condition,
    present,
    within,
)
from spark_jobs.row_rules import RowRules

_BROKEN_RULE = "_broken_rule"
_JSON = {"ignoreNullFields": "false", "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"}
Result = Mapping[str, Any]
Values = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One dataset's rows to be judged.

    Attributes:
        contract: whose expectations are judged.
        rows: values typed.
        rules: the row rules that are not known to hold yet.
        may_be_empty: a run may bring no rows; then only what is said of the table itself is judged. Great Expectations
            has a maximum of no rows fail.
    """

    contract: Contract
    rows: DataFrame
    rules: RowRules | None = None
    may_be_empty: bool = False


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
    values: dict[str, dict[str, Any]] = {}
    for name, text in reduce(DataFrame.unionAll, frames).collect() if frames else ():
        values.setdefault(name, {}).update(json.loads(text, parse_float=Decimal))
    return tuple(
        result for index, batch in enumerate(batches) for result in _judge(batch, values.get(str(index), {}), run)
    )


def verdict(results: Sequence[Result], fail_from: Mapping[str, int]) -> str:
    """PASS when no expectation failed, FAIL when as many of a severity did as `fail_from` says, else WARN."""
    failed = Counter(result["severity"] for result in results if not result["success"])
    if any(failed[severity] >= count for severity, count in fail_from.items()):
        return "FAIL"
    return "WARN" if failed else "PASS"


def _measure(name: str, batch: Batch, run: Mapping[str, Any]) -> DataFrame | None:
    """The batch's values as (name, JSON) rows: one of plain aggregates, one of each uniqueness."""
    aggregates: list[Column] = [sf.count("*").alias("rows")] if batch.may_be_empty else []
    frames: list[DataFrame] = []
    rows = batch.rows
    if batch.rules is not None:
        rows = rows.withColumn(_BROKEN_RULE, batch.rules.first_broken)
        aggregates += [
            _count(sf.col(_BROKEN_RULE) == index).alias(f"rule{index}") for index in range(len(batch.rules.rules))
        ]
    for index, expectation in enumerate(batch.contract.expectations):
        kind, kwargs = _kind(batch.contract, expectation), _resolve(expectation.kwargs, run)
        if isinstance(kind, RowWise):
            evaluated, failing = _compiled(batch, expectation, kind, kwargs)
            judged = condition(kwargs) & evaluated
            aggregates += [_count(judged).alias(f"rows{index}"), _count(judged & failing).alias(f"failing{index}")]
        elif isinstance(kind, OneValue):
            aggregates.append(_compiled(batch, expectation, kind, kwargs).alias(f"value{index}"))
        elif isinstance(kind, Repeats):
            columns = kind.columns(kwargs)
            frames.append(_repeats(batch.rows.where(condition(kwargs) & present(columns, kwargs)), columns, index))
    if aggregates:
        frames.insert(0, rows.agg(*aggregates))
    values = [frame.select(sf.lit(name), sf.to_json(sf.struct("*"), _JSON)) for frame in frames]
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
        kwargs = _resolve(expectation.kwargs, run)
        expected = {key: value for key, value in kwargs.items() if key not in ("column", "column_list")}
        if expectation.mostly < 1:
            expected["mostly"] = expectation.mostly
        observed, success = _observe(_kind(contract, expectation), batch, index, values, kwargs, expectation.mostly)
        if batch.may_be_empty and not values["rows"] and not expectation.type.startswith("expect_table_"):
            success = True
        column = expectation.column
        results.append(
            _result(contract, expectation.type, column, expectation.severity, observed, expected, success=success)
        )
    return results


def _observe(kind: Kind, batch: Batch, index: int, values: Values, kwargs: Kwargs, mostly: float) -> tuple[Any, bool]:
    """What one expectation found, and whether that is as it should be."""
    if isinstance(kind, Shape):
        return kind.judge(batch.rows.schema, kwargs)
    if isinstance(kind, OneValue):
        observed = values[f"value{index}"]
        return _as_float(observed), kind.judge(observed, kwargs)
    counts = {name: values[f"{name}{index}"] for name in ("rows", "failing")}
    if isinstance(kind, Repeats) and kind.measure is not None:
        measured = kind.measure({**counts, "distinct": values[f"distinct{index}"]})
        return measured, within(measured, kwargs)
    rows, failing = counts["rows"], counts["failing"]
    return {"rows": rows, "unexpected": failing}, rows == 0 or (rows - failing) / rows >= mostly


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


def _kind(contract: Contract, expectation: Expectation) -> Kind:
    kind = KINDS.get(expectation.type)
    if kind is None:
        raise UnsupportedKeywordError(f"{contract.dataset} {contract.version}: no expectation {expectation.type}")
    return kind


def _compiled(batch: Batch, expectation: Expectation, kind: RowWise | OneValue, kwargs: Kwargs) -> Any:
    """What the kind compiles to; its errors say whose expectation it is."""
    try:
        return kind.compile(kwargs, batch.rows.schema)
    except UnsupportedKeywordError as error:
        contract = batch.contract
        raise UnsupportedKeywordError(f"{contract.dataset} {contract.version}: {expectation.type}: {error}") from error


def _resolve(kwargs: Kwargs, run: Mapping[str, Any]) -> Kwargs:
    return {
        key: run[value["$run"]] if isinstance(value, dict) and "$run" in value else value
        for key, value in kwargs.items()
    }


def _count(condition: Column) -> Column:
    return sf.count(sf.when(condition, sf.lit(1)))


def _as_float(observed: Any) -> Any:
    """A measured value as a receipt can hold it: decimals were exact for as long as they were judged."""
    if isinstance(observed, list):
        return [_as_float(value) for value in observed]
    if isinstance(observed, Decimal):
        return float(observed)
    return observed


def _repeats(rows: DataFrame, columns: Sequence[str], index: int) -> DataFrame:
    """How many rows there are, how many share their values of the columns with another, how many values differ."""
    groups = rows.groupBy(*columns).agg(sf.count("*").alias("_rows"))
    return groups.agg(
        sf.coalesce(sf.sum("_rows"), sf.lit(0)).alias(f"rows{index}"),
        sf.coalesce(sf.sum(sf.when(sf.col("_rows") > 1, sf.col("_rows"))), sf.lit(0)).alias(f"failing{index}"),
        sf.count("*").alias(f"distinct{index}"),
    )
