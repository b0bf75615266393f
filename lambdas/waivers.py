"""Waivers: who may let a run pass in spite of which expectation, and for how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts import contract as contracts
from contracts.errors import InvalidRequestError, SourceUnavailableError
from contracts.waiving import may_be_waived, result_name
from lambdas.intervals import from_iso, iso
from lambdas.ledger import Ledger, Waiver
from lambdas.pleas import known_parts, open_run, said

MOST_HOURS = 168


@dataclass(frozen=True, kw_only=True)
class Plea:
    """What a person asks for.

    Attributes:
        now: UTC, in whole seconds.
        unique: some hex digits of a random UUID.
    """

    run_id: str
    expectation: str
    reason: str
    by: str
    hours: int
    now: datetime
    unique: str


def grant(ledger: Ledger, plea: Plea) -> Waiver:
    """Write the waiver, after every one before it: none is ever changed.

    Raises:
        InvalidRequestError: what was asked for cannot be waived; the sentence says why.
        SourceUnavailableError: the ledger did not take it.
    """
    waiver = Waiver(
        run_id=open_run(ledger, plea.run_id, "waive").run_id,
        waiver_id=f"{plea.now:%Y%m%dT%H%M%SZ}-{plea.unique}",
        expectation=_known(plea.expectation.replace(", ", ",")),
        reason=said("reason", plea.reason),
        by=said("by", plea.by),
        made_at=iso(plea.now),
        until=iso(plea.now + timedelta(hours=_hours(plea.hours))),
    )
    # after a lost answer the item is there already
    written = ledger.add(waiver) or ledger.waiver(waiver.run_id, waiver.waiver_id)
    if written is None:
        raise SourceUnavailableError(f"run {waiver.run_id}: the ledger did not take the waiver; ask again")
    return written


def in_force(waivers: Sequence[Waiver], now: datetime) -> list[Waiver]:
    """Those that have not ended at `now`."""
    return [each for each in waivers if (until := from_iso(each.until)) is not None and now < until]


def _known(name: str) -> str:
    """The name, when a contract of its dataset has such an expectation."""
    dataset, kind = known_parts(name)
    if not may_be_waived(kind):
        raise InvalidRequestError(
            f"{name} is a rule for the rows of {dataset}: a contract violation is never waived; mend the rows, or "
            "release a contract that allows them"
        )
    versions = [contracts.load(dataset, version) for version in contracts.versions(dataset)]
    names = {result_name(dataset, each.type, each.column) for version in versions for each in version.expectations}
    if not versions:
        raise InvalidRequestError(f"{name}: there is no dataset {dataset}; there are {', '.join(contracts.datasets())}")
    if name not in names:
        raise InvalidRequestError(
            f"{name}: no contract of {dataset} has it; there are {', '.join(sorted(names)) or 'none'}"
        )
    return name


def _hours(hours: int) -> int:
    if not 1 <= hours <= MOST_HOURS:
        raise InvalidRequestError(f"hours {hours}: a waiver lasts 1 to {MOST_HOURS} hours")
    return hours
