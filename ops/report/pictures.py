"""The numbers behind the page's small drawings: where a line, a band or a mark stands. The templates only draw them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ops.report.masking import ROW_RULE, counts_of, percent, words_of

WIDTH, HEIGHT, MARGIN = 120.0, 28.0, 3.0


@dataclass(frozen=True, kw_only=True)
class Gauge:
    """A value against the range it should lie in; positions from 0 to 100, None where the range is open."""

    low: float | None
    high: float | None
    at: float
    words: str

    @property
    def band(self) -> tuple[float, float]:
        """Where the range begins and how wide it is; at least as wide as can be seen."""
        begin = 0.0 if self.low is None else self.low
        end = 100.0 if self.high is None else self.high
        return round(min(begin, 98.5), 2), round(max(end - begin, 1.5), 2)


@dataclass(frozen=True, kw_only=True)
class Share:
    """How much of a whole is not as it should be, as a percentage that can be seen when it is not nothing."""

    width: float
    words: str


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one run measured."""

    run_id: str
    data_date: str
    value: float
    success: bool


@dataclass(frozen=True, kw_only=True)
class Point:
    """One run's place in a trend."""

    x: float
    y: float
    success: bool


@dataclass(frozen=True, kw_only=True)
class Trend:
    """Values over runs, oldest first, in a drawing of 120 by 28; `band` is top and height of what is expected today."""

    points: tuple[Point, ...]
    band: tuple[float, float] | None
    words: str

    @property
    def line(self) -> str:
        """The points as SVG writes them."""
        return " ".join(f"{point.x:g},{point.y:g}" for point in self.points)

    @property
    def marks(self) -> tuple[Point, ...]:
        """The points that have a dot: those that failed, and the last."""
        return (*(point for point in self.points[:-1] if not point.success), self.points[-1])


def number(value: Any) -> float | None:
    """A finite number as a float; None for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            as_float = float(value)
        except OverflowError:
            return None
        return as_float if math.isfinite(as_float) else None
    return None


def measured_value(observed: Any) -> float | None:
    """The number that stands for what was observed: itself, or the share of unexpected rows."""
    counts = counts_of(observed)
    if counts is None:
        return number(observed)
    rows, unexpected = counts
    return unexpected / rows if rows else 0.0


def bounds(result: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """The range that `measured_value` should lie in, as far as it is one of numbers."""
    expected, observed = result.get("expected"), result.get("observed")
    if str(result.get("expectation")).startswith(ROW_RULE):
        return None, 0.0
    if not isinstance(expected, Mapping):
        return None, None
    if counts_of(observed) is not None:
        mostly = number(expected.get("mostly", 1))
        return None, round(1 - mostly, 12) if mostly is not None else 0.0
    if (value := number(expected.get("value"))) is not None:
        return value, value
    return number(expected.get("min_value")), number(expected.get("max_value"))


def drawing(result: Mapping[str, Any]) -> Gauge | Share | None:
    """The drawing of a result, where observed and expected are numbers."""
    low, high = bounds(result)
    counts = counts_of(result.get("observed"))
    if counts is not None and not high:
        rows, unexpected = counts
        width = 100 * unexpected / rows if rows else 0.0
        words = f"{words_of(unexpected)} of {words_of(rows)} rows unexpected, none allowed"
        return Share(width=round(max(width, 2.0), 2) if unexpected else 0.0, words=words)
    value = measured_value(result.get("observed"))
    if value is None or (low is None and high is None) or str(result.get("expectation")).startswith(ROW_RULE):
        return None
    return _gauge(value, low, high, shares=counts is not None)


def trend(measured: Sequence[Measured], result: Mapping[str, Any]) -> Trend | None:
    """The drawing of a value over runs; None when there is nothing to draw."""
    if not measured:
        return None
    values = [each.value for each in measured]
    least, most = min(values), max(values)
    # bounds far from every value would press the line flat, so only near ones are part of the picture
    reach = (most - least) or abs(most) or 1.0
    near = [each for each in bounds(result) if each is not None and least - 2 * reach <= each <= most + 2 * reach]
    bottom, top = min([least, *near]), max([most, *near])
    if bottom == top:
        bottom, top = bottom - 1, top + 1

    def x(index: int) -> float:
        step = (WIDTH - 2 * MARGIN) / max(len(measured) - 1, 1)
        return round(MARGIN + index * step if len(measured) > 1 else WIDTH - MARGIN, 1)

    def y(value: float) -> float:
        return round(HEIGHT - MARGIN - (value - bottom) / (top - bottom) * (HEIGHT - 2 * MARGIN), 1)

    points = tuple(Point(x=x(i), y=y(each.value), success=each.success) for i, each in enumerate(measured))
    shares = counts_of(result.get("observed")) is not None
    return Trend(points=points, band=_band(bounds(result), bottom, top, y), words=_trend_words(measured, shares=shares))


def _gauge(value: float, low: float | None, high: float | None, *, shares: bool) -> Gauge:
    known = [each for each in (value, low, high) if each is not None]
    if low is None and min(known) >= 0:
        known.append(0.0)
    bottom, top = min(known), max(known)
    pad = (top - bottom or abs(top) or 1.0) * 0.15
    bottom, top = bottom - pad, top + pad

    def place(bound: float | None) -> float | None:
        return None if bound is None else round(100 * (bound - bottom) / (top - bottom), 2)

    say = percent if shares else words_of
    limits = [f"{limit} {say(bound)}" for limit, bound in (("at least", low), ("at most", high)) if bound is not None]
    words = f"{say(value)}{' unexpected' if shares else ''}; expected {', '.join(limits)}"
    return Gauge(low=place(low), high=place(high), at=place(value) or 0.0, words=words)


def _band(limits: tuple[float | None, float | None], bottom: float, top: float, y: Any) -> tuple[float, float] | None:
    low, high = limits
    if (low is None and high is None) or (low or bottom) > top or (top if high is None else high) < bottom:
        return None
    upper = 0.0 if high is None or high >= top else y(high)
    lower = HEIGHT if low is None or low <= bottom else y(low)
    return round(upper, 1), round(max(lower - upper, 1.0), 1)


def _trend_words(measured: Sequence[Measured], *, shares: bool) -> str:
    say = percent if shares else words_of
    values = [each.value for each in measured]
    failed = sum(not each.success for each in measured)
    if len(measured) == 1:
        return f"one run, {measured[0].data_date}: {say(values[0])}"
    return (
        f"{len(measured)} runs, {measured[0].data_date} to {measured[-1].data_date}: lowest {say(min(values))}, "
        f"highest {say(max(values))}, last {say(values[-1])}; {failed or 'none'} failed"
    )
