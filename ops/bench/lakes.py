"""Lakes in a folder, and days on them by the very jobs, one after another in one process, as the workflow runs them.

There is no cloud around them, so what is measured is the jobs. The sources are frames that the caller gives.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from contracts import contract as contracts
from contracts.contract import Contract
from ops.errors import OpsError
from spark_jobs import entry
from spark_jobs.ingest import READERS
from spark_jobs.job import (
    BRONZE_TO_SILVER,
    CHECK_BRONZE,
    CHECK_GOLD,
    CHECK_SILVER,
    INGEST,
    PUBLISH_GOLD,
    SILVER_TO_GOLD,
    Job,
)
from spark_jobs.request import parse_request
from spark_jobs.storage import FolderStore, Store

Reader = Callable[[Job, Contract], DataFrame | None]
AFTER_INGEST = (CHECK_BRONZE, BRONZE_TO_SILVER, CHECK_SILVER, SILVER_TO_GOLD, CHECK_GOLD, PUBLISH_GOLD)
WROTE = (INGEST, BRONZE_TO_SILVER, SILVER_TO_GOLD)


@dataclass(frozen=True, kw_only=True)
class Day:
    """One day's run.

    Attributes:
        opened_at: what its run id says. The log's times are those of the bench, so days that shall not look in each
            other's commits are told to be days apart.
        files: the vendor's files, as a request names them.
        whole: all that the sources hold until the day's end, as a first load takes it.
    """

    date: date
    opened_at: datetime
    files: Sequence[Mapping[str, Any]] = ()
    whole: bool = False

    @property
    def run_id(self) -> str:
        """As `OpenRun` makes them, but the same each time."""
        return f"{self.opened_at:%Y%m%dT%H%M%SZ}-0000"


@dataclass(frozen=True, kw_only=True)
class BenchLake:
    """A lake in a folder.

    Attributes:
        sources: those that its runs take.
        waived: expectations that may fail, as `contracts.waiving.result_name` writes them.
        around: called with each step's name and subject, and with what runs it.
    """

    spark: SparkSession
    folder: Path
    sources: Sequence[str]
    waived: Sequence[str] = ()
    around: Callable[[str, Callable[[], None]], None] = field(default=lambda _, run: run())

    @property
    def store(self) -> Store:
        """The folder as a store."""
        return FolderStore(self.folder)

    def run(self, day: Day) -> None:
        """Every step of a day.

        Raises:
            OpsError: a step fails, or a gate would hold the day.
        """
        receipts: list[str] = []
        steps = [*((INGEST, source) for source in self.sources), *((step, "all") for step in AFTER_INGEST)]
        for step, subject in steps:
            request = self._request(day, step, subject, receipts)
            name = step if subject == "all" else f"{step} {subject}"
            self.around(name, lambda request=request: self._perform(request))  # type: ignore[misc]
            if step in WROTE:
                receipts.append(request["receipt_key"])

    def _perform(self, request: Mapping[str, Any]) -> None:
        forget(self.spark)
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):  # a job's log
            entry.perform(parse_request(json.dumps(request).encode()), self.store, self.spark)
        receipt = json.loads(self.store.get(request["receipt_key"]) or "{}")
        if (
            receipt.get("status") != "SUCCEEDED"
            or receipt.get("verdict") == "FAIL"
            or receipt.get("published") is False
        ):
            failed = [each for each in receipt.get("results") or () if not each["success"]]
            raise OpsError(f"{request['run_id']} {request['step']}: {receipt.get('cause') or failed or receipt}")

    def _request(self, day: Day, step: str, subject: str, receipts: Sequence[str]) -> dict[str, Any]:
        end = datetime.combine(day.date, datetime.min.time(), UTC) + timedelta(days=1)
        return {
            "run_id": day.run_id,
            "step": step,
            "subject": subject,
            "attempt": 1,
            "round": 0,
            "redrive_count": 0,
            "data_date": str(day.date),
            "interval": {"start": None if day.whole else str(end - timedelta(days=1)), "end": str(end)},
            "lake": str(self.folder),
            "receipt_key": f"runs/{day.run_id}/{step}/{subject}/1.json",
            "inputs": {
                "receipts": [] if step == INGEST else list(receipts),  # sources know nothing of each other
                "files": list(day.files) if contracts_kind(subject) == "files" and step == INGEST else [],
            },
            "secret_arn": None,
            "fail_from": {"error": 1},
            "input_digest": f"{day.run_id}-{step}-{subject}",
            "sources": list(self.sources),
            "waivers": [
                {"id": name, "expectation": name, "reason": "bench", "by": "bench", "until": str(end)}
                for name in self.waived
            ],
        }


def contracts_kind(source: str) -> str | None:
    """The kind of a source; None for what is none."""
    named = {each.source_name: each for each in contracts.sources()}
    return (named[source].source or {})["kind"] if source in named else None


def forget(spark: SparkSession) -> None:
    """Leave nothing of a job in the session, as the end of a driver does."""
    jvm: Any = spark._jvm
    jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
    spark.catalog.clearCache()


class reading:  # noqa: N801 (used as a word of a with statement)
    """A block in which sources of the kinds named are read by the readers given."""

    def __init__(self, readers: Mapping[str, Reader]) -> None:
        self._readers = readers

    def __enter__(self) -> None:
        assert isinstance(READERS, dict)  # noqa: S101
        self._before = dict(READERS)
        READERS.update(self._readers)

    def __exit__(self, *_: object) -> None:
        assert isinstance(READERS, dict)  # noqa: S101
        READERS.clear()
        READERS.update(self._before)
