"""The data interval that a run stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from contracts.errors import InvalidRequestError


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Half-open: start is taken, end is not.

    Attributes:
        start: UTC; None means the whole history.
        end: UTC midnight after the data date.
    """

    start: datetime | None
    end: datetime


def requested_date(request: Mapping[str, Any]) -> date:
    """The data date that an execution's input asks for.

    Args:
        request: {"scheduled_time": "2026-07-31T06:00:00Z"}, the schedule's own time, for the UTC day before it; or
            {"data_date": "2026-07-30"}.
    Raises:
        InvalidRequestError: neither or both are given, or one cannot be read.
    Source: https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
    """
    scheduled, named = request.get("scheduled_time"), request.get("data_date")
    if (scheduled is None) == (named is None):
        raise InvalidRequestError("the input needs exactly one of scheduled_time and data_date; start it with one")
    try:
        if named is not None:
            return date.fromisoformat(named)
        moment = datetime.fromisoformat(str(scheduled))
    except (TypeError, ValueError) as error:
        raise InvalidRequestError(
            f"{scheduled or named!r} is not a date; data_date is YYYY-MM-DD, scheduled_time an ISO time with its offset"
        ) from error
    if moment.tzinfo is None:
        raise InvalidRequestError(f"scheduled_time {scheduled!r} has no offset; add Z or +00:00")
    return moment.astimezone(UTC).date() - timedelta(days=1)


def interval_for(data_date: date, watermark: datetime | None) -> Interval:
    """The interval to read for a data date.

    Args:
        data_date: the day that the run is for.
        watermark: the end of the latest interval opened before; None when there was none.
    Returns:
        For the first run the whole history; for a later day all since the watermark, so that a skipped day is not
        lost; for a day before the watermark exactly that day.
    """
    midnight = datetime.combine(data_date, time(), UTC)
    end = midnight + timedelta(days=1)
    if watermark is None:
        return Interval(start=None, end=end)
    return Interval(start=watermark if end > watermark else midnight, end=end)


def whole_day(data_date: date) -> Interval:
    """The UTC day itself."""
    midnight = datetime.combine(data_date, time(), UTC)
    return Interval(start=midnight, end=midnight + timedelta(days=1))


def iso(moment: datetime) -> str:
    """A UTC time as the requests and the ledger write it: 2026-07-31T00:00:00Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def from_iso(text: str | None) -> datetime | None:
    """The reverse of iso; None stays None."""
    return None if text is None else datetime.fromisoformat(text)
