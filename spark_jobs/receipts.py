"""Receipts: what a job run leaves behind as its last act, and what later steps know about it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from contracts.errors import AssayError, ContractViolationError, ReceiptMissingError
from spark_jobs.request import Request, Waiver
from spark_jobs.storage import Store

Lineage = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class TableReceipt:
    """What a step did to one table.

    `path` is where the rows are: the table itself, or the candidates. For candidates both versions are the one they
    were built on (None: no such table yet), `replaces` counts those whose key that version holds, and the days are the
    first and last that they speak of.
    """

    table: str
    version_before: int | None
    version_after: int | None
    rows: int
    path: str
    replaces: int | None = None
    first_day: str | None = None
    last_day: str | None = None


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """A rejection, and how many rows it kept out: each row is counted under the first that refuses it."""

    run_id: str
    expectation: str
    reason: str
    by: str
    made_at: str
    rows: int


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a job has to say; None and empty where a step has nothing of the kind.

    `waivers` are those that passed over a failing result; such a result is `waived`. `rejections` are those by which
    the step refused rows; a check names those of the rows that it judged.
    """

    tables: tuple[TableReceipt, ...] = ()
    rows: Mapping[str, int] | None = None
    rows_attempt: int | None = None
    verdict: str | None = None
    results: tuple[Mapping[str, Any], ...] = ()
    waivers: tuple[Waiver, ...] = ()
    rejections: tuple[Rejected, ...] = ()
    published: bool | None = None
    bases: Mapping[str, int | None] | None = None
    lineage: tuple[Lineage, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """An earlier step's receipt, as far as a later step needs it."""

    key: str
    step: str
    subject: str
    attempt: int
    rows_attempt: int | None
    tables: tuple[TableReceipt, ...]
    bases: Mapping[str, int | None]
    rejections: tuple[Rejected, ...] = ()

    def table(self, name: str) -> TableReceipt:
        """What the step did to a table."""
        for each in self.tables:
            if each.table == name:
                return each
        raise ReceiptMissingError(f"{self.key}: says nothing about {name}")


class Receipts:
    """The receipts that a request names."""

    def __init__(self, receipts: Iterable[Receipt]) -> None:
        self._receipts = tuple(receipts)

    @classmethod
    def read(cls, store: Store, keys: Iterable[str]) -> Receipts:
        """The receipts at `keys`.

        Raises:
            ReceiptMissingError: one is not there, or is not a success.
        """
        return cls(_read(store, key) for key in keys)

    def of(self, step: str, subject: str = "all") -> Receipt:
        """The receipt of a step; the last named when there are several."""
        for receipt in reversed(self._receipts):
            if (receipt.step, receipt.subject) == (step, subject):
                return receipt
        raise ReceiptMissingError(f"the request names no receipt of {step} for {subject}")

    def tables(self) -> Iterator[TableReceipt]:
        """What the named steps did to tables, in the order in which they are named."""
        return (table for receipt in self._receipts for table in receipt.tables)

    def rejections(self, step: str) -> tuple[Rejected, ...]:
        """The rejections by which the named receipts of a step refused rows."""
        return tuple(each for receipt in self._receipts if receipt.step == step for each in receipt.rejections)

    def names(self, step: str, subject: str) -> bool:
        """Whether the request names a receipt of a step."""
        return any((receipt.step, receipt.subject) == (step, subject) for receipt in self._receipts)


def success(request: Request, started_at: datetime, outcome: Outcome) -> dict[str, Any]:
    """The receipt of a job that did its work."""
    return {"status": "SUCCEEDED", **_heading(request, started_at), **asdict(outcome)}


def failure(request: Request, started_at: datetime, error: AssayError) -> dict[str, Any]:
    """The receipt of a job that knows why it failed; a job that does not know writes none."""
    violation = error if isinstance(error, ContractViolationError) else None
    return {
        "status": "FAILED",
        **_heading(request, started_at),
        "error": type(error).__name__,
        "cause": str(error),
        "dataset": violation.dataset if violation else None,
        "column": violation.column if violation else None,
        "rule": violation.rule if violation else None,
    }


def write(store: Store, request: Request, receipt: Mapping[str, Any]) -> None:
    """Put the receipt where the request says."""
    store.put(request.receipt_key, json.dumps(receipt, indent=1, default=str).encode())


def _heading(request: Request, started_at: datetime) -> dict[str, Any]:
    return {
        "run_id": request.run_id,
        "step": request.step,
        "subject": request.subject,
        "attempt": request.attempt,
        "round": request.round,
        "redrive_count": request.redrive_count,
        "started_at": started_at.isoformat(),
        "ended_at": datetime.now(UTC).isoformat(),
    }


def _read(store: Store, key: str) -> Receipt:
    content = store.get(key)
    if content is None:
        raise ReceiptMissingError(f"{key}: no such receipt")
    document = json.loads(content)
    if document.get("status") != "SUCCEEDED":
        raise ReceiptMissingError(f"{key}: the step did not succeed")
    return Receipt(
        key=key,
        step=document["step"],
        subject=document["subject"],
        attempt=document["attempt"],
        rows_attempt=document.get("rows_attempt"),
        tables=tuple(TableReceipt(**each) for each in document["tables"]),
        bases=document.get("bases") or {},
        rejections=tuple(Rejected(**each) for each in document.get("rejections") or ()),
    )
