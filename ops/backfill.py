"""Runs one day after another, oldest first; a day that has been run is left as it is."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ops import run
from ops.errors import OpsError
from ops.platform import Platform
from ops.run import Progress

MOST_DAYS = 366  # more by mistake than on purpose, such as a wrong year
DONE, NOT_DONE = "ALREADY DONE", "NOT FINISHED"


@dataclass(frozen=True, kw_only=True)
class Day:
    """What became of a day.

    Attributes:
        status: that of its execution; or ALREADY DONE, or NOT FINISHED when a run that has the day waits for a redrive.
        rows: written by this run, in all tables together.
    """

    date: datetime.date
    status: str
    run_id: str | None
    seconds: float | None
    rows: int

    @property
    def stands(self) -> bool:
        """Whether the day's tables are complete."""
        return self.status in {"SUCCEEDED", DONE}


def days_between(first: datetime.date, last: datetime.date) -> list[datetime.date]:
    """The days from the first to the last, both among them.

    Raises:
        OpsError: there are none, or more than a year of them.
    """
    count = (last - first).days + 1
    if count < 1:
        raise OpsError(f"--from {first} is after --to {last}: give the older day first")
    if count > MOST_DAYS:
        raise OpsError(f"{first} to {last} are {count} days; at most {MOST_DAYS} at a time")
    return [first + datetime.timedelta(days=each) for each in range(count)]


def backfill(
    platform: Platform, days: list[datetime.date], follow: Callable[[datetime.date, str], Progress]
) -> Iterator[Day]:
    """Run the days, telling of each; the first that does not stand is the last that is run.

    Args:
        platform: the stage's.
        days: in the order in which they run.
        follow: watches the execution of a day to its end.
    """
    for date in days:
        day = _outcome(date, follow(date, run.start(platform, date)))
        yield day
        if not day.stands:
            return


def _outcome(date: datetime.date, now: Progress) -> Day:
    status = now.status
    if now.output.get("disposition") == "ALREADY_DONE":
        status = DONE if now.output.get("run_status") == "SUCCEEDED" else NOT_DONE
    return Day(
        date=date,
        status=status,
        run_id=now.run_id or now.output.get("run_id"),
        seconds=(now.ended - now.started).total_seconds() if now.ended else None,
        rows=sum(now.output.get("rows", {}).values()),
    )
