"""Where the rows come from: a table of orders and the vendor's rate files, with flaws that a person must put right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cache
from typing import Any

from contracts import contract as contracts
from contracts.contract import Contract, Expectation
from contracts.waiving import fails_by_row, result_name

FLAWED_RATES = {"contract": "-1.1", "bronze": "7001", "silver": "7002", "gold": "7003"}
FLAWS = {rate: flaw for flaw, rate in FLAWED_RATES.items()}
ORDERS_A_DAY = 2
SILVER_OF = {"snowflake_orders": "silver/orders", "fx_rates": "silver/fx_rates"}


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
        flaws: source and data date to the flaws of its rows, the present one first; mending one brings the next to
            light.
        accepted, rejected: the flaws that a person has waived, which are right then, and those whose rows a person has
            rejected, which stay wrong for ever.
    """

    days: Sequence[str]
    flaws: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    corrections: dict[str, int] = field(default_factory=dict)
    accepted: dict[tuple[str, str], str] = field(default_factory=dict)
    rejected: dict[tuple[str, str], str] = field(default_factory=dict)

    def orders(self, start: str | None, end: str, present: Sequence[str]) -> list[Order]:
        """The orders last changed within [start, end), of days that have come; each in its present version."""
        rows: dict[str, Order] = {HISTORY.order_id: HISTORY}
        for day in sorted(present):
            for row in self._of_day(day):
                rows[row.order_id] = row
        return [row for row in rows.values() if row.updated_at < end and (start is None or row.updated_at >= start)]

    def _of_day(self, day: str) -> list[Order]:
        flaw = self.flaw_of("snowflake_orders", day)
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
        flaw = self.flaw_of("fx_rates", day)
        rate = FLAWED_RATES.get(flaw or "", f"1.{int(day[-2:]):02d}")
        columns = _columns()
        cells = [day, rate] + ["N/A"] * (len(columns) - 2)
        text = f"{','.join(columns)},\n{','.join(cells)},\n"
        return f"landing/fx/eurofxref-{day}.csv", text.encode()

    def flaw_of(self, source: str, day: str) -> str | None:
        """What is wrong with the rows of a day."""
        settled = self.accepted.get((source, day)) or self.rejected.get((source, day))
        return settled or next(iter(self.flaws.get((source, day), ())), None)

    def settle(self, source: str, flaw: str, present: Sequence[str], into: dict[tuple[str, str], str]) -> None:
        """Take the present flaws of a kind for accepted, or for rejected; the days that have come are left so."""
        for (where, day), flaws in self.flaws.items():
            if where == source and day in present and flaws[:1] == [flaw]:
                into[(where, day)] = flaw
                flaws.clear()

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


def expectation_of(contract: Contract) -> Expectation:
    """The expectation of a layer that its flaw fails: one of severity error, by the row if there is such."""
    errors = [each for each in contract.expectations if each.severity == "error"]
    return next((each for each in errors if fails_by_row(each.type)), errors[0])


def name_of(contract: Contract) -> str:
    """What it is called in waivers and rejections."""
    found = expectation_of(contract)
    return result_name(contract.dataset, found.type, found.column)


@cache
def flaws_by_name() -> Mapping[str, tuple[tuple[str, str], ...]]:
    """The flaws, as source and layer, that each such name stands for."""
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    for source, silver in SILVER_OF.items():
        for layer, contract in (
            ("bronze", contracts.of_source(source)),
            ("silver", contracts.of_table(silver)),
            ("gold", contracts.of_table("gold/fct_daily_revenue")),
        ):
            found[name_of(contract)] = (*found.get(name_of(contract), ()), (source, layer))
    return found


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
    refused = {f"{day}/0" for where, day in source.rejected if where == "snowflake_orders"}
    orders = [row for row in source.orders(None, "9999", source.days) if row.order_id not in refused]
    quoted_on = [day for day in source.days if ("fx_rates", day) not in source.rejected]
    rates = {day: rates_of(source.file(day)[1])[0]["rate"] for day in quoted_on}
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
