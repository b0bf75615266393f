"""Open the run of an execution: one run a data date, a set of arrivals, or a maintenance.

A run of the first two may take the place of a dead one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from contracts.errors import InvalidRequestError, SourceUnavailableError
from lambdas.digests import Released
from lambdas.intervals import from_iso, interval_for, iso, requested_date, whole_day
from lambdas.ledger import OPEN, SUPERSEDED, IntervalClaim, Ledger, Run, RunPointer, Watermark
from lambdas.names import FILE_ARRIVAL, MAINTENANCE, PIPELINE, new_run_id
from lambdas.payloads import Json
from lambdas.records import SEALED, ArrivalSet, UpkeepClaim
from lambdas.store import Create, Replace
from lambdas.upkeep import day_of, upkeep_of, work_of

TRIES = 10


@dataclass(frozen=True, kw_only=True)
class Opening:
    """What OpenRun knows.

    Attributes:
        now: UTC; it names the run and decides nothing.
        unique: 32 hex digits of a random UUID.
        sources: the sources that the stage runs.
        workflow: whose execution it is.
        can_still_run: whether an execution, by ARN, runs or is about to; asked only where a run is to be superseded.
    """

    execution_arn: str
    request: Mapping[str, Any]
    now: datetime
    unique: str
    code_digest: str
    released: Released
    sources: tuple[str, ...]
    workflow: str = PIPELINE
    can_still_run: Callable[[str], bool]


def open_run(ledger: Ledger, opening: Opening) -> Json:
    """Claim the data date and open the run, or say who has it.

    Returns:
        disposition OPENED with the run of this execution, the same one when asked again; or ALREADY_DONE with the run
        of the execution that claimed the date, or the set, first.
    Raises:
        InvalidRequestError: the input names no date, no set that was gathered, or a run that cannot be superseded.
        RunSupersededError: the run of this execution was superseded.
        SourceUnavailableError: other runs kept opening at the same moment.
    """
    if opening.workflow == MAINTENANCE:
        return _open_for_upkeep(ledger, opening)
    if "supersedes" in opening.request:
        return _supersede(ledger, opening)
    if opening.workflow == FILE_ARRIVAL:
        return _open_for_arrivals(ledger, opening)
    if "arrival_set" in opening.request:
        raise InvalidRequestError(f"a set of arrivals is for the {FILE_ARRIVAL} workflow; start that one with it")
    data_date = requested_date(opening.request)
    for _ in range(TRIES):
        mine = ledger.run_of(opening.execution_arn)
        if mine:
            return _answer("OPENED", ledger.live_run(mine.run_id), opening.sources)
        claim = ledger.interval_claim(data_date.isoformat())
        owner = ledger.run(claim.run_id) if claim else None
        if owner:
            return _answer("ALREADY_DONE", owner, opening.sources)
        watermark = ledger.watermark()
        interval = interval_for(data_date, from_iso(watermark.opened_to) if watermark else None)
        end = iso(interval.end)
        run = _new_run(
            opening,
            data_date=data_date.isoformat(),
            interval_start=iso(interval.start) if interval.start else None,
            interval_end=end,
            sources=list(opening.sources),
            starts={source: _start(data_date, watermark, source) for source in opening.sources},
        )
        writes: list[Create | Replace] = [
            run.create(),
            IntervalClaim(data_date=run.data_date, run_id=run.run_id).create(),
            RunPointer(execution_arn=run.execution_arn, run_id=run.run_id).create(),
        ]
        moved = _moved(watermark, opening.sources, end)
        if watermark is None:
            writes.append(moved.create())
        elif moved != watermark:
            writes.append(watermark.change(opened_to=moved.opened_to, cursors=moved.cursors))
        if ledger.write(*writes):
            return _answer("OPENED", run, opening.sources)
    raise SourceUnavailableError(f"{data_date}: other runs kept opening at the same moment; ask again")


def _open_for_arrivals(ledger: Ledger, opening: Opening) -> Json:
    """Open the run of a set of arrivals; neither the watermark nor the claims on data dates know of it."""
    name = str(opening.request.get("arrival_set"))
    for _ in range(TRIES):
        mine = ledger.run_of(opening.execution_arn)
        if mine:
            return _answer("OPENED", ledger.live_run(mine.run_id), opening.sources)
        found = ledger.arrival_set(name)
        if found is None or found.status != SEALED:
            raise InvalidRequestError(
                f"{name!r} is no set of arrivals ready for a run; gather_arrivals makes sets and starts their runs"
            )
        owner = ledger.run(found.run_id) if found.run_id else None
        if owner:
            return _answer("ALREADY_DONE", owner, opening.sources)
        day = whole_day(date.fromisoformat(found.data_date))
        run = _new_run(
            opening,
            data_date=found.data_date,
            interval_start=iso(day.start) if day.start else None,
            interval_end=iso(day.end),
            workflow=FILE_ARRIVAL,
            arrival_set=name,
            sources=found.sources,
        )
        pointer = RunPointer(execution_arn=run.execution_arn, run_id=run.run_id)
        if ledger.write(run.create(), pointer.create(), found.change(run_id=run.run_id)):
            return _answer("OPENED", run, opening.sources)
    raise SourceUnavailableError(f"{name}: other executions kept opening it at the same moment; ask again")


def _open_for_upkeep(ledger: Ledger, opening: Opening) -> Json:
    """Open the run of a maintenance: one for each time of its schedule, and one for each start by hand.

    It may run beside others, as leases keep writers apart, and it takes no data, so nothing of it can be superseded.
    """
    upkeep, day = upkeep_of(opening.request), day_of(opening.request, opening.now)
    scheduled_time = opening.request.get("scheduled_time")
    for _ in range(TRIES):
        mine = ledger.run_of(opening.execution_arn)
        if mine:
            run = ledger.live_run(mine.run_id)
            return _answer("OPENED", run, []) | work_of(run.upkeep or {})
        claim = ledger.upkeep_claim(str(scheduled_time)) if scheduled_time else None
        owner = ledger.run(claim.run_id) if claim else None
        if owner:
            return _answer("ALREADY_DONE", owner, []) | work_of(owner.upkeep or {})
        run = _new_run(
            opening,
            data_date=day.isoformat(),
            interval_start=None,
            interval_end=iso(whole_day(day).end),
            workflow=MAINTENANCE,
            sources=[],
            upkeep=upkeep,
        )
        writes = [run.create(), RunPointer(execution_arn=run.execution_arn, run_id=run.run_id).create()]
        if scheduled_time:
            writes.append(UpkeepClaim(scheduled_time=str(scheduled_time), run_id=run.run_id).create())
        if ledger.write(*writes):
            return _answer("OPENED", run, []) | work_of(upkeep)
    raise SourceUnavailableError("other executions kept opening the same maintenance; ask again")


def _supersede(ledger: Ledger, opening: Opening) -> Json:
    """Take the place of a run whose execution is dead, its data date and interval with it, in one write."""
    if set(opening.request) != {"supersedes"}:
        raise InvalidRequestError("an input with supersedes names a run and nothing else: the run's date is taken over")
    old_id = str(opening.request["supersedes"])
    for _ in range(TRIES):
        mine = ledger.run_of(opening.execution_arn)
        if mine:
            return _answer("OPENED", ledger.live_run(mine.run_id), opening.sources)
        old = ledger.run(old_id)
        if old is None:
            raise InvalidRequestError(f"run {old_id!r} is not in the ledger; `assay explain` names an execution's run")
        successor = ledger.run(old.superseded_by) if old.superseded_by else None
        if successor:
            return _answer("ALREADY_DONE", successor, opening.sources)
        if old.workflow != opening.workflow:
            raise InvalidRequestError(f"run {old_id} is of {old.workflow}; start that workflow to supersede it")
        claim: IntervalClaim | ArrivalSet | None = ledger.interval_claim(old.data_date)
        if old.arrival_set:
            claim = ledger.arrival_set(old.arrival_set)
        if old.status != OPEN or claim is None or claim.run_id != old_id:
            raise InvalidRequestError(
                f"run {old_id} is {old.status} and cannot be superseded: only a run that has not succeeded can"
            )
        if opening.can_still_run(old.execution_arn):
            raise InvalidRequestError(
                f"run {old_id} cannot be superseded while its execution runs: stop {old.execution_arn} first, or wait"
            )
        run = _new_run(
            opening,
            data_date=old.data_date,
            interval_start=old.interval_start,
            interval_end=old.interval_end,
            supersedes=old_id,
            workflow=old.workflow,
            arrival_set=old.arrival_set,
            sources=old.sources,
            starts=old.starts,
        )
        if ledger.write(
            run.create(),
            RunPointer(execution_arn=run.execution_arn, run_id=run.run_id).create(),
            claim.change(run_id=run.run_id),
            old.change(status=SUPERSEDED, superseded_by=run.run_id),
        ):
            return _answer("OPENED", run, opening.sources)
    raise SourceUnavailableError(f"run {old_id} kept changing while its place was to be taken; ask again")


def _start(data_date: date, watermark: Watermark | None, source: str) -> str | None:
    """Where a source's interval starts: one that no run has read brings its whole history."""
    start = interval_for(data_date, from_iso(watermark.cursor(source)) if watermark else None).start
    return iso(start) if start else None


def _moved(watermark: Watermark | None, sources: Sequence[str], end: str) -> Watermark:
    """The watermark with an interval of these sources opened up to `end`; nothing ever moves back."""
    if watermark is None:
        return Watermark(opened_to=end, cursors=dict.fromkeys(sources, end))
    cursors = watermark.cursors
    if cursors is None:  # an old record: until now, all that the stage runs moved together
        cursors = dict.fromkeys(sources, watermark.opened_to)
    at = {source: max(end, cursors.get(source, end)) for source in sources}
    return replace(watermark, opened_to=max(end, watermark.opened_to), cursors={**cursors, **at})


def _new_run(opening: Opening, **about: Any) -> Run:
    return Run(
        run_id=new_run_id(opening.now, opening.unique),
        status=OPEN,
        execution_arn=opening.execution_arn,
        opened_at=iso(opening.now),
        code_digest=opening.code_digest,
        contracts_digest=opening.released.digest,
        schemas=opening.released.latest(),
        **about,
    )


def _answer(disposition: str, run: Run, sources: Sequence[str]) -> Json:
    return {
        "disposition": disposition,
        "run_id": run.run_id,
        "status": run.status if disposition == "OPENED" else disposition,
        "run_status": run.status,
        "execution_arn": run.execution_arn,
        "data_date": run.data_date,
        "interval": {"start": run.interval_start, "end": run.interval_end},
        "sources": sorted(sources if run.sources is None else run.sources),
    }
