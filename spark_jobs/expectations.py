"""A dataset's expectations, compiled to one aggregation.

All row-wise expectations and single values of a table go into one `agg`; what asks for repeats, or for another table,
needs an exchange of its own, whose result joins the same row. So a whole check is one Spark job, however many tables
and expectations it has; only where rows fail does a second one tell which rules they break and which values they
share. A bound may be `{"$run": "data_date"}`, a value of the run.

Source: spark_jobs/expectation_kinds.py and pipeline_kinds.py have the expectations themselves.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf
from pyspark.sql.types import StructType

from contracts.contract import Contract, Expectation
from contracts.errors import InvalidRequestError, UnsupportedKeywordError
from spark_jobs import repeats
from spark_jobs.days import Span, single_days
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
from spark_jobs.lake import distinct_dates
from spark_jobs.pipeline_kinds import PIPELINE_KINDS, Reference, Trend
from spark_jobs.row_rules import RowRules

_BROKEN_RULE = "_broken_rule"
_JSON = {"ignoreNullFields": "false", "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"}
Result = Mapping[str, Any]
Values = Mapping[str, Any]
NewestRows = Callable[[str], DataFrame | None]
OtherTable = Callable[[str, str | None, Callable[[], list[Span]]], DataFrame]
History = Mapping[tuple[str, str, str | None], Sequence[Any]]


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


@dataclass(frozen=True, kw_only=True)
class _Around:
    """What an expectation may look at beside its own rows, as `evaluate` was given it."""

    run: Mapping[str, Any]
    history: History
    table: OtherTable | None
    newest: NewestRows


def evaluate(
    batches: Sequence[Batch],
    run: Mapping[str, Any],
    *,
    history: History | None = None,
    table: OtherTable | None = None,
    newest: NewestRows = lambda _: None,
) -> tuple[Result, ...]:
    """The result of every rule and expectation of the batches.

    Args:
        batches: the datasets.
        run: what `{"$run": name}` may name.
        history: what earlier runs observed, for each (dataset, expectation, column), newest first; none unless given.
        table: the rows of a table by its path in the lake, as they will be once this run is published; beside the path
            it gets a column of days, if only some are asked for, and what tells them.
        newest: so much of such a table as is looked at first; the rest only where a value is not among it. None for a
            table that is looked at whole.
    Returns:
        One result each: dataset, expectation, column, severity, observed, expected, success.
    """
    around = _Around(run=run, history=history or {}, table=table, newest=newest)
    named = {str(index): batch for index, batch in enumerate(batches)}
    values = _collect(frame for name, batch in named.items() for frame in _measure(name, batch, around))
    detail = _collect(frame for name, batch in named.items() for frame in _detail(name, batch, around, values[name]))
    return tuple(
        result for name, batch in named.items() for result in _judge(batch, {**values[name], **detail[name]}, around)
    )


def failing(contract: Contract, expectation: Expectation, schema: StructType, run: Values) -> tuple[Column, Column]:
    """Which rows an expectation about each row judges, and which of those fail it; `mostly` plays no part.

    Raises:
        UnsupportedKeywordError: it is not about each row, or cannot be asked of these columns.
    """
    kind, kwargs = _kind(contract, expectation), _resolve(expectation.kwargs, run)
    if not isinstance(kind, RowWise):
        raise UnsupportedKeywordError(
            f"{contract.dataset} {contract.version}: {expectation.type} is not about each row"
        )
    evaluated, fails = _compiled(contract, schema, expectation, kind, kwargs)
    judged = condition(kwargs) & evaluated
    return judged, judged & fails


def verdict(results: Sequence[Result], fail_from: Mapping[str, int]) -> str:
    """PASS when no expectation failed, FAIL when as many of a severity did as `fail_from` says, else WARN.

    A failure that is `waived` counts as none; PASS_WITH_WAIVER says that with it the verdict would have been worse.
    """
    failed = [result for result in results if not result["success"]]
    strict = _verdict(failed, fail_from)
    lenient = _verdict([result for result in failed if not result.get("waived")], fail_from)
    return strict if strict == lenient else "PASS_WITH_WAIVER"


def _verdict(failed: Sequence[Result], fail_from: Mapping[str, int]) -> str:
    severities = Counter(result["severity"] for result in failed)
    if any(severities[severity] >= count for severity, count in fail_from.items()):
        return "FAIL"
    return "WARN" if failed else "PASS"


def _collect(frames: Iterable[DataFrame]) -> dict[str, dict[str, Any]]:
    """The values of frames of (name, JSON), by name, from one Spark job."""
    values: dict[str, dict[str, Any]] = defaultdict(dict)
    found = list(frames)
    for name, text in reduce(DataFrame.unionAll, found).collect() if found else ():
        values[name].update(json.loads(text, parse_float=Decimal))
    return values


def _measure(name: str, batch: Batch, around: _Around) -> list[DataFrame]:
    """The batch's values as (name, JSON) rows: one of plain aggregates, one of each repeat and reference."""
    aggregates: list[Column] = [sf.count("*").alias("rows")] if batch.may_be_empty else []
    frames: list[DataFrame] = []
    if batch.rules is not None:
        aggregates.append(sf.count(batch.rules.first_broken).alias("broken"))
    for index, expectation in enumerate(batch.contract.expectations):
        kind, kwargs = _kind(batch.contract, expectation), _resolve(expectation.kwargs, around.run)
        if isinstance(kind, RowWise):
            judged, failed = failing(batch.contract, expectation, batch.rows.schema, around.run)
            aggregates += [_count(judged).alias(f"rows{index}"), _count(failed).alias(f"failing{index}")]
        elif isinstance(kind, OneValue | Trend):
            measured = _compiled(batch.contract, batch.rows.schema, expectation, kind, kwargs)
            aggregates.append(measured.alias(f"value{index}"))
        elif isinstance(kind, Repeats):
            frames.append(repeats.distinct(_repeating(batch, kind, kwargs), kind.columns(kwargs), index))
        elif isinstance(kind, Reference):
            frames.append(_missing(batch, kwargs, around, index, whole=False))
    if aggregates:
        frames.insert(0, batch.rows.agg(*aggregates))
    return [_as_json(name, frame) for frame in frames]


def _detail(name: str, batch: Batch, around: _Around, values: Values) -> list[DataFrame]:
    """What is asked only where rows fail: how many break a rule, share a value, refer to what no row of a table has."""
    frames = []
    if batch.rules is not None and values["broken"]:
        broken = batch.rows.groupBy(batch.rules.first_broken.alias(_BROKEN_RULE)).count().where(f"{_BROKEN_RULE} >= 0")
        by_rule = sf.create_map(sf.concat(sf.lit("rule"), sf.col(_BROKEN_RULE)), sf.col("count"))
        frames.append(broken.select(sf.lit(name), sf.to_json(by_rule)))
    for index, expectation in enumerate(batch.contract.expectations):
        kind, kwargs = _kind(batch.contract, expectation), _resolve(expectation.kwargs, around.run)
        unique = isinstance(kind, Repeats) and values[f"distinct{index}"] == values[f"rows{index}"]
        if isinstance(kind, Repeats) and kind.measure is None and not unique:
            frame = repeats.sharing(_repeating(batch, kind, kwargs), kind.columns(kwargs), index)
            frames.append(_as_json(name, frame))
        in_part = isinstance(kind, Reference) and "same_day" not in kwargs and values[f"failing{index}"]
        if in_part and around.newest(kwargs["table"]) is not None:
            frames.append(_as_json(name, _missing(batch, kwargs, around, index, whole=True)))
    return frames


def _repeating(batch: Batch, kind: Repeats, kwargs: Kwargs) -> DataFrame:
    return batch.rows.where(condition(kwargs) & present(kind.columns(kwargs), kwargs))


def _missing(batch: Batch, kwargs: Kwargs, around: _Around, index: int, *, whole: bool) -> DataFrame:
    """How many rows refer to something, and how many to what the other table, or its newest part, does not hold."""
    if around.table is None:
        raise InvalidRequestError(f"{batch.contract.dataset}: no other table can be read here")
    same_day = kwargs.get("same_day")
    other = None if whole or same_day else around.newest(kwargs["table"])
    if other is None:
        other = around.table(kwargs["table"], same_day, lambda: single_days(distinct_dates(batch.rows, str(same_day))))
    there = other.select(sf.col(kwargs["table_column"]).alias("_there")).distinct()
    given = sf.col(kwargs["column"])
    rows = batch.rows.where(condition(kwargs) & given.isNotNull()).groupBy(given.alias("_given")).count()
    joined = rows.join(there, sf.col("_given") == sf.col("_there"), "left")
    absent = sf.when(sf.col("_there").isNull(), sf.col("count"))
    return joined.agg(
        sf.coalesce(sf.sum("count"), sf.lit(0)).alias(f"rows{index}"),
        sf.coalesce(sf.sum(absent), sf.lit(0)).alias(f"failing{index}"),
    )


def _as_json(name: str, frame: DataFrame) -> DataFrame:
    return frame.select(sf.lit(name), sf.to_json(sf.struct("*"), _JSON))


def _judge(batch: Batch, values: Values, around: _Around) -> list[Result]:
    contract = batch.contract
    results = []
    for index, rule in enumerate(batch.rules.rules if batch.rules else ()):
        broken = values.get(f"rule{index}", 0)
        results.append(
            _result(contract, f"row_rule_{rule.rule}", rule.column, "error", broken, rule.expected, success=broken == 0)
        )
    for index, expectation in enumerate(contract.expectations):
        kind, kwargs = _kind(contract, expectation), _resolve(expectation.kwargs, around.run)
        expected = {key: value for key, value in kwargs.items() if key not in ("column", "column_list")}
        if expectation.mostly < 1:
            expected["mostly"] = expectation.mostly
        if isinstance(kind, Trend):
            earlier = around.history.get((contract.dataset, expectation.type, expectation.column), ())
            trended = kind.judge(values[f"value{index}"], earlier, kwargs)
            observed, success = trended.observed, trended.success
            expected |= trended.basis
        else:
            observed, success = _observe(kind, batch, index, values, kwargs, expectation.mostly)
        if batch.may_be_empty and not values["rows"] and not expectation.type.startswith("expect_table_"):
            success = True
        column = expectation.column
        results.append(
            _result(contract, expectation.type, column, expectation.severity, observed, expected, success=success)
        )
    return results


def _observe(
    kind: Kind | Reference, batch: Batch, index: int, values: Values, kwargs: Kwargs, mostly: float
) -> tuple[Any, bool]:
    """What one expectation found, and whether that is as it should be."""
    if isinstance(kind, Shape):
        return kind.judge(batch.rows.schema, kwargs)
    if isinstance(kind, OneValue):
        observed = values[f"value{index}"]
        return _as_float(observed), kind.judge(observed, kwargs)
    rows = values[f"rows{index}"]
    if isinstance(kind, Repeats) and kind.measure is not None:
        measured = kind.measure({"rows": rows, "distinct": values[f"distinct{index}"]})
        return measured, within(measured, kwargs)
    failing = values.get(f"failing{index}", 0)
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


def _kind(contract: Contract, expectation: Expectation) -> Kind | Trend | Reference:
    kind = KINDS.get(expectation.type) or PIPELINE_KINDS.get(expectation.type)
    if kind is None:
        raise UnsupportedKeywordError(f"{contract.dataset} {contract.version}: no expectation {expectation.type}")
    return kind


def _compiled(
    contract: Contract, schema: StructType, expectation: Expectation, kind: RowWise | OneValue | Trend, kwargs: Kwargs
) -> Any:
    """What the kind compiles to; its errors say whose expectation it is."""
    try:
        return kind.compile(kwargs, schema)
    except UnsupportedKeywordError as error:
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
