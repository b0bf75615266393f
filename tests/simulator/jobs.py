"""What each job does to the lake, row by row, with Delta's rules of commit."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
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
from spark_jobs.lake import Lake
from spark_jobs.receipts import Outcome, Receipts, TableReceipt
from spark_jobs.request import Request

from . import faults as kinds
from .source import Source, rates_of

if TYPE_CHECKING:
    from .spark import Driver

Row = dict[str, Any]
ORDERS, RATES, GOLD = "silver/orders", "silver/fx_rates", "gold/fct_daily_revenue"
AUDIT = "quality/results"
ORDER_OF = {ORDERS: "updated_at", RATES: "received_at"}


class ModelLake(Lake):
    """The lake of the real jobs, with plain rows for frames."""

    def __init__(self, driver: Driver, request: Request, before_commit: Callable[..., None]) -> None:
        super().__init__(None, driver, request)  # type: ignore[arg-type]
        self.driver = driver
        self._before_commit = before_commit

    def rows_at(self, table: str, version: int | None) -> list[Row]:
        """The rows of a table of snapshots at a version."""
        if version is None:
            return []
        commit = self.commit_at(table, version)
        return list(self.driver.get(f"{table}/{commit['files'][0]}") or ())  # type: ignore[call-overload]

    def commit_at(self, table: str, version: int) -> dict[str, Any]:
        """A commit's files."""
        from spark_jobs import delta_log

        found = delta_log.read_commit(self.store, table, version)
        if found is None:
            raise FileNotFoundError(f"{table}: version {version} is not in the log")
        return {"files": found.files}

    def write_candidates(self, rows: Any, path: str) -> None:
        """Candidates in a folder of the attempt's own."""
        self.driver.put(f"{path}/part-0", list(rows))

    def candidates(self, path: str) -> list[Row]:
        """The candidates at a path."""
        found = self.driver.get(f"{path}/part-0")
        if found is None:
            raise FileNotFoundError(path)
        return list(found)  # type: ignore[arg-type]

    def append(self, rows: Any, table: str, *, note: Mapping[str, Any], statistics: Sequence[str] = ()) -> Commit:  # noqa: ARG002
        """Append: two appends never conflict, so it takes the next free version."""
        snapshot = table in {ORDERS, RATES, GOLD}
        return self._commit(table, note, lambda before: [*(before if snapshot else ()), *rows], snapshot, len(rows))

    def merge_rows(self, table: str, rows: list[Row], note: Mapping[str, Any]) -> Commit:
        """MERGE by key: of silver the newer row stands; of gold the candidate does, or goes."""
        contract, order = contracts.of_table(table), ORDER_OF.get(table)

        def merged(before: list[Row]) -> list[Row]:
            by_key = {_key(contract, row): row for row in before}
            for row in rows:
                key = _key(contract, row)
                found = by_key.get(key)
                if row.get("_removed"):
                    by_key.pop(key, None)
                elif found is None or order is None or _newness(row, order) > _newness(found, order):
                    by_key[key] = row
            return list(by_key.values())

        return self._commit(table, note, merged, True, len(rows), conflicts=True)

    def _commit(
        self,
        table: str,
        note: Mapping[str, Any],
        change: Callable[[list[Row]], list[Row]],
        snapshot: bool,
        count: int,
        conflicts: bool = False,
    ) -> Commit:
        transaction = self.request.transaction(table)
        self.driver.begin_to_write(table)
        if self.committed(table) is not None:  # Delta skips what it has
            return self._read_back(table)
        seen = self.version(table)
        rows = change(self.rows_at(table, seen) if snapshot else [])
        file = f"{self.driver.run.job_run_id}-{'new' if seen is None else seen}.parquet"
        self.driver.put(f"{table}/{file}", rows)
        while (now := self.version(table)) != seen:
            if conflicts or snapshot:
                raise RuntimeError("ConcurrentModificationException")
            seen = now
        version = 0 if seen is None else seen + 1
        actions = [
            {
                "commitInfo": {
                    "timestamp": int(self.driver.site.kernel.moment().timestamp() * 1000),
                    "operationMetrics": {"numOutputRows": str(count)},
                    "userMetadata": self._note(note),
                }
            },
            {"txn": {"appId": transaction, "version": 1}},
            {"add": {"path": file}},
        ]
        self._before_commit(table, self.driver.run, self.request, rows)
        self.driver.put(f"{table}/_delta_log/{version:020}.json", "\n".join(map(json.dumps, actions)).encode())
        return self._read_back(table)


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
    if broken:
        table = f"quarantine/{contract.source_name}"
        if lake.committed(table) is None:
            lake.append([{**row, **ours} for row in broken], table, note={})
        if len(broken) > contract.tolerance * len(rows):
            raise ContractViolationError(
                contract.dataset, contract.version, "*", "flaw", "the source must be put right"
            )
    kept = [{**row, **ours} for row in rows if row["flaw"] != "contract"]
    commit = lake.append(kept, contract.table, note={"quarantined": len(broken)})
    return real_ingest._outcome(job, contract, commit)


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
    written = []
    for table in silver_tables(job):
        contract, order = contracts.of_table(table.name), ORDER_OF[table.name]
        base = lake.version(table.name)
        rows = _newest(contract, order, _run_rows(job, lake, table.source))
        present = {_key(contract, row): row for row in lake.rows_at(table.name, base)}
        fresh = [
            row
            for row in rows
            if (found := present.get(_key(contract, row))) is None or _newness(row, order) > _newness(found, order)
        ]
        path = f"candidates/{job.request.run_id}/{table.name}/{job.request.attempt}"
        lake.write_candidates(fresh, path)
        written.append(
            TableReceipt(
                table=table.name,
                version_before=base,
                version_after=base,
                rows=len(fresh),
                path=path,
                replaces=sum(_key(contract, row) in present for row in fresh),
            )
        )
    return Outcome(tables=tuple(written), bases={each.table: each.version_before for each in written})


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
    computed = {_key(contract, row): row for row in _gold(tables[ORDERS], tables[RATES])}
    current = {_key(contract, row): row for row in lake.rows_at(GOLD, bases[GOLD])}
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
        replaces=sum(_key(contract, row) in current for row in changed),
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
                "flaw": next((row["flaw"] for row in (*rows, *([quoted] if quoted else ())) if row["flaw"]), None),
            }
        )
    return found


def _check_bronze(job: Job, lake: ModelLake) -> Outcome:
    sources = [table.source for table in silver_tables(job)]
    return _judged(job, lake, "bronze", [row for source in sources for row in _run_rows(job, lake, source)])


def _check_silver(job: Job, lake: ModelLake) -> Outcome:
    tables = job.receipts.of(BRONZE_TO_SILVER).tables
    return _judged(job, lake, "silver", [row for table in tables for row in lake.candidates(table.path)])


def _check_gold(job: Job, lake: ModelLake) -> Outcome:
    tables = job.receipts.of(SILVER_TO_GOLD).tables
    return _judged(job, lake, "gold", [row for table in tables for row in lake.candidates(table.path)])


def _judged(job: Job, lake: ModelLake, layer: str, rows: list[Row]) -> Outcome:
    flawed = [row for row in rows if row["flaw"] == layer and not row.get("_removed")]
    result = {
        "dataset": f"{layer}_rows",
        "expectation": "expect_no_flaw",
        "column": None,
        "severity": "error",
        "success": not flawed,
        "waived": False,
        "observed": len(flawed),
        "expected": 0,
    }
    request = job.request
    transaction = f"{request.transaction(AUDIT)}:{request.attempt}"

    def commit() -> None:  # delta-rs commits with a conditional put, so no two checks take the same version
        folder = f"{AUDIT}/_delta_log"
        committed = lake.driver.s3.folders.setdefault(folder, {})
        with suppress(KeyError):
            if lake.driver.s3.objects[f"{folder}/{transaction}"]:
                return
        committed[transaction] = None
        lake.driver.s3.put(f"{folder}/{transaction}", [result])

    lake.driver.operate("put audit", kinds.FINAL_OPERATION, commit)
    return Outcome(verdict="FAIL" if flawed else "PASS", results=(result,))


def _key(contract: Contract, row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in contract.key)


def _newness(row: Row, order: str) -> tuple[str, str]:
    return row[order], row["_run_id"]


def _newest(contract: Contract, order: str, rows: list[Row]) -> list[Row]:
    """One row a key, the newest; of rows alike the later one, as a row put right stands beside its old self."""
    by_key: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        found = by_key.get(_key(contract, row))
        if found is None or _newness(row, order) >= _newness(found, order):
            by_key[_key(contract, row)] = row
    return list(by_key.values())


def _measures(row: Row | None) -> Any:
    return None if row is None else (row["amount"], row["orders"], row["rate"])
