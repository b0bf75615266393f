"""Which rows of bronze a silver table was made of: those of the runs that were published, in the attempts they took.

A run that a gate held, or whose place another one took before it published, has rows in bronze that never came into
silver. What a run did is told by its publish receipt, and, for a run that died between its commits and its receipt, by
the notes on the table's own commits, which the log keeps for 60 days.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from contracts.errors import ReceiptMissingError
from spark_jobs.delta_log import Commit
from spark_jobs.job import BRONZE_TO_SILVER, INGEST, PUBLISH_GOLD, PUBLISH_SILVER
from spark_jobs.storage import Store

PUBLISHING = (PUBLISH_SILVER, PUBLISH_GOLD)
AT_ONCE = 16  # a receipt is a small object, and a history has some for each day

Document = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, order=True)
class Taken:
    """A run and the attempt at its ingest whose rows it published."""

    run_id: str
    attempt: int


def taken(store: Store, table: str, source: str, run_ids: Iterable[str], commits: Sequence[Commit]) -> list[Taken]:
    """What was published to a silver table.

    Args:
        store: the lake.
        table: the silver table.
        source: whose rows it is made of.
        run_ids: the runs that have rows in bronze.
        commits: those of the table's log.
    Raises:
        ReceiptMissingError: a run was published, and no receipt says which rows of bronze it took.
    """
    noted = committed_rounds(commits)

    def of_run(run_id: str) -> list[Taken]:
        rounds = noted.get(run_id, set()) | published_rounds(store, table, run_id)
        return _attempts(store, source, run_id, rounds)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return sorted(each for found in pool.map(of_run, sorted(set(run_ids) | noted.keys())) for each in found)


def committed(store: Store, source: str, commits: Sequence[Commit]) -> list[Taken]:
    """The same of these commits alone."""
    rounds = committed_rounds(commits).items()
    return sorted(each for run_id, found in rounds for each in _attempts(store, source, run_id, found))


def committed_rounds(commits: Iterable[Commit]) -> dict[str, set[int]]:
    """The runs that published by these commits, and in which rounds."""
    rounds = defaultdict(set)
    for commit in commits:
        if commit.run_id and commit.note.get("step") in PUBLISHING:
            rounds[commit.run_id].add(int(commit.note.get("round", 0)))
    return dict(rounds)


def published_rounds(store: Store, table: str, run_id: str) -> set[int]:
    """The rounds in which a run published a table, as its receipts say."""
    return {
        int(receipt["round"])
        for step in PUBLISHING
        for receipt in _receipts(store, run_id, step, "all")
        if receipt.get("published") and any(each["table"] == table for each in receipt.get("tables") or ())
    }


def refused_with(store: Store, run_id: str) -> set[str]:
    """The runs whose rejected rows stand in quarantine under this one: itself, and those whose place it took."""
    latest = list(_receipts(store, run_id, BRONZE_TO_SILVER, "all"))[-1:]
    return {run_id, *(each["run_id"] for receipt in latest for each in receipt.get("rejections") or ())}


def _attempts(store: Store, source: str, run_id: str, rounds: Iterable[int]) -> list[Taken]:
    """For each round, the rows that the last ingest before its publish wrote: a round may begin after the sources."""
    rounds = sorted(rounds)
    if not rounds:
        return []
    ingests = list(_receipts(store, run_id, INGEST, source))
    found = set()
    for round_ in rounds:
        attempts = [each["rows_attempt"] for each in ingests if int(each["round"]) <= round_]
        if not attempts:
            raise ReceiptMissingError(
                f"runs/{run_id}/{INGEST}/{source}/: run {run_id} was published, and no receipt says which rows of "
                "bronze it took; put its receipts back (the bucket keeps versions for 30 days), then redrive"
            )
        found.add(Taken(run_id=run_id, attempt=int(attempts[-1])))
    return sorted(found)


def _receipts(store: Store, run_id: str, step: str, subject: str) -> Iterator[Document]:
    """The receipts of a step's attempts that succeeded, in the order of the attempts."""
    folder = f"runs/{run_id}/{step}/{subject}"
    names = [name for name in store.names(folder) if name.removesuffix(".json").isdigit()]
    for name in sorted(names, key=lambda name: int(name.removesuffix(".json"))):
        receipt = json.loads(store.get(f"{folder}/{name}") or b"{}")
        if receipt.get("status") == "SUCCEEDED":
            yield receipt
