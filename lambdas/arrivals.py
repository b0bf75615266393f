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
from lambdas.ledger import SUCCEEDED, Ledger, Run
from lambdas.records import Arrival

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
    holder_status: Callable[[Arrival], str],
) -> Claim:
    """Whether a run takes a landed object.

    An object that another run claimed stays that run's, also when it is put right under the same key while that run
    is open: it is what a redrive of that run waits for. Once that run has succeeded, a new version is a new arrival.

    Args:
        landed: the object.
        arrival: the claim on its key.
        run_id: the run that asks, or its arrival set: the name under which it claims.
        superseded: the runs whose place it took, and with it their claims.
        holder_status: the status of the run that holds the claim, looked up only when it matters.
    """
    if arrival is None or arrival.run_id in superseded:
        return Claim.TAKE
    if arrival.run_id == run_id:
        return Claim.KEEP if arrival.etag == landed.etag else Claim.TAKE
    if arrival.etag == landed.etag:
        return Claim.LEAVE
    return Claim.TAKE if holder_status(arrival) == SUCCEEDED else Claim.LEAVE


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

    A run of an arrival set has its claims already, and takes nothing beside them.

    Returns:
        The objects that are the run's. One that was deleted from the landing prefix is not among them.
    Raises:
        SourceUnavailableError: other runs kept changing a claim.
    """
    source, superseded = contract.source_name, ledger.superseded_by(run)
    known = ledger.arrivals(source)
    if run.arrival_set:
        known = {key: arrival for key, arrival in known.items() if arrival.run_id == run.arrival_set}
        landed = [each for each in landed if each.key in known]
    return [each for each in landed if _claimed(ledger, source, each, known.get(each.key), run.claimant, superseded)]


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """Keys of a source's files that a run leaves to others.

    Attributes:
        taken: by other runs, those of arrival sets among them.
        waiting: in arrival sets whose run has not been opened.
    """

    taken: list[str]
    waiting: list[str]


def held_by_others(ledger: Ledger, contract: Contract, run: Run) -> Elsewhere:
    """The source's files that are not the run's; those of the runs whose place it took are its own."""
    own = {run.claimant, *ledger.superseded_by(run)}
    others = {key: each for key, each in ledger.arrivals(contract.source_name).items() if each.run_id not in own}
    sets = {each.run_id for each in others.values() if each.is_of_a_set}
    unopened = {name for name in sets if not (found := ledger.arrival_set(name)) or found.run_id is None}
    return Elsewhere(
        taken=[key for key, each in others.items() if each.run_id not in unopened],
        waiting=[key for key, each in others.items() if each.run_id in unopened],
    )


def _claimed(
    ledger: Ledger, source: str, landed: Landed, arrival: Arrival | None, run_id: str, superseded: Collection[str]
) -> bool:
    for _ in range(TRIES):
        decision = decide_claim(landed, arrival, run_id, superseded, ledger.status_of_claim)
        if decision is not Claim.TAKE:
            return decision is Claim.KEEP
        if arrival is None:
            wanted = Arrival(source=source, object_key=landed.key, etag=landed.etag, run_id=run_id)
            written = ledger.add(wanted)
        else:
            # a listing tells no version and no sequencer, and those on record are of another version
            written = ledger.change(arrival, etag=landed.etag, run_id=run_id, version_id=None, sequencer=None)
        if written:
            return True
        arrival = ledger.arrival(source, landed.key)
    raise SourceUnavailableError(f"{landed.key}: its claim kept changing under {TRIES} tries; other runs want it too")
