"""Publish: the audited candidates become part of the shared tables, one commit a table, in a stated order.

Silver before gold, so that gold is never ahead of what it was computed from, and each table of gold after those that it
is computed from; tables that are not are committed at once. A table that this step has committed already is left alone,
so a run that was killed between two commits goes on where it stopped. A table that there is not yet is made of its
candidates' files as they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial, reduce
from itertools import groupby
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from contracts import contract as contracts
from contracts.contract import Contract
from contracts.errors import ReceiptMissingError
from spark_jobs.bronze_to_silver import AT_ONCE, silver_tables
from spark_jobs.days import in_spans, single_days
from spark_jobs.delta_log import Commit
from spark_jobs.gold_tables import SEAL, GoldTable, gold_tables
from spark_jobs.job import BRONZE_TO_SILVER, SILVER_TO_GOLD, Job
from spark_jobs.lake import ROWS_A_FILE, distinct_dates
from spark_jobs.receipts import Outcome, Receipt, TableReceipt
from spark_jobs.silver_changes import columns, sealed
from spark_jobs.transforms.changes import REMOVED
from spark_jobs.transforms.newest import overlay

MOST_DAYS_REPLACED = 31  # more of them are merged into: few files hold none of them
MOST_DAYS_APART = 4  # the latest, each in a file of its own


@dataclass(frozen=True, kw_only=True)
class Publication:
    """How one table takes its candidates in. A row of silver gives way only to a newer one.

    Attributes:
        wave: tables of one wave are published at once, and after those of the waves before.
    """

    table: str
    step: str
    date: str | None
    order: Sequence[str] = ()
    may_remove: bool = False
    wave: int = 0


def publish_silver(job: Job) -> Outcome:
    """Commit the candidates of the silver tables that the run's sources make.

    What they change in gold is left to the next run that builds it.
    """
    return _publish(job, _silver(job), BRONZE_TO_SILVER)


def publish_gold(job: Job) -> Outcome:
    """Commit every table's candidates."""
    return _publish(job, (*_silver(job), *_gold(job)), SILVER_TO_GOLD)


def _silver(job: Job) -> tuple[Publication, ...]:
    return tuple(
        Publication(table=each.name, step=BRONZE_TO_SILVER, date=each.date, order=each.order)
        for each in silver_tables(job)
    )


def _gold(job: Job) -> tuple[Publication, ...]:
    return tuple(
        Publication(table=each.name, step=SILVER_TO_GOLD, date=each.day, may_remove=True, wave=_wave(each))
        for each in gold_tables(job)
    )


def _wave(table: GoldTable) -> int:
    """Silver is the first wave; then gold: what comes from silver alone, what comes from that, and the seal."""
    if table.name == SEAL:
        return 3
    return 2 if table.after else 1


def _publish(job: Job, publications: Sequence[Publication], built_by: str) -> Outcome:
    """Commit candidates, in the order of the publications; nothing at all when another run changed a table since.

    The receipt of the step `built_by` says on which versions of the tables they were built.
    """
    receipt = job.receipts.of(built_by)
    bases = receipt.bases
    done = {each.table: job.lake.committed(each.table) for each in publications}
    moved = [
        each.table
        for each in publications
        if done[each.table] is None and job.lake.changed_by_others(each.table, _base(receipt, each.table))
    ]
    if moved:
        job.log.write("base_moved", table=moved[0], published=False)
        return Outcome(published=False, bases=bases)
    tables: list[TableReceipt] = []
    for _, wave in groupby(sorted(publications, key=lambda each: each.wave), key=lambda each: each.wave):
        publish = partial(_publish_table, job, done, tuple(tables))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            tables += pool.map(publish, wave)
    # the columns of gold come through publishing unchanged: their lineage is that of the steps before
    return Outcome(tables=tuple(tables), published=True, bases=bases)


def _publish_table(
    job: Job, done: Mapping[str, Commit | None], before: Sequence[TableReceipt], publication: Publication
) -> TableReceipt:
    table = publication.table
    written = job.receipts.of(publication.step).table(table)
    commit = done[table] or _commit(replace(job, lake=job.lake.apart()), publication, written, before)
    receipt = _receipt(job, publication, written, commit)
    job.log.write("published", table=table, version=receipt.version_after, rows=written.rows)
    return receipt


def _commit(job: Job, publication: Publication, written: TableReceipt, before: Sequence[TableReceipt]) -> Commit | None:
    """The commit of a table's candidates, after those of the tables before it; None when there are none."""
    if not written.rows and not _must_seal(job, publication, before):
        return None
    contract = contracts.of_table(publication.table)
    note = {"round": job.request.round, "rows": written.rows, **_note(publication, written, before)}
    if written.version_before is None and written.rows:
        return job.lake.adopt(contract, written.path, note=note)
    candidates = _candidates(job, publication)
    if not written.replaces and job.lake.version(publication.table) == written.version_before:
        # no key of theirs is in the table, which is as it was when that was found: a plain append will do
        rows = candidates.select(*(name for name, _ in contract.columns))
        if publication.date and written.rows > ROWS_A_FILE:
            # files that each hold a stretch of days, so that later reads skip most of a history
            rows = rows.repartitionByRange(math.ceil(written.rows / ROWS_A_FILE), publication.date)
        return job.lake.append(rows, publication.table, note=note)
    prune = "true"
    if publication.date:
        days = _days_of(written) or distinct_dates(candidates, publication.date)
        if len(days) <= MOST_DAYS_REPLACED:
            return _replace_days(job, publication, publication.date, sorted(days), written.rows, note)
        prune = in_spans(f"t.{publication.date}", single_days(days))
    return job.lake.merge(candidates, contract, clauses=_clauses(contract, publication), prune=prune, note=note)


def _replace_days(
    job: Job, publication: Publication, day: str, days: Sequence[date], count: int, note: Mapping[str, Any]
) -> Commit:
    """Commit the days that the candidates speak of, as they are from now on, in place of what the table holds of them.

    A MERGE would do, but it writes what it inserts into the files that it rewrites: with one correction of yesterday a
    day, a single file comes to hold all days, and each run rewrites it. Here what a file holds of other days goes into
    a file of its own, and the new ones hold the days of this run.
    """
    contract, spans = contracts.of_table(publication.table), single_days(days)
    candidates = _candidates(job, publication)
    names, key = [name for name, _ in contract.columns], list(contract.key)
    current = job.lake.read_days(publication.table, job.lake.version(publication.table), day, spans)
    if current is None:
        rows = candidates
    elif publication.order:
        rows = overlay(current.select(*names), candidates, key, publication.order)
    else:
        kept = current.join(candidates.select(*key), key, how="left_anti")
        rows = kept.select(*names, sf.lit(False).alias(REMOVED)).unionByName(candidates)
    if publication.may_remove:
        rows = rows.where(~sf.col(REMOVED))
    replacing = in_spans(day, spans) if current is not None and spans else None
    laid_out = _laid_out(rows, day, key, days, count)
    return job.lake.append(laid_out.select(*names), publication.table, note=note, replacing=replacing)


def _laid_out(rows: DataFrame, day: str, key: Sequence[str], days: Sequence[date], count: int) -> DataFrame:
    """The rows in files that each hold a stretch of days, so that later reads skip what they do not ask for.

    A few rows go into a file for each of the latest days, and one for what is older: the next run corrects some of the
    latest day, and would read the days that share its file.
    """
    if count > ROWS_A_FILE:
        return rows.repartitionByRange(math.ceil(count / ROWS_A_FILE), day, *key)
    latest = days[1:][-MOST_DAYS_APART + 1 :]
    if not latest:
        return rows.hint("rebalance")
    file = reduce(Column.__add__, ((sf.col(day) >= sf.lit(first)).cast("int") for first in latest))
    return rows.repartitionById(len(latest) + 1, file)


def _candidates(job: Job, publication: Publication) -> DataFrame:
    written = job.receipts.of(publication.step).table(publication.table)
    extra = {REMOVED: "boolean"} if publication.may_remove else {}
    return job.lake.read_candidates(contracts.of_table(publication.table), written.path, **extra)


def _days_of(written: TableReceipt) -> list[date] | None:
    """The days of candidates where the receipt tells them: both ends are among them; None when there may be others."""
    if written.first_day is None or written.last_day is None:
        return None
    first, last = date.fromisoformat(written.first_day), date.fromisoformat(written.last_day)
    return sorted({first, last}) if last - first <= timedelta(days=1) else None


def _must_seal(job: Job, publication: Publication, before: Sequence[TableReceipt]) -> bool:
    """Whether the last table of gold takes a commit without rows, which says what the others are built on by now."""
    if publication.table != SEAL:
        return False
    known = sealed(job.lake, SEAL, job.lake.version(SEAL)) or {}
    return any(each.version_after is not None and known.get(each.table) != each.version_after for each in before)


def _note(publication: Publication, written: TableReceipt, before: Sequence[TableReceipt]) -> dict[str, Any]:
    """What later runs of silver_to_gold ask: the days that a commit to silver is about, and what gold is built on."""
    if publication.step == SILVER_TO_GOLD:
        # not the versions of now: a publish that was killed may go on after another run has changed silver
        return {
            "built_on": {each.table: each.version_after for each in before},
            "columns": columns([*(each.table for each in before), publication.table]),
        }
    return {"days": [written.first_day, written.last_day]}


def _clauses(contract: Contract, publication: Publication) -> str:
    columns = [name for name, _ in contract.columns]
    # without `t.`: a column that the table is about to gain is not one of its columns yet
    updates = ", ".join(f"`{name}` = s.`{name}`" for name in columns)
    names, values = (", ".join(f"{prefix}`{name}`" for name in columns) for prefix in ("", "s."))
    newer, kept = "", ""
    if publication.order:
        theirs, ours = (", ".join(f"{alias}.`{name}`" for name in publication.order) for alias in ("s", "t"))
        newer = f" AND struct({theirs}) > struct({ours})"
    removal = ""
    if publication.may_remove:
        removal = f"WHEN MATCHED AND s.`{REMOVED}` THEN DELETE "
        kept = f" AND NOT s.`{REMOVED}`"
    matched = f"WHEN MATCHED{newer} THEN UPDATE SET {updates}"
    absent = f"WHEN NOT MATCHED{kept} THEN INSERT ({names}) VALUES ({values})"  # noqa: S608 (names of a contract)
    return f"{removal}{matched} {absent}"


def _receipt(job: Job, publication: Publication, written: TableReceipt, commit: Commit | None) -> TableReceipt:
    version = job.lake.version(publication.table)
    before, after = version, version
    if commit is not None:
        before, after = commit.version - 1 if commit.version else None, commit.version
    return TableReceipt(
        table=publication.table, version_before=before, version_after=after, rows=written.rows, path=publication.table
    )


def _base(receipt: Receipt, table: str) -> int | None:
    if table not in receipt.bases:
        raise ReceiptMissingError(f"the receipt of {receipt.step} does not say on which version of {table} it built")
    base = receipt.bases[table]
    return None if base is None else int(base)
