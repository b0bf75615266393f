"""Which landed files a run takes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
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
    known = ledger.arrivals_of(source, [each.key for each in landed])
    if run.arrival_set:
        known = {key: arrival for key, arrival in known.items() if arrival.run_id == run.arrival_set}
        landed = [each for each in landed if each.key in known]
    return [each for each in landed if _claimed(ledger, source, each, known.get(each.key), run.claimant, superseded)]


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """Keys of files that others than a run hold, as far as they tell whether a day's file has come.

    Attributes:
        taken: by another run, that of an arrival set among them; the first one found decides.
        waiting: in arrival sets whose run has not been opened.
    """

    taken: list[str]
    waiting: list[str]


def held_by_others(ledger: Ledger, contract: Contract, run: Run, first: date, last: date) -> Elsewhere:
    """Who else holds a file that says that a day's has come; those of the runs whose place it took are the run's own.

    A file of the day, or of a later one of the run, is looked up by its name. Only when nobody has one are all claims
    on the source's files read, some thousands an answer, for the earliest: it tells whether the day is of the history
    before all files.

    Args:
        ledger: the ledger.
        contract: a contract of files.
        run: the run.
        first: the first of its days.
        last: its data date.
    """
    expected, source = contract.expected_days, contract.source_name
    day = expected.asked_for(first, last) if expected else None
    if expected is None or day is None:
        return Elsewhere(taken=[], waiting=[])
    own = {run.claimant, *ledger.superseded_by(run)}
    days = (day + timedelta(days=ahead) for ahead in range((last - day).days + 1))
    keys = [contract.location + expected.name_of(each) for each in days]
    named = _first_taken(ledger, own, (ledger.arrival(source, key) for key in keys))
    if named.taken:
        return named
    others = ledger.arrivals(source)
    by_day = {key: named_day for key in others if (named_day := expected.day_of(key.removeprefix(contract.location)))}
    ordered = sorted(by_day.keys() - set(keys), key=by_day.__getitem__)
    earliest = _first_taken(ledger, own, map(others.__getitem__, ordered))
    return Elsewhere(taken=earliest.taken, waiting=[*named.waiting, *earliest.waiting])


def _first_taken(ledger: Ledger, own: Collection[str], arrivals: Iterable[Arrival | None]) -> Elsewhere:
    """The first that another run takes, and those before it whose set waits; no more is read than that needs."""
    waiting: list[str] = []
    opened: dict[str, bool] = {}
    for each in arrivals:
        if each is None or each.run_id in own:
            continue
        if each.is_of_a_set and each.run_id not in opened:
            found = ledger.arrival_set(each.run_id)
            opened[each.run_id] = found is not None and found.run_id is not None
        if opened.get(each.run_id, True):
            return Elsewhere(taken=[each.object_key], waiting=waiting)
        waiting.append(each.object_key)
    return Elsewhere(taken=[], waiting=waiting)


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
