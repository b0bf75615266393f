"""Spans of days as plain values: which days a batch touches, and a condition that file statistics can decide."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

Span = tuple[date, date | None]  # first and last day, both included; None for no last day

MOST_SPANS = 100
_DAY = timedelta(days=1)


def merge_spans(spans: Iterable[Span]) -> list[Span]:
    """The same days in as few spans as there are, in order; in one span when they would be too many to write down."""
    merged: list[Span] = []
    for first, last in sorted(spans, key=lambda span: span[0]):
        if merged and (merged[-1][1] is None or first <= merged[-1][1] + _DAY):
            earlier_first, earlier_last = merged[-1]
            ends = earlier_last is not None and last is not None
            merged[-1] = (earlier_first, max(earlier_last, last) if ends and earlier_last and last else None)
        else:
            merged.append((first, last))
    return [(merged[0][0], merged[-1][1])] if len(merged) > MOST_SPANS else merged


def quarters_of(spans: Iterable[Span], *, before: int = 0, after: int = 0) -> list[Span]:
    """The first days of the calendar quarters that the spans touch, and of some quarters before and after each.

    In spans too: every first day of a quarter within them is meant.
    """
    return merge_spans(
        (_quarter(first, -before), None if last is None else _quarter(last, after)) for first, last in spans
    )


def in_spans(column: str, spans: Iterable[Span]) -> str:
    """A condition in SQL that holds on the days of the spans, for a column of dates or of moments (UTC)."""
    parts = [
        f"{column} >= DATE'{first}'" + ("" if last is None else f" AND {column} < DATE'{last + _DAY}'")
        for first, last in spans
    ]
    return " OR ".join(f"({part})" for part in parts) if parts else "false"


def _quarter(day: date, later: int) -> date:
    """The first day of the quarter that comes so many quarters after that of `day`."""
    quarters = day.year * 4 + (day.month - 1) // 3 + later
    return date(max(quarters // 4, 1), quarters % 4 * 3 + 1, 1)


def overlap(one: Span, other: Span) -> bool:
    """Whether two spans share a day."""
    return (other[1] is None or one[0] <= other[1]) and (one[1] is None or other[0] <= one[1])


def single_days(days: Iterable[date]) -> list[Span]:
    """The spans of single days, merged where they touch."""
    return merge_spans((day, day) for day in days)
