"""Where the rows come from: a table of orders and the vendor's rate files, with flaws that a person must put right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cache
from typing import Any

from contracts import contract as contracts

FLAWED_RATES = {"contract": "-1.1", "bronze": "7001", "silver": "7002", "gold": "7003"}
FLAWS = {rate: flaw for flaw, rate in FLAWED_RATES.items()}
ORDERS_A_DAY = 2


@dataclass(frozen=True, kw_only=True)
class Order:
    """One version of an order; `flaw` is the layer whose rule it breaks, `corrections` how often it was put right."""

    order_id: str
    updated_at: str
    order_date: str
    currency: str
    amount: int
    flaw: str | None = None
    corrections: int = 0


HISTORY = Order(
    order_id="2026-07-01/0", updated_at="2026-07-01T12:00:00Z", order_date="2026-07-01", currency="USD", amount=5
)


@dataclass
class Source:
    """What the sources hold for some days.

    Attributes:
        flaws: data date to the flaws of its rows, the present one first; mending one brings the next to light.
    """

    days: Sequence[str]
    flaws: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    corrections: dict[str, int] = field(default_factory=dict)

    def orders(self, start: str | None, end: str, present: Sequence[str]) -> list[Order]:
        """The orders last changed within [start, end), of days that have come; each in its present version."""
        rows: dict[str, Order] = {HISTORY.order_id: HISTORY}
        for day in sorted(present):
            for row in self._of_day(day):
                rows[row.order_id] = row
        return [row for row in rows.values() if row.updated_at < end and (start is None or row.updated_at >= start)]

    def _of_day(self, day: str) -> list[Order]:
        flaw = next(iter(self.flaws.get(("snowflake_orders", day), ())), None)
        rows = [
            Order(
                order_id=f"{day}/{number}",
                updated_at=f"{day}T1{number}:00:00Z",
                order_date=day,
                currency="USD",
                amount=number + 1,
            )
            for number in range(ORDERS_A_DAY)
        ]
        rows[0] = replace(rows[0], flaw=flaw, corrections=self.corrections.get(day, 0))
        before = (date.fromisoformat(day) - timedelta(days=1)).isoformat()
        if before in self.days:  # one of yesterday's orders changes today
            changed = replace(
                rows[1], order_id=f"{before}/1", order_date=before, updated_at=f"{day}T20:00:00Z", amount=9
            )
            rows.append(changed)
        return rows

    def file(self, day: str) -> tuple[str, bytes]:
        """Key and content of the vendor's file of a day."""
        flaw = next(iter(self.flaws.get(("fx_rates", day), ())), None)
        rate = FLAWED_RATES.get(flaw or "", f"1.{int(day[-2:]):02d}")
        columns = _columns()
        cells = [day, rate] + ["N/A"] * (len(columns) - 2)
        text = f"{','.join(columns)},\n{','.join(cells)},\n"
        return f"landing/fx/eurofxref-{day}.csv", text.encode()

    def mend(self, present: Sequence[str]) -> list[tuple[str, str]]:
        """Put the present flaws of the days that have come right; the sources and days that changed."""
        changed = [which for which, flaws in sorted(self.flaws.items()) if which[1] in present and flaws]
        for which in changed:
            self.flaws[which].pop(0)
            self.corrections[which[1]] = self.corrections.get(which[1], 0) + 1
        return changed

    @property
    def is_right(self) -> bool:
        """Whether nothing is left to mend."""
        return not any(self.flaws.values())


@cache
def _columns() -> list[str]:
    return [each.name for each in contracts.of_source("fx_rates").fields]


def rates_of(body: bytes) -> list[dict[str, Any]]:
    """The rows of a rate file, as the model of Spark reads them."""
    lines = body.decode().splitlines()[1:]
    cells = [line.split(",") for line in lines]
    return [{"rate_date": row[0], "currency": "USD", "rate": row[1], "flaw": FLAWS.get(row[1])} for row in cells]


def expected(source: Source) -> dict[str, list[Any]]:
    """Silver and gold as they must be once every day is through, computed from the sources alone."""
    orders = source.orders(None, "9999", source.days)
    rates = {day: rates_of(source.file(day)[1])[0]["rate"] for day in source.days}
    gold: dict[str, list[Order]] = {}
    for row in orders:
        gold.setdefault(row.order_date, []).append(row)
    return {
        "silver/orders": sorted((row.order_id, row.updated_at, row.amount) for row in orders),
        "silver/fx_rates": sorted((day, rate) for day, rate in rates.items()),
        "gold/fct_daily_revenue": sorted(
            (
                day,
                sum(row.amount for row in rows),
                tuple(sorted(row.order_id for row in rows)),
                max(((quoted, rate) for quoted, rate in rates.items() if quoted <= day), default=("", None))[1],
            )
            for day, rows in gold.items()
        ),
    }
