"""A Delta table's commits, read from its log without Spark.

A Spark job to ask for a table's version or history costs most of a second; the log is a folder of small JSON files
with a public format.

Source: Delta Transaction Log Protocol, "Delta Log Entries", "Commit Provenance Information", "Transaction Identifiers",
"Per-file Statistics", "Checkpoints".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from typing import Any
from urllib.parse import unquote

from spark_jobs.days import Span
from spark_jobs.storage import Store

_COMMIT = re.compile(r"([0-9]{20})[.]json")
CLOCK_SKEW = timedelta(days=1)
_DAY_LENGTH = len("2026-07-30")  # of a date, and of a moment as the log writes it


@dataclass(frozen=True, kw_only=True)
class Commit:
    """One commit: when it was made, its transactions and metrics, the files it added, and its writer's note.

    `changes_rows` is False when the table's rows are surely the same before and after: files were packed anew, or a
    property was set.
    """

    version: int
    committed_at: datetime
    transactions: frozenset[str]
    metrics: Mapping[str, int]
    files: tuple[str, ...] = ()
    changes_rows: bool = True
    note: Mapping[str, Any] = field(default_factory=dict)

    @property
    def run_id(self) -> str | None:
        """The run that made it; None when the pipeline did not."""
        return self.note.get("run_id")


@dataclass(frozen=True, kw_only=True)
class File:
    """A data file: its name in the table, its size in bytes, and the first and last day that it holds, where known."""

    name: str
    size: int
    days: Span | None = None


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What a version of a table is made of."""

    files: tuple[File, ...]
    properties: Mapping[str, str]


def latest_version(store: Store, table: str) -> int | None:
    """The table's version; None when there is no such table."""
    return max(_versions(store, table), default=None)


def read_commit(store: Store, table: str, version: int) -> Commit | None:
    """One commit; None when the log does not hold it (any more)."""
    content = store.get(f"{table}/_delta_log/{version:020}.json")
    return None if content is None else _parse(version, content)


def read_commits(store: Store, table: str, since: datetime | None = None) -> list[Commit]:
    """All commits that the log still holds, oldest first; those since a moment if one is given."""
    commits = []
    for version in sorted(_versions(store, table), reverse=True):
        commit = read_commit(store, table, version)
        if commit is None:
            continue
        if since is not None and commit.committed_at < since - CLOCK_SKEW:
            break
        commits.append(commit)
    return commits[::-1]


def with_the_same_rows(store: Store, table: str, version: int) -> int:
    """The newest version that holds the rows of `version`, which may itself be vacuumed by now."""
    while (commit := read_commit(store, table, version + 1)) is not None and not commit.changes_rows:
        version += 1
    return version


def find_transaction(store: Store, table: str, transaction: str, since: datetime) -> Commit | None:
    """The commit of a transaction, looked for from the newest back to `since`, a day of clock skew allowed.

    A day makes one commit, so this reads as many small objects as there were days since.
    """
    for version in sorted(_versions(store, table), reverse=True):
        commit = read_commit(store, table, version)
        if commit is None:
            continue
        if transaction in commit.transactions:
            return commit
        if commit.committed_at < since - CLOCK_SKEW:
            return None
    return None


def read_snapshot(store: Store, table: str, version: int, column: str | None = None) -> Snapshot | None:
    """A table's files and properties at a version, newer than the last checkpoint; None when the log does not tell.

    Nor does it tell of a table whose files are not its rows: one with partitions, deletion vectors or renamed columns.

    Args:
        store: the lake.
        table: its path in the lake.
        version: the version.
        column: of dates, whose first and last in each file are asked for.
    """
    held: dict[str, File] = {}
    properties: Mapping[str, str] = {}
    start = -1
    actions: Iterable[Mapping[str, Any]] = ()
    if (pointer := store.get(f"{table}/_delta_log/_last_checkpoint")) is not None:
        start = json.loads(pointer)["version"]
        content = store.get(f"{table}/_delta_log/{start:020}.checkpoint.parquet")
        if content is None or start > version:
            return None  # of another kind, or newer than what was asked for
        actions = _read_checkpoint(content)
    for each in range(start + 1, version + 1):
        commit = store.get(f"{table}/_delta_log/{each:020}.json")
        if commit is None:
            return None
        actions = chain(actions, map(json.loads, commit.splitlines()))
    for action in actions:
        if add := action.get("add"):
            held[add["path"]] = _file(add, column)
        elif remove := action.get("remove"):
            held.pop(remove["path"], None)
        elif about := action.get("metaData"):
            properties = dict(about.get("configuration") or {})
            if about.get("partitionColumns"):
                return None
        elif (protocol := action.get("protocol")) and protocol["minReaderVersion"] > 1:
            return None
    return Snapshot(files=tuple(held.values()), properties=properties)


def _read_checkpoint(content: bytes) -> list[Mapping[str, Any]]:
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    actions = pq.read_table(pa.BufferReader(content), columns=["add", "metaData", "protocol"])
    return actions.to_pylist()  # type: ignore[no-any-return]


def _file(add: Mapping[str, Any], column: str | None) -> File:
    days = None if column is None else _days(add.get("stats"), column)
    return File(name=unquote(add["path"]), size=int(add["size"]), days=days)


def _days(statistics: str | None, column: str) -> Span | None:
    values = json.loads(statistics or "{}")
    try:
        first, last = (values[end][column][:_DAY_LENGTH] for end in ("minValues", "maxValues"))
        return date.fromisoformat(first), date.fromisoformat(last)
    except (KeyError, TypeError, ValueError):
        return None


def _versions(store: Store, table: str) -> list[int]:
    names = store.names(f"{table}/_delta_log")
    return [int(match[1]) for name in names if (match := _COMMIT.fullmatch(name))]


def _parse(version: int, content: bytes) -> Commit:
    info: dict[str, Any] = {}
    transactions = set()
    files = []
    changes_rows = False
    for line in content.splitlines():
        action = json.loads(line)
        moved = action.get("add") or action.get("remove") or {"dataChange": False}
        changes_rows = changes_rows or bool(moved.get("dataChange", True))
        info = action.get("commitInfo", info)
        if "txn" in action:
            transactions.add(action["txn"]["appId"])
        if "add" in action:
            files.append(unquote(action["add"]["path"]))
    metrics = info.get("operationMetrics", {})
    return Commit(
        version=version,
        committed_at=datetime.fromtimestamp(info.get("timestamp", 0) / 1000, UTC),
        transactions=frozenset(transactions),
        metrics={name: int(value) for name, value in metrics.items() if str(value).lstrip("-").isdigit()},
        files=tuple(files),
        changes_rows=changes_rows or bool(transactions),
        note=_note(info.get("userMetadata")),
    )


def _note(text: str | None) -> Mapping[str, Any]:
    """The pipeline's own note on a commit; empty for a commit of another writer, who may write what they like."""
    try:
        note = json.loads(text or "{}")
    except ValueError:
        return {}
    return note if isinstance(note, dict) else {}
