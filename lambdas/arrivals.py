"""Which landed files a run takes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import TYPE_CHECKING

from contracts.contract import Contract
from contracts.errors import SourceUnavailableError
from contracts.landing import takes
from lambdas.ledger import SUCCEEDED, Arrival, Ledger, Run

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

TRIES = 5


@dataclass(frozen=True, kw_only=True, order=True)
class Landed:
    """An object in the landing prefix; modified_at is UTC."""

    key: str
    etag: str
    size: int
    modified_at: datetime


class Claim(Enum):
    """What to do about a landed object."""

    TAKE = auto()
    KEEP = auto()
    LEAVE = auto()


def decide_claim(
    landed: Landed,
    arrival: Arrival | None,
    run_id: str,
    superseded: Collection[str],
    holder_status: Callable[[str], str],
) -> Claim:
    """Whether a run takes a landed object.

    An object that another run claimed stays that run's, also when it is put right under the same key while that run
    is open: it is what a redrive of that run waits for. Once that run has succeeded, a new version is a new arrival.

    Args:
        landed: the object.
        arrival: the claim on its key.
        run_id: the run that asks.
        superseded: the runs whose place it took, and with it their claims.
        holder_status: the ledger's status of the run that holds the claim, looked up only when it matters.
    """
    if arrival is None or arrival.run_id in superseded:
        return Claim.TAKE
    if arrival.run_id == run_id:
        return Claim.KEEP if arrival.etag == landed.etag else Claim.TAKE
    if arrival.etag == landed.etag:
        return Claim.LEAVE
    return Claim.TAKE if holder_status(arrival.run_id) == SUCCEEDED else Claim.LEAVE


def matching(contract: Contract, landed: Iterable[Landed]) -> list[Landed]:
    """Those objects that are files of the contract's source; sorted by key."""
    return sorted(each for each in landed if takes(contract, each.key))


def list_landed(s3: S3Client, bucket: str, contract: Contract) -> list[Landed]:
    """All objects under the contract's landing prefix."""
    prefix = str((contract.source or {})["prefix"])
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [
        Landed(key=each["Key"], etag=each["ETag"].strip('"'), size=each["Size"], modified_at=each["LastModified"])
        for page in pages
        for each in page.get("Contents", [])
    ]


def claim(ledger: Ledger, contract: Contract, landed: list[Landed], run: Run) -> list[Landed]:
    """Claim for a run what no other run has; claims stand before any file is read.

    Returns:
        The objects that are the run's. One that was deleted from the landing prefix is not among them.
    Raises:
        SourceUnavailableError: other runs kept changing a claim.
    """
    source, superseded = contract.source_name, ledger.superseded_by(run)
    known = ledger.arrivals(source)
    return [each for each in landed if _claimed(ledger, source, each, known.get(each.key), run.run_id, superseded)]


def held_by_others(ledger: Ledger, contract: Contract, run: Run) -> list[str]:
    """Keys of the source's files that other runs took; those of the runs whose place this one took are its own."""
    own = {run.run_id, *ledger.superseded_by(run)}
    known = ledger.arrivals(contract.source_name)
    return [key for key, arrival in known.items() if arrival.run_id not in own]


def _claimed(
    ledger: Ledger, source: str, landed: Landed, arrival: Arrival | None, run_id: str, superseded: Collection[str]
) -> bool:
    def holder_status(holder: str) -> str:
        run = ledger.run(holder)
        return run.status if run else SUCCEEDED

    for _ in range(TRIES):
        decision = decide_claim(landed, arrival, run_id, superseded, holder_status)
        if decision is not Claim.TAKE:
            return decision is Claim.KEEP
        if arrival is None:
            wanted = Arrival(source=source, object_key=landed.key, etag=landed.etag, run_id=run_id)
            written = ledger.add(wanted)
        else:
            written = ledger.change(arrival, etag=landed.etag, run_id=run_id)
        if written:
            return True
        arrival = ledger.arrival(source, landed.key)
    raise SourceUnavailableError(f"{landed.key}: its claim kept changing under {TRIES} tries; other runs want it too")
