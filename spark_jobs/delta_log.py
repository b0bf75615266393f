"""A Delta table's commits, read from its log without Spark.

A Spark job to ask for a table's version or history costs most of a second; the log is a folder of small JSON files
with a public format.

Source: Delta Transaction Log Protocol, "Delta Log Entries", "Commit Provenance Information", "Transaction Identifiers",
"Per-file Statistics", "Checkpoints".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import unquote

from spark_jobs.days import Span
from spark_jobs.storage import Store

_COMMIT = re.compile(r"([0-9]{20})[.]json")
CLOCK_SKEW = timedelta(days=1)
_DAY_LENGTH = len("2026-07-30")  # of a date, and of a moment as the log writes it


@dataclass(frozen=True, kw_only=True)
class Commit:
    """One commit: when it was made, its transactions and metrics, the files it added, and its writer's note."""

    version: int
    committed_at: datetime
    transactions: frozenset[str]
    metrics: Mapping[str, int]
    files: tuple[str, ...] = ()
    note: Mapping[str, Any] = field(default_factory=dict)

    @property
    def run_id(self) -> str | None:
        """The run that made it; None when the pipeline did not."""
        return self.note.get("run_id")


def latest_version(store: Store, table: str) -> int | None:
    """The table's version; None when there is no such table."""
    return max(_versions(store, table), default=None)


def read_commit(store: Store, table: str, version: int) -> Commit | None:
    """One commit; None when the log does not hold it (any more)."""
    content = store.get(f"{table}/_delta_log/{version:020}.json")
    return None if content is None else _parse(version, content)


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


def days_held(store: Store, table: str, version: int, column: str) -> list[Span] | None:
    """For each file of a table, the first and last day that it holds in a column; None when the log does not tell.

    So a day that no file holds needs no Spark to find that the table has none of its rows.
    """
    held: dict[str, Span | None] = {}
    start = -1
    if (pointer := store.get(f"{table}/_delta_log/_last_checkpoint")) is not None:
        checkpoint = json.loads(pointer)
        content = store.get(f"{table}/_delta_log/{checkpoint['version']:020}.checkpoint.parquet")
        if content is None or checkpoint["version"] > version:
            return None  # of another kind, or newer than what was asked for
        start = checkpoint["version"]
        held.update(_files_of_checkpoint(content, column))
    for each in range(start + 1, version + 1):
        commit = store.get(f"{table}/_delta_log/{each:020}.json")
        if commit is None:
            return None
        for line in commit.splitlines():
            action = json.loads(line)
            if "add" in action:
                held[action["add"]["path"]] = _days(action["add"].get("stats"), column)
            elif "remove" in action:
                held.pop(action["remove"]["path"], None)
    spans = [span for span in held.values() if span is not None]
    return spans if len(spans) == len(held) else None


def _files_of_checkpoint(content: bytes, column: str) -> dict[str, Span | None]:
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    added = pq.read_table(pa.BufferReader(content), columns=["add"]).column("add").to_pylist()
    return {add["path"]: _days(add.get("stats"), column) for add in added if add is not None}


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
    for line in content.splitlines():
        action = json.loads(line)
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
        note=_note(info.get("userMetadata")),
    )


def _note(text: str | None) -> Mapping[str, Any]:
    """The pipeline's own note on a commit; empty for a commit of another writer, who may write what they like."""
    try:
        note = json.loads(text or "{}")
    except ValueError:
        return {}
    return note if isinstance(note, dict) else {}
