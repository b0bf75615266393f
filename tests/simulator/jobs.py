"""What each job does to the lake, row by row, with Delta's rules of commit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from contracts import contract as contracts
from contracts.contract import Contract
from contracts.errors import ContractViolationError, SourceUnavailableError
from spark_jobs import ingest as real_ingest
from spark_jobs import publish as real_publish
from spark_jobs.bronze_to_silver import silver_tables
from spark_jobs.delta_log import Commit
from spark_jobs.expectations import verdict
from spark_jobs.job import (
    BRONZE_TO_SILVER,
    CHECK_BRONZE,
    CHECK_GOLD,
    CHECK_SILVER,
    INGEST,
    PUBLISH_GOLD,
    PUBLISH_SILVER,
    SILVER_TO_GOLD,
    Job,
)
from spark_jobs.receipts import Outcome, Receipts, Rejected, TableReceipt
from spark_jobs.rejections import counted, noted, of_dataset
from spark_jobs.request import Request
from spark_jobs.waivers import passed_over

from . import faults as kinds
from .lake import GOLD, ORDER_OF, ORDERS, RATES, ModelLake, Row, key_of, live_commits, newness
from .source import Source, expectation_of, name_of, rates_of

if TYPE_CHECKING:
    from .spark import Driver

Batch = tuple[Contract, list[Row]]
AUDIT = "quality/results"


class _Log:
    def write(self, *_: object, **__: object) -> None:
        """The trace tells enough."""


def perform(
    request: Request,
    driver: Driver,
    source: Source,
    present: Sequence[str],
    started_at: datetime,
    before_commit: Callable[..., None],
) -> Outcome:
    """Do what the request says."""
    lake = ModelLake(driver, request, before_commit)
    earlier = Receipts.read(driver, request.receipts)  # type: ignore[arg-type]
    job = Job(request=request, lake=lake, receipts=earlier, log=_Log(), started_at=started_at)  # type: ignore[arg-type]
    if request.step == INGEST:
        return _ingest(job, lake, lambda: _read(request, driver, source, present))
    work: dict[str, Callable[[Job, ModelLake], Outcome]] = {
        CHECK_BRONZE: _check_bronze,
        BRONZE_TO_SILVER: _bronze_to_silver,
        CHECK_SILVER: _check_silver,
        SILVER_TO_GOLD: _silver_to_gold,
        CHECK_GOLD: _check_gold,
        PUBLISH_SILVER: lambda job, _: real_publish.publish_silver(job),
        PUBLISH_GOLD: lambda job, _: real_publish.publish_gold(job),
    }
    return work[request.step](job, lake)


def gold_publications(_: Job) -> tuple[real_publish.Publication, ...]:
    """One table stands for all of gold; tests/test_spark_gold.py cuts a publish between its tables."""
    return (real_publish.Publication(table=GOLD, step=SILVER_TO_GOLD, date="revenue_date", may_remove=True, wave=1),)


class OneAfterAnother:
    """Stands in for a pool of threads, which know no virtual clock: its work is done one by one."""

    def __init__(self, _: int) -> None: ...

    def __enter__(self) -> OneAfterAnother:
        return self

    def __exit__(self, *_: object) -> None: ...

    def map(self, work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        """What the work gives for each item."""
        return [work(item) for item in items]


def commit_candidates(
    job: Any, publication: Any, written: TableReceipt, before: Sequence[TableReceipt]
) -> Commit | None:
    """The part of publishing that needs a session; it stands in for spark_jobs.publish._commit."""
    if not written.rows:
        return None
    lake: ModelLake = job.lake
    rows = lake.candidates(written.path)
    note = {
        "round": job.request.round,
        "rows": written.rows,
        **real_publish._note(publication, written, before),
    }
    if not written.replaces and lake.version(publication.table) == written.version_before:
        return lake.append(rows, publication.table, note=note)
    return lake.merge_rows(publication.table, rows, note)


def _read(request: Request, driver: Driver, source: Source, present: Sequence[str]) -> list[Row] | None:
    if request.subject == "fx_rates":
        rows = [row for file in request.files for row in _read_file(driver, file.key, file.etag)]
        return rows or None
    start = request.interval_start.strftime("%Y-%m-%dT%H:%M:%SZ") if request.interval_start else None
    end = request.interval_end.strftime("%Y-%m-%dT%H:%M:%SZ")

    def work() -> list[Row]:
        return [asdict(row) for row in source.orders(start, end, present)]

    return driver.operate("read source", kinds.SOURCE_READ, work) or None


def _read_file(driver: Driver, key: str, etag: str | None) -> list[Row]:
    def work() -> list[Row]:
        found = driver.s3.objects.get(key)
        if found is None or found.etag != etag:
            raise SourceUnavailableError(f"{key}: changed since it was listed")
        received_at = found.modified.isoformat()
        return [{**row, "received_at": received_at, "file": key} for row in rates_of(found.content)]

    return driver.operate("read source", kinds.SOURCE_READ, work)  # type: ignore[no-any-return]


def _ingest(job: Job, lake: ModelLake, read: Callable[[], list[Row] | None]) -> Outcome:
    contract = contracts.of_source(job.request.subject)
    if (commit := lake.committed(contract.table)) is not None:
        return real_ingest._outcome(job, contract, commit)
    rows = read()
    if rows is None:
        return real_ingest._nothing_new(job, contract)
    broken = [row for row in rows if row["flaw"] == "contract"]
    ours = {"_run_id": job.request.run_id, "_attempt": job.request.attempt, "_source": job.request.subject}
    rows, rejected = _without_rejected(job, lake, contract, "bronze", [{**row, **ours} for row in rows])
    if broken:
        table = f"quarantine/{contract.source_name}"
        if lake.committed(table) is None:
            lake.append([{**row, **ours} for row in broken], table, note={})
        if len(broken) > contract.tolerance * len(rows):
            raise ContractViolationError(
                contract.dataset, contract.version, "*", "flaw", "the source must be put right"
            )
    kept = [row for row in rows if row["flaw"] != "contract"]
    quarantined = len(broken) + sum(each.rows for each in rejected)
    note = {"quarantined": quarantined, "rejected": {each.expectation: each.rows for each in rejected}}
    commit = lake.append(kept, contract.table, note=note)
    return real_ingest._outcome(job, contract, commit)


def _without_rejected(
    job: Job, lake: ModelLake, contract: Contract, layer: str, rows: list[Row]
) -> tuple[list[Row], tuple[Rejected, ...]]:
    """The rows that nobody has rejected; the others are in quarantine, in place of those of earlier rounds."""
    rejections = of_dataset(job.request, contract)
    if not rejections:
        return rows, ()
    table = contract.quarantine
    transaction = f"{job.request.transaction(table)}:rejected"
    kept, refused = [], []
    for row in rows:
        (refused if row["flaw"] == layer else kept).append(row)
    commit = lake.committed(table, transaction)
    if commit is None and (refused or lake.version(table) is not None):
        commit = lake.append(
            refused,
            table,
            note={"rejected": {name_of(contract): len(refused)}},
            transaction=transaction,
            replacing=_rejected_before(job, lake, table),
        )
    return kept, counted(rejections, commit.note["rejected"] if commit else {})


def _rejected_before(job: Job, lake: ModelLake, table: str) -> list[str]:
    """The files of what this run, or one whose place it takes, has rejected before."""
    runs = {job.request.run_id, *job.request.superseded}
    commits = live_commits(lake.driver.s3, table)
    return [file for commit in commits if commit.run_id in runs and "rejected" in commit.note for file in commit.files]


def _run_rows(job: Job, lake: ModelLake, source: str) -> list[Row]:
    contract = contracts.of_source(source)
    receipt = job.receipts.of(INGEST, source)
    written = receipt.table(contract.table)
    if not written.rows or written.version_after is None:
        return []
    commit = lake.commit_of_run(contract.table, written.version_after)
    rows = lake.driver.get(f"{contract.table}/{commit.files[0]}") or ()
    mine = (job.request.run_id, receipt.rows_attempt)
    return [row for row in rows if (row["_run_id"], row["_attempt"]) == mine]  # type: ignore[index, misc]


def _bronze_to_silver(job: Job, lake: ModelLake) -> Outcome:
    written, refused = [], []
    for table in silver_tables(job):
        contract, order = contracts.of_table(table.name), ORDER_OF[table.name]
        base = lake.version(table.name)
        rows = _newest(contract, order, _run_rows(job, lake, table.source))
        present = {key_of(contract, row): row for row in lake.rows_at(table.name, base)}
        fresh = [
            row
            for row in rows
            if (found := present.get(key_of(contract, row))) is None or newness(row, order) > newness(found, order)
        ]
        fresh, rejected = _without_rejected(job, lake, contract, "silver", fresh)
        refused += rejected
        path = f"candidates/{job.request.run_id}/{table.name}/{job.request.attempt}"
        lake.write_candidates(fresh, path)
        written.append(
            TableReceipt(
                table=table.name,
                version_before=base,
                version_after=base,
                rows=len(fresh),
                path=path,
                replaces=sum(key_of(contract, row) in present for row in fresh),
            )
        )
    bases = {each.table: each.version_before for each in written}
    return Outcome(tables=tuple(written), bases=bases, rejections=tuple(refused))


def _silver_to_gold(job: Job, lake: ModelLake) -> Outcome:
    bases = {table: lake.version(table) for table in (RATES, ORDERS, GOLD)}
    silver = job.receipts.of(BRONZE_TO_SILVER)
    tables = {}
    for table in (RATES, ORDERS):
        candidates = lake.candidates(silver.table(table).path)
        tables[table] = _newest(
            contracts.of_table(table), ORDER_OF[table], [*lake.rows_at(table, bases[table]), *candidates]
        )
    contract = contracts.of_table(GOLD)
    computed = {key_of(contract, row): row for row in _gold(tables[ORDERS], tables[RATES])}
    current = {key_of(contract, row): row for row in lake.rows_at(GOLD, bases[GOLD])}
    changed = [row for key, row in computed.items() if _measures(row) != _measures(current.get(key))]
    changed += [{**row, "_removed": True} for key, row in current.items() if key not in computed]
    path = f"candidates/{job.request.run_id}/{GOLD}/{job.request.attempt}"
    lake.write_candidates([{**row, "_run_id": job.request.run_id} for row in changed], path)
    written = TableReceipt(
        table=GOLD,
        version_before=bases[GOLD],
        version_after=bases[GOLD],
        rows=len(changed),
        path=path,
        replaces=sum(key_of(contract, row) in current for row in changed),
    )
    return Outcome(tables=(written,), bases=bases)


def _gold(orders: list[Row], rates: list[Row]) -> list[Row]:
    days: dict[tuple[str, str], list[Row]] = {}
    for row in orders:
        days.setdefault((row["order_date"], row["currency"]), []).append(row)
    found = []
    for (day, currency), rows in days.items():
        quoted = max(
            (rate for rate in rates if rate["rate_date"] <= day), key=lambda rate: rate["rate_date"], default=None
        )  # type: ignore[no-any-return]
        found.append(
            {
                "revenue_date": day,
                "currency": currency,
                "amount": sum(row["amount"] for row in rows),
                "orders": tuple(sorted(row["order_id"] for row in rows)),
                "rate": quoted and quoted["rate"],
                "flaw": _worst((*rows, *([quoted] if quoted else ()))),
            }
        )
    return found


def _worst(rows: Sequence[Row]) -> str | None:
    """The flaw that a row of gold has: what gold's own rules tell comes first, as the others were waived before it."""
    return min((row["flaw"] for row in rows if row["flaw"]), key=lambda flaw: flaw != "gold", default=None)


def _check_bronze(job: Job, lake: ModelLake) -> Outcome:
    sources = [table.source for table in silver_tables(job)]
    batches = [(contracts.of_source(source), _run_rows(job, lake, source)) for source in sources]
    return _judged(job, lake, "bronze", batches, job.receipts.rejections(INGEST))


def _check_silver(job: Job, lake: ModelLake) -> Outcome:
    rejections = job.receipts.rejections(BRONZE_TO_SILVER)
    return _judged(job, lake, "silver", _candidates(job, lake, BRONZE_TO_SILVER), rejections)


def _check_gold(job: Job, lake: ModelLake) -> Outcome:
    return _judged(job, lake, "gold", _candidates(job, lake, SILVER_TO_GOLD))


def _candidates(job: Job, lake: ModelLake, step: str) -> list[Batch]:
    tables = job.receipts.of(step).tables
    return [(contracts.of_table(table.table), lake.candidates(table.path)) for table in tables]


def _judged(
    job: Job, lake: ModelLake, layer: str, batches: Sequence[Batch], rejections: tuple[Rejected, ...] = ()
) -> Outcome:
    measured = []
    for contract, rows in batches:
        flawed = sum(row["flaw"] == layer and not row.get("_removed") for row in rows)
        expectation = expectation_of(contract)
        measured.append(
            {
                "dataset": contract.dataset,
                "expectation": expectation.type,
                "column": expectation.column,
                "severity": expectation.severity,
                "success": not flawed,
                "observed": {"failed": flawed},
                "expected": {},
            }
        )
    results, waivers = passed_over(noted(measured, rejections), job.request.waivers)
    request = job.request
    transaction = f"{request.transaction(AUDIT)}:{request.attempt}"

    def commit() -> None:  # delta-rs commits with a conditional put, so no two checks take the same version
        folder = f"{AUDIT}/_delta_log"
        committed = lake.driver.s3.folders.setdefault(folder, {})
        with suppress(KeyError):
            if lake.driver.s3.objects[f"{folder}/{transaction}"]:
                return
        committed[transaction] = None
        lake.driver.s3.put(f"{folder}/{transaction}", list(results))

    lake.driver.operate("put audit", kinds.FINAL_OPERATION, commit)
    decided = verdict(results, request.fail_from)
    return Outcome(verdict=decided, results=results, waivers=waivers, rejections=rejections)


def _newest(contract: Contract, order: str, rows: list[Row]) -> list[Row]:
    """One row a key, the newest; of rows alike the later one, as a row put right stands beside its old self."""
    by_key: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        found = by_key.get(key_of(contract, row))
        if found is None or newness(row, order) >= newness(found, order):
            by_key[key_of(contract, row)] = row
    return list(by_key.values())


def _measures(row: Row | None) -> Any:
    return None if row is None else (row["amount"], row["orders"], row["rate"])
