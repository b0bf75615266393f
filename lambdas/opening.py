"""Open the run of an execution: one run a data date, one data date a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from contracts.errors import SourceUnavailableError
from lambdas.digests import Released
from lambdas.intervals import from_iso, interval_for, iso, requested_date
from lambdas.ledger import OPEN, IntervalClaim, Ledger, Run, RunPointer, Watermark
from lambdas.names import new_run_id
from lambdas.payloads import Json
from lambdas.store import Create, Replace

TRIES = 10


@dataclass(frozen=True, kw_only=True)
class Opening:
    """What OpenRun knows.

    Attributes:
        now: UTC; it names the run and decides nothing.
        unique: 32 hex digits of a random UUID.
        sources: the sources that the stage runs.
    """

    execution_arn: str
    request: Mapping[str, Any]
    now: datetime
    unique: str
    code_digest: str
    released: Released
    sources: tuple[str, ...]


def open_run(ledger: Ledger, opening: Opening) -> Json:
    """Claim the data date and open the run, or say who has it.

    Returns:
        disposition OPENED with the run of this execution, the same one when asked again; or ALREADY_DONE with the run
        of the execution that claimed the date first.
    Raises:
        InvalidRequestError: the input names no date.
        SourceUnavailableError: other runs kept opening at the same moment.
    """
    data_date = requested_date(opening.request)
    for _ in range(TRIES):
        mine = ledger.run_of(opening.execution_arn)
        if mine:
            return _answer("OPENED", mine, opening.sources)
        claim = ledger.interval_claim(data_date.isoformat())
        owner = ledger.run(claim.run_id) if claim else None
        if owner:
            return _answer("ALREADY_DONE", owner, opening.sources)
        watermark = ledger.watermark()
        interval = interval_for(data_date, from_iso(watermark.opened_to) if watermark else None)
        run = Run(
            run_id=new_run_id(opening.now, opening.unique),
            status=OPEN,
            execution_arn=opening.execution_arn,
            data_date=data_date.isoformat(),
            interval_start=iso(interval.start) if interval.start else None,
            interval_end=iso(interval.end),
            opened_at=iso(opening.now),
            code_digest=opening.code_digest,
            contracts_digest=opening.released.digest,
            schemas=opening.released.latest(),
        )
        writes: list[Create | Replace] = [
            run.create(),
            IntervalClaim(data_date=run.data_date, run_id=run.run_id).create(),
            RunPointer(execution_arn=run.execution_arn, run_id=run.run_id).create(),
        ]
        if watermark is None:
            writes.append(Watermark(opened_to=run.interval_end).create())
        elif interval.end > (from_iso(watermark.opened_to) or interval.end):
            writes.append(watermark.change(opened_to=run.interval_end))
        if ledger.write(*writes):
            return _answer("OPENED", run, opening.sources)
    raise SourceUnavailableError(f"{data_date}: other runs kept opening at the same moment; ask again")


def _answer(disposition: str, run: Run, sources: Sequence[str]) -> Json:
    return {
        "disposition": disposition,
        "run_id": run.run_id,
        "status": run.status if disposition == "OPENED" else disposition,
        "run_status": run.status,
        "execution_arn": run.execution_arn,
        "data_date": run.data_date,
        "interval": {"start": run.interval_start, "end": run.interval_end},
        "sources": sorted(sources),
    }
