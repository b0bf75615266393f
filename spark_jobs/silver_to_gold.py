"""Silver to gold: the rows of gold that this run changes, as candidates.

What each table should hold on the days that the run touches is compared with what it holds, so the candidates are
exactly the rows that differ.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as sf

from contracts import contract as contracts
from spark_jobs.bronze_to_silver import AT_ONCE
from spark_jobs.gold_tables import REVENUE, SEAL, GoldTable, gold_tables
from spark_jobs.gold_view import LINE_FACTS, GoldView, versions
from spark_jobs.job import BRONZE_TO_SILVER, Job
from spark_jobs.lake import in_stretches
from spark_jobs.receipts import Outcome, TableReceipt
from spark_jobs.silver_changes import sealed
from spark_jobs.transforms.changes import REMOVED, changed_rows
from spark_jobs.transforms.newest import EXISTING


def silver_to_gold(job: Job) -> Outcome:
    """Write the candidates of the gold tables, and state the versions that they were built on."""
    tables = gold_tables(job)
    bases = versions(job, [table.name for table in tables])
    if not tables:
        return Outcome(bases=bases)
    view = GoldView(job, bases, sealed(job.lake, SEAL, bases[SEAL]))
    [first, *others] = tables
    written = [_write(job, view, first)]
    if first.name == REVENUE and view.line_spans and _without_rate(view):
        # a currency whose last quote is older than the window: look through all of them
        view.look_at_all_rates()
        written = [_write(job, view, first)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        if LINE_FACTS in bases and bases[LINE_FACTS] is None:
            # what is computed from lines reads them back: a history of them is no thing to compute twice or to keep
            waiting = [table for table in others if LINE_FACTS in table.after or table.name == SEAL]
            others = [table for table in others if table not in waiting]
            others.sort(key=lambda table: table.name != LINE_FACTS)  # they take longest
            writes = pool.map(lambda table: _write(job, view, table), others)
            lines = next(writes)
            view.take_line_facts(lines.path)
            written += [lines, *writes]
            others = waiting
        written += pool.map(lambda table: _write(job, view, table), others)
    return Outcome(tables=tuple(written), bases=bases, lineage=tuple(table.lineage for table in tables))


def _without_rate(view: GoldView) -> bool:
    dated = [view.daily_revenue] if view.spans else []
    # the same days and currencies, unless prices touch days or lines come before their orders
    dated += [view.line_rates] if view.takes_lines else []
    return any(not days.where("rate IS NULL").isEmpty() for days in dated)


def _write(job: Job, view: GoldView, table: GoldTable) -> TableReceipt:
    """Compute a table's candidates and write them."""
    built, base = table.build(view), view.bases[table.name]
    current = view.current(table.name, table.day, built.spans)
    if built.in_part and current is not None:
        current = current.join(built.rows.select(*table.key), list(table.key), how="semi")
    changed = changed_rows(built.rows, current, table.key)
    counted = Observation(f"candidates of {table.name}")
    days = (
        []
        if table.day is None
        else [sf.min(table.day).cast("string").alias("first_day"), sf.max(table.day).cast("string").alias("last_day")]
    )
    changed = changed.observe(
        counted, sf.count("*").alias("rows"), sf.count(sf.when(sf.col(EXISTING), 1)).alias("replaces"), *days
    )
    path = f"candidates/{job.request.run_id}/{table.name}/{job.request.attempt}"
    columns = [name for name, _ in contracts.of_table(table.name).columns]
    candidates = changed.withColumn("_run_id", sf.lit(job.request.run_id))
    if base is None:
        # the files of a history become the table as they are, written by all cores
        candidates = _in_stretches(job, table, candidates).select(*columns)
    else:
        candidates = candidates.select(*columns, REMOVED).coalesce(1)
    job.lake.write_candidates(candidates, path)
    count = counted.get
    job.log.write("candidates_written", table=table.name, rows=count["rows"], path=path)
    return TableReceipt(table=table.name, version_before=base, version_after=base, path=path, **count)


def _in_stretches(job: Job, table: GoldTable, rows: DataFrame) -> DataFrame:
    """A history of many rows in files of a stretch of days each, as the silver table tells that it is like."""
    if table.day is None or table.like is None:
        return rows
    held = job.receipts.of(BRONZE_TO_SILVER).table(table.like)
    if held.first_day is None or held.last_day is None:
        return rows
    return in_stretches(
        rows, table.day, date.fromisoformat(held.first_day), date.fromisoformat(held.last_day), held.rows
    )
