"""Check: a layer's rows of this run, judged by the expectations of their contracts before anything builds on them.

A check only measures. What it needs and does not find raises, so that nothing passes for lack of data; the gate after
it decides by the verdict. Every result goes to the audit table before the receipt is written, whatever the verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial, reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from contracts import contract as contracts
from contracts.contract import Contract
from contracts.errors import ReceiptMissingError
from spark_jobs.bronze import run_rows
from spark_jobs.bronze_to_silver import SILVER_TABLES, silver_tables
from spark_jobs.days import Span
from spark_jobs.expectations import Batch, evaluate, verdict
from spark_jobs.gold_tables import gold_tables
from spark_jobs.history import earlier_results
from spark_jobs.job import BRONZE_TO_SILVER, INGEST, SILVER_TO_GOLD, Job
from spark_jobs.quality_results import record
from spark_jobs.receipts import Outcome, Rejected, TableReceipt
from spark_jobs.rejections import noted
from spark_jobs.row_rules import parsed, row_rules, stored_schema
from spark_jobs.transforms.changes import REMOVED
from spark_jobs.waivers import passed_over

# What a day refers to is mostly there of late; a table's whole history is read for what is not.
LOOKED_AT_FIRST = timedelta(days=31)


def check_bronze(job: Job) -> Outcome:
    """The verdict on what ingest appended. Its row rules were judged there, so only expectations are left."""
    # what silver is made of is judged or missed; what a run does not take is neither
    needed = {table.source for table in silver_tables(job)}
    batches = [
        Batch(contract=each, rows=parsed(each, run_rows(job, each)), may_be_empty=True)
        for each in contracts.sources()
        if job.receipts.names(INGEST, each.source_name) or each.source_name in needed
    ]
    return _outcome(job, batches, job.receipts.rejections(INGEST))


def check_silver(job: Job) -> Outcome:
    """The verdict on the silver candidates."""
    tables = job.receipts.of(BRONZE_TO_SILVER).tables
    silver = [contracts.of_table(table.name) for table in silver_tables(job)]
    batches = [_candidates(job, each) for each in _all_of(silver, tables)]
    return _outcome(job, batches, job.receipts.rejections(BRONZE_TO_SILVER))


def check_gold(job: Job) -> Outcome:
    """The verdict on the gold candidates; rows that are to leave gold are not judged."""
    tables = job.receipts.of(SILVER_TO_GOLD).tables
    gold = [contracts.of_table(table.name) for table in gold_tables(job)]
    return _outcome(job, [_candidates(job, each) for each in _all_of(gold, tables)])


def _all_of(due: Iterable[Contract], tables: Iterable[TableReceipt]) -> list[tuple[Contract, TableReceipt]]:
    """Each contract that is due with what the receipt says of its table; a table left out fails closed."""
    by_name = {table.table: table for table in tables}
    pairs = []
    for contract in due:
        if contract.table not in by_name:
            raise ReceiptMissingError(f"{contract.table}: the receipt of the step that writes it does not name it")
        pairs.append((contract, by_name[contract.table]))
    return pairs


def _candidates(job: Job, pair: tuple[Contract, TableReceipt]) -> Batch:
    contract, written = pair
    rows = _rows_that_stay(job, contract, written)
    return Batch(contract=contract, rows=rows, rules=row_rules(contract), may_be_empty=True)


def _rows_that_stay(job: Job, contract: Contract, written: TableReceipt) -> DataFrame:
    """The candidates without those rows that are to leave gold."""
    if contract.layer != "gold":
        return job.lake.read_candidates(contract, written.path)
    return job.lake.read_candidates(contract, written.path, **{REMOVED: "boolean"}).where(
        ~sf.coalesce(REMOVED, sf.lit(False))
    )


def _as_published(job: Job, path: str, column: str | None, days: Callable[[], list[Span]]) -> DataFrame:
    """The rows of a table as it stands, on some days when a column is named, and this run's candidates for it."""
    contract = contracts.of_table(path)
    parts = [
        _rows_that_stay(job, contract, written)
        for written in job.receipts.tables()
        if written.table == path != written.path and written.rows
    ]
    version = job.lake.version(path)
    spans = days() if column is not None and version is not None else None
    standing = job.lake.read_days(path, version, column, spans)
    if standing is not None:
        parts.append(standing)
    if not parts:
        return job.lake.nothing(stored_schema(contract))
    names = [name for name, _ in contract.columns]
    return reduce(DataFrame.unionByName, (part.select(*names) for part in parts))


def _newest(job: Job, path: str) -> DataFrame | None:
    """The latest days of a table that has days, and this run's candidates for it; None for another."""
    [column] = {table.date for table in SILVER_TABLES if table.name == path} or {None}
    if column is None or job.lake.version(path) is None:
        return None
    since: list[Span] = [(job.request.data_date - LOOKED_AT_FIRST, None)]
    return _as_published(job, path, column, lambda: since)


def _outcome(job: Job, batches: list[Batch], rejections: tuple[Rejected, ...] = ()) -> Outcome:
    judged = [each.contract for each in batches]
    data_date = job.request.data_date
    history = earlier_results(job.lake.store, judged, data_date)
    measured = evaluate(
        batches,
        {"data_date": data_date},
        history=history,
        table=partial(_as_published, job),
        newest=partial(_newest, job),
    )
    results, waivers = passed_over(noted(measured, rejections), job.request.waivers)
    decided = verdict(results, job.request.fail_from)
    record(job, judged, results, decided)
    job.log.write("checked", verdict=decided)
    return Outcome(verdict=decided, results=results, waivers=waivers, rejections=rejections)
