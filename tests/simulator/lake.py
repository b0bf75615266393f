"""The lake of the jobs' model: tables of plain rows, with Delta's rules of commit."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from contracts import contract as contracts
from contracts.contract import Contract
from spark_jobs import delta_log
from spark_jobs.delta_log import Commit
from spark_jobs.lake import Lake
from spark_jobs.request import Request

if TYPE_CHECKING:
    from .cloud import S3
    from .spark import Driver

Row = dict[str, Any]
ORDERS, RATES, GOLD = "silver/orders", "silver/fx_rates", "gold/fct_daily_revenue"
ORDER_OF = {ORDERS: "updated_at", RATES: "received_at"}


class ModelLake(Lake):
    """The lake of the real jobs, with plain rows for frames."""

    def __init__(self, driver: Driver, request: Request, before_commit: Callable[..., None]) -> None:
        super().__init__(None, driver, request)  # type: ignore[arg-type]
        self.driver = driver
        self._before_commit = before_commit

    def apart(self) -> ModelLake:
        """The lake for one of several tables that are committed at once: there is no session to share."""
        return self

    def rows_at(self, table: str, version: int | None) -> list[Row]:
        """The rows of a table of snapshots at a version."""
        if version is None:
            return []
        commit = self.commit_at(table, version)
        return list(self.driver.get(f"{table}/{commit['files'][0]}") or ())  # type: ignore[call-overload]

    def commit_at(self, table: str, version: int) -> dict[str, Any]:
        """A commit's files."""
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

    def append(
        self,
        rows: Any,
        table: str,
        *,
        note: Mapping[str, Any],
        statistics: Sequence[str] = (),  # noqa: ARG002
        transaction: str | None = None,
        replacing: Any = (),
    ) -> Commit:
        """Append, in place of the files `replacing`: two appends never conflict, so it takes the next free version."""
        snapshot = table in {ORDERS, RATES, GOLD}
        return self._commit(
            table,
            note,
            lambda before: [*(before if snapshot else ()), *rows],
            snapshot,
            len(rows),
            transaction=transaction,
            replacing=replacing,
        )

    def merge_rows(self, table: str, rows: list[Row], note: Mapping[str, Any]) -> Commit:
        """MERGE by key: of silver the newer row stands; of gold the candidate does, or goes."""
        contract, order = contracts.of_table(table), ORDER_OF.get(table)

        def merged(before: list[Row]) -> list[Row]:
            by_key = {key_of(contract, row): row for row in before}
            for row in rows:
                key = key_of(contract, row)
                found = by_key.get(key)
                if row.get("_removed"):
                    by_key.pop(key, None)
                elif found is None or order is None or newness(row, order) > newness(found, order):
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
        transaction: str | None = None,
        replacing: Sequence[str] = (),
    ) -> Commit:
        transaction = transaction or self.request.transaction(table)
        self.driver.begin_to_write(table)
        if self.committed(table, transaction) is not None:  # Delta skips what it has
            return self._read_back(table, transaction)
        seen = self.version(table)
        rows = change(self.rows_at(table, seen) if snapshot else [])
        file = f"{self.driver.run.job_run_id}-{'new' if seen is None else seen}{'-rejected' * bool(replacing)}.parquet"
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
            *({"remove": {"path": path}} for path in replacing),
        ]
        self._before_commit(table, self.driver.run, self.request, rows)
        self.driver.put(f"{table}/_delta_log/{version:020}.json", "\n".join(map(json.dumps, actions)).encode())
        return self._read_back(table, transaction)


def live_commits(s3: S3, table: str) -> list[Commit]:
    """The commits of a table, each with those of its files that are still in the table."""
    commits, removed = [], set()
    for version, name in enumerate(sorted(s3.folders.get(f"{table}/_delta_log", ()))):
        content = s3.objects[f"{table}/_delta_log/{name}"].content
        commits.append(delta_log._parse(version, content))
        removed |= {each["remove"]["path"] for each in map(json.loads, content.splitlines()) if "remove" in each}
    return [replace(each, files=tuple(file for file in each.files if file not in removed)) for each in commits]


def key_of(contract: Contract, row: Row) -> tuple[Any, ...]:
    """What the contract knows the row by."""
    return tuple(row[name] for name in contract.key)


def newness(row: Row, order: str) -> tuple[str, str]:
    """Which of two rows alike is the newer."""
    return row[order], row["_run_id"]
