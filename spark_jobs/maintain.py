"""Maintenance of a layer's Delta tables: pack small files, sort what has come apart, delete what nobody needs any more.

None of it changes a row. The commits say so (`dataChange` is false), so no run builds anew because of them.

OPTIMIZE ... ZORDER BY and plain OPTIMIZE leave a table that every reader of Delta's first protocol reads. Liquid
clustering asks for the table feature `clustering`, a writer feature of protocol version 7 that delta-rs does not write.
Source: https://docs.delta.io/latest/optimizations-oss.html, https://docs.delta.io/latest/delta-clustering.html
Source: https://docs.delta.io/latest/delta-utility.html, "Remove files no longer referenced by a Delta table"
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from contracts import contract as contracts
from contracts.errors import InvalidRequestError
from spark_jobs.bronze_to_silver import SILVER_TABLES
from spark_jobs.days import Span
from spark_jobs.delta_log import File, Snapshot, read_commit, read_snapshot
from spark_jobs.gold_tables import GOLD_TABLES
from spark_jobs.job import Job
from spark_jobs.lake import RETENTION_DAYS
from spark_jobs.quality_results import DATASET, pack
from spark_jobs.receipts import Outcome, TableReceipt

LAYERS = ("bronze", "silver", "gold")
AUDIT = "quality"  # the results of checks: no layer of data, and packed in a way of its own
MEGABYTE = 1 << 20
# A merge rewrites the files that hold its days, so a table that is merged into keeps files of some 100,000 rows.
# Packing knows no days, so only what is below an eighth of a whole file is packed: the files of late weeks, which go
# together. What has become as large as that is not packed again.
MERGED_FILE_BYTES = 8 * MEGABYTE
SMALL = 8
APPENDED_FILE_BYTES = 128 * MEGABYTE  # bronze is read whole by a restore and by nothing else
FEWEST_SMALL_FILES = 8
# How many files hold a day, on the mean. A day's run reads and rewrites all that hold its days.
MOST_FILES_A_DAY = 4.0
KEPT_SINCE = "assay.filesKeptSince"
PACK, SORT = "pack", "sort"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be done to a table's files.

    Attributes:
        action: PACK small files into larger ones, SORT all rows by the day, or None.
        small: files below an eighth of the size that is aimed at.
        files_a_day: how many files hold a day, on the mean over the days of all files; None without a day.
    """

    action: str | None
    files: int
    small: int
    files_a_day: float | None


def maintain(job: Job) -> Outcome:
    """Maintain all tables of the layer that the request names; a table that is not there is passed over.

    Raises:
        InvalidRequestError: no such layer, or files are to be kept for less long than redrives and restores need.
    """
    layer = job.request.subject
    if layer == AUDIT:
        return _maintain_audit(job)
    if layer not in LAYERS:
        raise InvalidRequestError(f"{layer}: no layer to maintain; there are {', '.join((*LAYERS, AUDIT))}")
    keep_days = RETENTION_DAYS if job.request.keep_days is None else job.request.keep_days
    if keep_days < RETENTION_DAYS:
        raise InvalidRequestError(
            f"keep_days {keep_days}: files that left a table are kept for {RETENTION_DAYS} days at least, or a redrive "
            "and a restore would miss them; start the maintenance with as many, or without keep_days"
        )
    days = days_of_tables()
    tables = sorted(each.table for each in contracts.load_all() if each.layer == layer)
    receipts = [
        _maintain(job, table, days.get(table), keep_days) for table in tables if job.lake.version(table) is not None
    ]
    return Outcome(tables=tuple(receipts))


def _maintain_audit(job: Job) -> Outcome:
    table = contracts.load(DATASET).table
    before = job.lake.version(table)
    packed = pack(job.lake.store, job.request)
    after = job.lake.version(table)
    job.log.write("maintained", table=table, action=PACK if packed else None, version=after)
    written = TableReceipt(table=table, version_before=before, version_after=after, rows=0, path=table)
    return Outcome(tables=() if before is None else (written,))


def days_of_tables() -> dict[str, str]:
    """The column by which a table's days are told apart, of those tables that have one."""
    silver = {each.name: each.date for each in SILVER_TABLES if each.date is not None}
    return silver | {each.name: each.day for each in GOLD_TABLES if each.day is not None}


def plan(files: Sequence[File] | None, whole_bytes: int, *, has_day: bool) -> Plan:
    """What a table's files call for.

    Args:
        files: those of its present version; None when they are not known: Delta itself then looks for small ones.
        whole_bytes: the size that is aimed at.
        has_day: whether the table has a day to sort by.
    """
    if files is None:
        return Plan(action=PACK, files=0, small=0, files_a_day=None)
    small = sum(each.size < whole_bytes // SMALL for each in files)
    files_a_day = _files_a_day([each.days for each in files]) if has_day else None
    action = None
    if files_a_day is not None and files_a_day > MOST_FILES_A_DAY + _whole_files_a_day(files, whole_bytes):
        action = SORT
    elif small >= FEWEST_SMALL_FILES:
        action = PACK
    return Plan(action=action, files=len(files), small=small, files_a_day=files_a_day)


def _files_a_day(spans: Sequence[Span | None]) -> float | None:
    """How many of the spans hold a span's first day, on the mean; None when one is not known."""
    known = [span for span in spans if span is not None]
    if len(known) != len(spans) or not known:
        return None
    firsts = sorted(first for first, _ in known)
    lasts = sorted(last or date.max for _, last in known)
    return sum(bisect_right(firsts, day) - bisect_left(lasts, day) for day in firsts) / len(known)


def _whole_files_a_day(files: Sequence[File], whole_bytes: int) -> float:
    """How many whole files a day's rows fill, on the mean over the days from the first to the last."""
    spans = [each.days for each in files if each.days is not None]
    days = (max(last or first for first, last in spans) - min(first for first, _ in spans)).days + 1
    return sum(each.size for each in files) / whole_bytes / days


def _maintain(job: Job, table: str, day: str | None, keep_days: int) -> TableReceipt:
    lake, before = job.lake, job.lake.version(table)
    snapshot = read_snapshot(lake.store, table, before or 0, day)
    kept_days, is_due = _keep_files(job, table, keep_days, snapshot)
    whole_bytes = APPENDED_FILE_BYTES if table.startswith("bronze/") else MERGED_FILE_BYTES
    decided = plan(None if snapshot is None else snapshot.files, whole_bytes, has_day=day is not None)
    if decided.action is not None:
        sort = f" ZORDER BY ({day})" if decided.action == SORT else ""
        settings = {
            "spark.databricks.delta.optimize.minFileSize": str(whole_bytes // SMALL),
            "spark.databricks.delta.optimize.maxFileSize": str(whole_bytes),
        }
        lake.rearrange(table, f"OPTIMIZE {{table}}{sort}", settings=settings, note={"maintenance": decided.action})
    if is_due:
        _vacuum(job, table, kept_days)
    after = lake.version(table)
    log: dict[str, Any] = {"action": decided.action, "small_files": decided.small, "files_a_day": decided.files_a_day}
    job.log.write("maintained", table=table, files=decided.files, vacuumed=is_due, version=after, **log)
    return TableReceipt(table=table, version_before=before, version_after=after, rows=0, path=table)


def _keep_files(job: Job, table: str, keep_days: int, snapshot: Snapshot | None) -> tuple[int, bool]:
    """Have the log remember for long enough when files left the table.

    VACUUM deletes what is old and not in the log. A table that was made when the log forgot sooner is vacuumed only
    once it has remembered for as long as files are to be kept.

    Returns:
        For how many days the log remembers now, which VACUUM must not go below, and whether VACUUM has anything to do.
    Source: https://github.com/delta-io/delta/issues/140
    """
    lake, name = job.lake, "delta.deletedFileRetentionDuration"
    properties = {} if snapshot is None else snapshot.properties
    kept_days = int((properties.get(name) or "interval 7 days").split()[1])
    today = job.started_at.date().toordinal()
    if kept_days < keep_days:
        # what the log forgot before today is forgotten
        wanted = {name: f"interval {keep_days} days", KEPT_SINCE: str(today)}
        listed = ", ".join(f"'{key}' = '{value}'" for key, value in wanted.items())
        lake.rearrange(table, f"ALTER TABLE {{table}} SET TBLPROPERTIES ({listed})", settings={}, note={})
        return keep_days, False
    remembers = today - int(properties.get(KEPT_SINCE, 0)) >= kept_days
    return kept_days, remembers and _has_old_files(job, table, kept_days)


def _has_old_files(job: Job, table: str, kept_days: int) -> bool:
    """Whether a file of the table may be older than files are kept: none is much older than the first commit."""
    first = read_commit(job.lake.store, table, 0)
    return first is None or first.committed_at < job.started_at - timedelta(days=kept_days)


def _vacuum(job: Job, table: str, keep_days: int) -> None:
    settings = {
        # what it would add to the log are two commits that say nothing of the table
        "spark.databricks.delta.vacuum.logging.enabled": "false",
        # a table is one folder; Spark would list it with 10,000 tasks
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": "4",
    }
    job.lake.rearrange(table, f"VACUUM {{table}} RETAIN {keep_days * 24} HOURS", settings=settings, note={})
