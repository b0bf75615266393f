"""Silver to gold: the rows of gold that this run changes, as candidates.

Silver as it will be (its table overlaid with this run's candidates) is read only on the days that the run touches:
the days of its orders, and for each of its rates the days until the next rate. Orders and rates that other runs put
into silver since gold was built count like its own. What it computes is compared with gold, so the candidates are
exactly the rows that differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from functools import reduce

from pyspark.sql import DataFrame, Observation, Window
from pyspark.sql import functions as sf

from contracts import contract as contracts
from contracts.contract import Contract
from spark_jobs.bronze_to_silver import silver_tables
from spark_jobs.days import Span, in_spans, merge_spans
from spark_jobs.job import BRONZE_TO_SILVER, Job
from spark_jobs.receipts import Outcome, TableReceipt
from spark_jobs.silver_changes import since_gold
from spark_jobs.transforms import daily_revenue, orders, rates
from spark_jobs.transforms.daily_revenue import REMOVED, changed_rows
from spark_jobs.transforms.newest import EXISTING, overlay

ORDERS, RATES, GOLD = "silver/orders", "silver/fx_rates", "gold/fct_daily_revenue"
# The ECB never paused longer for a currency it still quotes; one that it ceased to quote needs the second pass below.
RATE_WINDOW = timedelta(days=31)
_FIRST, _NEVER = date(1, 1, 1), date(9999, 12, 31)


def silver_to_gold(job: Job) -> Outcome:
    """Write the candidates of gold/fct_daily_revenue, and state the versions that they were built on."""
    request, lake = job.request, job.lake
    bases = {table: lake.version(table) for table in (*(each.name for each in silver_tables(job)), GOLD)}
    path = f"candidates/{request.run_id}/{GOLD}/{request.attempt}"
    spans = None if bases[GOLD] is None else _touched(job, bases)
    counted = _write(job, bases, spans, path, rate_window=RATE_WINDOW)
    if counted["without_rate"] and spans:
        # a currency whose last quote is older than the window: look through all of them
        counted = _write(job, bases, spans, path, rate_window=None)
    job.log.write("candidates_written", table=GOLD, rows=counted["rows"], path=path)
    written = TableReceipt(
        table=GOLD,
        version_before=bases[GOLD],
        version_after=bases[GOLD],
        rows=counted["rows"],
        path=path,
        replaces=counted["replaces"],
    )
    return Outcome(tables=(written,), bases=bases, lineage=(daily_revenue.LINEAGE,))


def _write(
    job: Job, bases: Mapping[str, int | None], spans: list[Span] | None, path: str, *, rate_window: timedelta | None
) -> dict[str, int]:
    """Compute and write the candidates; how many rows, how many that gold has, how many without a rate."""
    gold = contracts.of_table(GOLD)
    needed = _rates_needed(spans, rate_window)
    computed = daily_revenue.daily_revenue(
        _silver(job, contracts.of_table(ORDERS), bases[ORDERS], orders.ORDER, "order_date", spans),
        _silver(job, contracts.of_table(RATES), bases[RATES], rates.ORDER, "rate_date", needed),
    )
    current = None if spans is None else job.lake.read_days(GOLD, bases[GOLD], "revenue_date", spans)
    if current is None:
        changed = computed.withColumns({EXISTING: sf.lit(False), REMOVED: sf.lit(False)})
    else:
        changed = changed_rows(computed, current)
    counted = Observation("gold candidates")
    changed = changed.observe(
        counted,
        sf.count("*").alias("rows"),
        sf.count(sf.when(sf.col(EXISTING), 1)).alias("replaces"),
        sf.count(sf.when(sf.col("rate").isNull() & ~sf.col(REMOVED), 1)).alias("without_rate"),
    )
    candidates = changed.withColumn("_run_id", sf.lit(job.request.run_id))
    job.lake.write_candidates(candidates.select(*(name for name, _ in gold.columns), REMOVED).coalesce(1), path)
    return dict(counted.get)


def _silver(
    job: Job, contract: Contract, base: int | None, order: tuple[str, ...], day: str, spans: list[Span] | None
) -> DataFrame:
    """The rows of a silver table as it will be on the given days; the day of a key never changes."""
    candidates = _candidates(job, contract)
    if spans is not None:
        candidates = candidates.where(in_spans(day, spans))
    current = job.lake.read_days(contract.table, base, day, spans)
    return candidates if current is None else overlay(current, candidates, contract.key, order)


def _candidates(job: Job, contract: Contract) -> DataFrame:
    written = job.receipts.of(BRONZE_TO_SILVER).table(contract.table)
    return job.lake.read_candidates(contract, written.path)


def _rates_needed(spans: list[Span] | None, window: timedelta | None) -> list[Span] | None:
    """The days whose rates can stand on the given days: from a window before each, up to its last day."""
    if not spans:
        return spans
    if window is None:
        return [(_FIRST, spans[-1][1])]
    return merge_spans((first - window, last) for first, last in spans)


def _touched(job: Job, bases: Mapping[str, int | None]) -> list[Span]:
    """The days whose revenue may differ from gold's, from one small Spark job."""
    parts = []
    orders_, _ = _new_rows(job, bases, ORDERS, "order_date")
    if orders_ is not None:
        day = sf.col("order_date")
        parts.append(orders_.select(day.alias("first"), day.alias("last")).distinct())
    rates_, spans = _new_rows(job, bases, RATES, "rate_date")
    if rates_ is not None:
        parts.append(_days_of_rates(job, bases[RATES], rates_, spans))
    if not parts:
        return []
    found = reduce(DataFrame.unionByName, parts).collect()
    return merge_spans((row["first"], row["last"]) for row in found)


def _new_rows(
    job: Job, bases: Mapping[str, int | None], table: str, column: str
) -> tuple[DataFrame | None, list[Span] | None]:
    """The run's candidates for a silver table and what others put there since gold was built, None when both are empty.

    With them the days that they are about; None when that is not known.
    """
    contract, frames = contracts.of_table(table), []
    written = job.receipts.of(BRONZE_TO_SILVER).table(table)
    spans: list[Span] | None = []
    if written.rows:
        frames.append(_candidates(job, contract))
        spans = None
        if written.first_day and written.last_day:
            spans = [(date.fromisoformat(written.first_day), date.fromisoformat(written.last_day))]
    changes = since_gold(job.lake, GOLD, bases[GOLD], table, bases[table])
    missed = changes.rows(job.lake, table, bases[table], column) if changes else None
    if changes and missed is not None:
        job.log.write("silver_changed_since_gold", table=table)
        frames.append(missed)
        spans = None if spans is None or changes.spans is None else [*spans, *changes.spans]
    names = [name for name, _ in contract.columns]
    return (reduce(DataFrame.unionByName, (each.select(*names) for each in frames)) if frames else None), spans


def _days_of_rates(job: Job, base: int | None, new: DataFrame, spans: list[Span] | None) -> DataFrame:
    """For each day of new rates, the days on which they stand: until the next quote; null where none is in sight."""
    quotes = new.select("currency", "rate_date", sf.lit(True).alias("_new"))
    known = None
    if spans:
        horizons = [(first, None if last is None else last + RATE_WINDOW) for first, last in spans]
        known = job.lake.read_days(RATES, base, "rate_date", merge_spans(horizons))
    if known is not None:
        quotes = quotes.unionByName(known.select("currency", "rate_date", sf.lit(False).alias("_new")))
    quotes = quotes.groupBy("currency", "rate_date").agg(sf.max("_new").alias("_new"))
    by_day = Window.partitionBy("currency").orderBy("rate_date")
    stands_until = sf.coalesce(sf.date_sub(sf.lead("rate_date").over(by_day), 1), sf.lit(_NEVER))
    return (
        quotes.withColumn("last", stands_until)
        .where("_new")
        .groupBy(sf.col("rate_date").alias("first"))
        .agg(sf.max("last").alias("last"))
        .withColumn("last", sf.when(sf.col("last") < sf.lit(_NEVER), sf.col("last")))
    )
