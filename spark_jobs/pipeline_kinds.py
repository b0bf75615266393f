"""The expectations that pipelines need and Great Expectations has no word for: freshness, references, drift.

A trend is judged beside what earlier runs observed, so a contract names no number that has to follow the business. A
reference is judged against another table as it will be once this run is published.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as sf
from pyspark.sql.types import DateType, StructType, TimestampType

from contracts.errors import UnsupportedKeywordError
from spark_jobs.expectation_kinds import Kwargs, kept

TRAILING_RUNS = 14  # two weeks of days, when an expectation does not say
FEWEST_RUNS = 3  # fewer than these say nothing of what is usual


@dataclass(frozen=True, kw_only=True)
class Trended:
    """How a value looks beside those of earlier runs.

    Attributes:
        observed: what later runs will compare with.
        success: whether it is as expected.
        basis: what it was compared with, for the evidence.
    """

    observed: Any
    success: bool
    basis: Mapping[str, Any]


@dataclass(frozen=True)
class Trend:
    """About one value of the table, which `judge` sets beside those of earlier runs, newest first."""

    compile: Callable[[Kwargs, StructType], Column]
    judge: Callable[[Any, Sequence[Any], Kwargs], Trended]


@dataclass(frozen=True)
class Reference:
    """About values of a column, each of which must stand in a column of another table. Null refers to nothing.

    `same_day` names a column of days that both tables have, and that prunes the other: a value must stand there on one
    of the days of the rows that are judged. Without it the whole column is read.
    """


def usual(earlier: Sequence[Any], kwargs: Kwargs) -> tuple[float | None, Mapping[str, Any]]:
    """The median of the trailing runs, None when there are too few of them, and the basis to report."""
    runs = [float(value) for value in earlier if value is not None][: int(kwargs.get("runs", TRAILING_RUNS))]
    median = statistics.median(runs) if len(runs) >= int(kwargs.get("min_runs", FEWEST_RUNS)) else None
    return median, {"trailing_median": median, "trailing_runs": len(runs)}


def _rows_near_usual(observed: Any, earlier: Sequence[Any], kwargs: Kwargs) -> Trended:
    """Between `min_ratio` and `max_ratio` times the median of the trailing runs."""
    median, basis = usual(earlier, kwargs)
    low, high = float(kwargs.get("min_ratio", 0)), float(kwargs.get("max_ratio", "inf"))
    success = median is None or low * median <= observed <= high * median
    return Trended(observed=observed, success=success, basis=basis)


def _nulls_near_usual(observed: Any, earlier: Sequence[Any], kwargs: Kwargs) -> Trended:
    """At most `max_increase` above the median share of the trailing runs; no rows have no share."""
    median, basis = usual(earlier, kwargs)
    share = None if observed is None else float(observed)
    success = median is None or share is None or share <= median + float(kwargs["max_increase"])
    return Trended(observed=share, success=success, basis=basis)


def _fresh(observed: Any, earlier: Sequence[Any], kwargs: Kwargs) -> Trended:
    """The newest value that this run or an earlier one brought is at most `max_age_hours` before the end of `as_of`.

    A day counts to its end, on both sides, so data of the day itself are of age 0.
    """
    known = [value for value in (observed, *earlier) if value is not None]
    newest = max(known, key=_moment, default=None)
    age = None if newest is None else (_moment(kwargs["as_of"]) - _moment(newest)) / timedelta(hours=1)
    success = age is not None and age <= float(kwargs["max_age_hours"])
    return Trended(observed=newest, success=success, basis={"age_hours": None if age is None else round(age, 3)})


def _moment(value: Any) -> datetime:
    text = str(value)
    moment = datetime.fromisoformat(text)
    if len(text) == len("2026-07-30"):
        moment += timedelta(days=1)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _newest(kwargs: Kwargs, schema: StructType) -> Column:
    kind = schema[kwargs["column"]].dataType
    if not isinstance(kind, DateType | TimestampType):
        raise UnsupportedKeywordError(f"column {kwargs['column']} is a {kind.simpleString()}, not a date or a moment")
    return sf.max(kept(kwargs, sf.col(kwargs["column"])))


def _null_share(kwargs: Kwargs, _: StructType) -> Column:
    return sf.avg(kept(kwargs, sf.col(kwargs["column"]).isNull().cast("double")))


PIPELINE_KINDS: Mapping[str, Trend | Reference] = {
    "expect_table_row_count_to_be_near_trailing": Trend(
        lambda kwargs, _: sf.count(kept(kwargs, sf.lit(1))), _rows_near_usual
    ),
    "expect_table_to_be_fresh": Trend(_newest, _fresh),
    "expect_column_null_share_to_be_near_trailing": Trend(_null_share, _nulls_near_usual),
    "expect_column_values_to_exist_in_table": Reference(),
}
