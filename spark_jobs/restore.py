"""Restore a silver table from bronze, in one commit: what the published runs brought is made into rows once more.

Silver is a pure function of those rows: of each key the newest stands, whatever the order in which they came. So the
restored table equals what the runs made of it, in every column, as long as the transforms are those of then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf
from pyspark.sql.types import StringType, StructField, StructType

from contracts import contract as contracts
from contracts.contract import Contract
from contracts.errors import InvalidRequestError, QualityGateClosedError
from contracts.waiving import result_name
from spark_jobs.bronze_to_silver import SILVER_TABLES, SilverTable
from spark_jobs.days import Span
from spark_jobs.delta_log import Commit, read_commits
from spark_jobs.expectations import Batch, evaluate, verdict
from spark_jobs.job import Job
from spark_jobs.lake import RETENTION_DAYS, ROWS_A_FILE
from spark_jobs.pipeline_kinds import PIPELINE_KINDS, Trend
from spark_jobs.published import PUBLISHING, Taken, committed, refused_with, taken
from spark_jobs.quality_results import record
from spark_jobs.receipts import Outcome, TableReceipt
from spark_jobs.row_rules import row_rules, stored_schema
from spark_jobs.transforms.newest import newest
from spark_jobs.waivers import passed_over

FAIL = "FAIL"
_PAIR = "_run_id string, _attempt int"


def restore_silver(job: Job) -> Outcome:
    """Put a silver table back as the published runs made it; nothing is committed when it is so already.

    Without `from_run` all of their bronze rows count, and nothing of the table as it stands. With it the table goes
    back to the version before that run's first commit, and the bronze rows of it and of the runs that published after
    it are applied again. Rows that a person rejected stay out, by what quarantine holds.

    Raises:
        InvalidRequestError: no silver table has that name, or `from_run` cannot be gone back to.
        ReceiptMissingError: a published run has no receipt that says which rows it took.
        QualityGateClosedError: the rebuilt rows fail an expectation that nobody has waived for this run.
    """
    table = _named(job.request.subject)
    contract = contracts.of_table(table.name)
    commit = job.lake.committed(table.name)
    if commit is not None:
        job.log.write("already_committed", table=table.name, version=commit.version)
        return _outcome(table.name, commit.version - 1 if commit.version else None, commit.version, commit.note)
    path = f"candidates/{job.request.run_id}/{table.name}/{job.request.attempt}"
    job.lake.write_candidates(_rebuilt(job, table, contract), path)
    rebuilt = job.lake.read_candidates(contract, path)
    judged = _judge(job, contract, rebuilt)
    base = job.lake.version(table.name)
    note = {"restored": True, "verdict": judged.verdict, **_difference(job, table, contract, rebuilt, base)}
    if base is not None and not note["rows"]:
        job.log.write("nothing_to_restore", table=table.name, version=base)
        return _outcome(table.name, base, base, note, judged)
    if table.date:
        rows = rebuilt.count()
        rebuilt = rebuilt.repartitionByRange(max(1, math.ceil(rows / ROWS_A_FILE)), table.date)
    commit = job.lake.overwrite(rebuilt, table.name, note=note)
    job.log.write("restored", table=table.name, version=commit.version, rows=note["rows"])
    return _outcome(table.name, base, commit.version, note, judged)


def _named(subject: str) -> SilverTable:
    for table in SILVER_TABLES:
        if table.name == f"silver/{subject}":
            return table
    raise InvalidRequestError(
        f"{subject}: no silver table; there are {', '.join(each.name.split('/')[1] for each in SILVER_TABLES)}"
    )


def _rebuilt(job: Job, table: SilverTable, contract: Contract) -> DataFrame:
    """The rows that the table should hold, in the columns of its contract."""
    source = contracts.of_source(table.source)
    columns = [name for name, _ in contract.columns]
    commits = read_commits(job.lake.store, table.name)
    bronze = _bronze(job, source)
    before = None
    if job.request.from_run is None:
        run_ids = [row[0] for row in bronze.select("_run_id").distinct().collect()]
        found = taken(job.lake.store, table.name, table.source, run_ids, commits)
    else:
        first = _first_commit(table.name, job.request.from_run, commits)
        found = committed(job.lake.store, table.source, [each for each in commits if each.version >= first.version])
        before = job.lake.read(table.name, first.version - 1) if first.version else None
    job.log.write("runs_taken", table=table.name, runs=len({each.run_id for each in found}))
    parts = [each.select(*columns) for each in _standardised(job, table, contract, bronze, found)]
    if before is not None:
        parts.append(before.select(*columns))
    return newest(reduce(DataFrame.unionByName, parts), table.key, table.order).select(*columns)


def _bronze(job: Job, source: Contract) -> DataFrame:
    """All rows of a source."""
    schema = stored_schema(source)
    version = job.lake.version(source.table)
    if version is None:
        return job.lake.nothing(schema)
    return job.lake.read(source.table, version).where(sf.col("_source") == source.source_name).select(*schema.names)


def _first_commit(table: str, run_id: str, commits: Sequence[Commit]) -> Commit:
    """The first commit by which a run published to a table.

    Raises:
        InvalidRequestError: there is none, or the version before it may be vacuumed.
    """
    for commit in commits:
        if commit.run_id == run_id and commit.note.get("step") in PUBLISHING:
            if commit.committed_at < datetime.now(UTC) - timedelta(days=RETENTION_DAYS):
                raise InvalidRequestError(
                    f"{table}: run {run_id} published on {commit.committed_at:%Y-%m-%d}, and files that left a table "
                    f"are kept for {RETENTION_DAYS} days: name a later run, or restore all of it, without --from"
                )
            return commit
    raise InvalidRequestError(
        f"{table}: its log holds no commit by which run {run_id} published: name a run that did, or restore all of it, "
        "without --from"
    )


def _standardised(
    job: Job, table: SilverTable, contract: Contract, bronze: DataFrame, found: Sequence[Taken]
) -> Iterable[DataFrame]:
    """The rows of the runs as bronze_to_silver makes them, without those that a person had rejected from them."""
    rejected = _rejected(job, table, contract)
    refusing = {run_id: refused_with(job.lake.store, run_id) for run_id in _runs_of(rejected)}
    with_rejections = {run_id for run_ids in refusing.values() for run_id in run_ids}
    together = [each for each in found if each.run_id not in with_rejections]
    key_arn = job.request.secret_arn
    yield table.settled(table.standardise(_of_runs(job, bronze, together)), key_arn)
    for run_id in sorted(with_rejections & {each.run_id for each in found}):
        own = [each for each in found if each.run_id == run_id]
        rows = table.settled(table.standardise(_of_runs(job, bronze, own)), key_arn)
        under = [each for each, run_ids in refusing.items() if run_id in run_ids]
        gone = rejected.where(sf.col("_by").isin(*under)).select(*table.key).distinct()
        yield rows.join(gone, list(table.key), how="left_anti")


def _of_runs(job: Job, bronze: DataFrame, found: Sequence[Taken]) -> DataFrame:
    if not found:
        return bronze.where("false")
    pairs = job.lake.spark.createDataFrame([(each.run_id, each.attempt) for each in found], _PAIR)
    # run ids begin with the time, so the files of earlier runs stay unread
    some = bronze.where(sf.col("_run_id").between(found[0].run_id, found[-1].run_id))
    return some.join(sf.broadcast(pairs), ["_run_id", "_attempt"], how="left_semi")


def _rejected(job: Job, table: SilverTable, contract: Contract) -> DataFrame:
    """The keys of rows that a person rejected from silver, and under which run they stand in quarantine."""
    fields = stored_schema(contract)
    keys = StructType([fields[name] for name in table.key])
    version = job.lake.version(contract.quarantine)
    if version is None:
        return job.lake.nothing(StructType([StructField("_by", StringType()), *keys]))
    rows = job.lake.stored(contract.quarantine, version).where(
        (sf.col("dataset") == contract.dataset) & sf.col("rule").startswith("expect_")
    )
    return rows.select(sf.col("_run_id").alias("_by"), sf.from_json("row", keys).alias("_key")).select("_by", "_key.*")


def _runs_of(rejected: DataFrame) -> list[str]:
    return [row["_by"] for row in rejected.select("_by").distinct().collect()]


def _judge(job: Job, contract: Contract, rows: DataFrame) -> Outcome:
    """The verdict on the whole rebuilt table, on record; what compares with a run's day says nothing of a table."""
    lasting = tuple(each for each in contract.expectations if not isinstance(PIPELINE_KINDS.get(each.type), Trend))
    judged = replace(contract, expectations=lasting)

    def standing(path: str, _column: str | None, _days: Callable[[], list[Span]]) -> DataFrame:
        if path == contract.table:
            return rows
        version = job.lake.version(path)
        if version is None:
            return job.lake.nothing(stored_schema(contracts.of_table(path)))
        return job.lake.read(path, version)

    batch = Batch(contract=judged, rows=rows, rules=row_rules(contract), may_be_empty=True)
    measured = evaluate([batch], {"data_date": job.request.data_date}, table=standing)
    results, waivers = passed_over(measured, job.request.waivers)
    decided = verdict(results, job.request.fail_from)
    record(job, [contract], results, decided)
    if decided == FAIL:
        failed = ", ".join(
            result_name(each["dataset"], each["expectation"], each["column"])
            for each in results
            if not each["success"] and not each["waived"]
        )
        raise QualityGateClosedError(
            f"{contract.table}: what bronze gives fails {failed}. Nothing was committed. What a run once published "
            "under a waiver must be waived for this run too; a transform that is wrong must be mended. Then redrive"
        )
    return Outcome(verdict=decided, results=results, waivers=waivers)


def _difference(
    job: Job, table: SilverTable, contract: Contract, rebuilt: DataFrame, base: int | None
) -> dict[str, Any]:
    """How many rows differ from what the table holds, and the first and last day that they are of."""
    columns = [name for name, _ in contract.columns]
    sides = [rebuilt.select(*columns, sf.lit(1).alias("_side"))]
    if base is not None:
        sides.append(job.lake.read(table.name, base).select(*columns, sf.lit(-1).alias("_side")))
    differing = reduce(DataFrame.unionByName, sides).groupBy(*columns).agg(sf.sum("_side").alias("_side"))
    days = [sf.min(table.date), sf.max(table.date)] if table.date else [sf.lit(None), sf.lit(None)]
    rows, first, last = differing.where("_side != 0").select(sf.sum(sf.abs("_side")), *days).collect()[0]
    if first is None:
        return {"rows": rows or 0}
    return {"rows": rows, "days": [str(first), str(last)]}


def _outcome(
    table: str, before: int | None, after: int, note: Mapping[str, Any], judged: Outcome | None = None
) -> Outcome:
    """What a receipt says; of an attempt that found the commit made, what its note says."""
    first, last = note.get("days") or (None, None)
    written = TableReceipt(
        table=table,
        version_before=before,
        version_after=after,
        rows=note["rows"],
        path=table,
        first_day=first,
        last_day=last,
    )
    return replace(judged or Outcome(verdict=note["verdict"]), tables=(written,))
