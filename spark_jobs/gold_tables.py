"""The gold tables, in the order in which they are published, and how each is built."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from spark_jobs.bronze_to_silver import silver_tables
from spark_jobs.days import Span, in_spans, merge_spans
from spark_jobs.gold_view import (
    ACCOUNTS,
    CONTACTS,
    CUSTOMERS,
    FACTS,
    LINE_FACTS,
    LINES,
    ORDERS,
    PERFORMANCE,
    PRICES,
    PRODUCTS,
    RATES,
    GoldView,
)
from spark_jobs.job import Job
from spark_jobs.receipts import Lineage
from spark_jobs.transforms import (
    calendar,
    currencies,
    customer_segments,
    customers,
    daily_kpis,
    daily_revenue,
    line_facts,
    order_facts,
    product_performance,
    products,
)

REVENUE, DAYS, CURRENCIES, KPIS = "gold/fct_daily_revenue", "gold/dim_date", "gold/dim_currency", "gold/kpi_daily"
PRODUCT_DIMENSION = "gold/dim_product"
WHO = "gold/dim_customer"


@dataclass(frozen=True, kw_only=True)
class Built:
    """What a gold table should hold.

    Attributes:
        rows: all of its rows on the days `spans`, without `_run_id`; of a table without a day, all of its rows.
        in_part: whether `rows` are only those that may differ; then none leaves the table.
    """

    rows: DataFrame
    spans: list[Span] | None
    in_part: bool = False


@dataclass(frozen=True, kw_only=True)
class GoldTable:
    """How one gold table comes from silver.

    Attributes:
        day: a column that never changes for a key, so that it prunes; None for a table that is read whole.
        needs: the silver tables without which a stage does not have it.
        after: the gold tables whose rows it is computed from, which are published before it.
        like: a silver table that has about as many rows, on about the same days; None for a table of few rows.
    """

    name: str
    day: str | None
    key: Sequence[str]
    needs: frozenset[str]
    build: Callable[[GoldView], Built]
    lineage: Lineage
    after: frozenset[str] = frozenset()
    like: str | None = None


def gold_tables(job: Job) -> tuple[GoldTable, ...]:
    """The gold tables that the run's sources allow, in the order in which they are published."""
    there = {table.name for table in silver_tables(job)}
    return tuple(table for table in GOLD_TABLES if table.needs <= there)


def _revenue(view: GoldView) -> Built:
    return Built(rows=view.daily_revenue, spans=view.spans)


def _facts(view: GoldView) -> Built:
    return Built(rows=view.facts, spans=view.spans)


def _days(view: GoldView) -> Built:
    known = None if view.spans is None else view.current(DAYS, None, None)
    return Built(rows=calendar.dim_date(view.orders, known), spans=None)


def _currencies(view: GoldView) -> Built:
    known = None if view.spans is None else view.current(CURRENCIES, None, None)
    return Built(rows=currencies.dim_currency(view.orders, view.rates, known), spans=None)


def _who(view: GoldView) -> Built:
    # read whole: it costs as much as there are customers and states of them, however many orders there are
    return Built(rows=customers.dim_customer(view.customers, view.accounts, view.contacts), spans=None)


def _customers(view: GoldView) -> Built:
    return Built(rows=customer_segments.segments(view.customers), spans=None)


def _line_facts(view: GoldView) -> Built:
    return Built(rows=view.line_facts, spans=view.line_spans)


def _products(view: GoldView) -> Built:
    return Built(rows=products.dim_product(view.changed_products), spans=None, in_part=view.sealed is not None)


def _performance(view: GoldView) -> Built:
    return Built(rows=view.products_sold, spans=view.quarters)


def _kpis(view: GoldView) -> Built:
    rows = daily_kpis.daily_kpis(view.facts, view.customers)
    if view.spans is None or view.line_spans is None:
        return Built(rows=_with_margins(view, rows), spans=None)
    # days whose orders are as they were, so that the rest of their rows stays
    days = merge_spans([*view.days_of_new_customers, *(view.line_spans if view.line_spans != view.spans else ())])
    others = view.current(KPIS, "kpi_date", days) if days else None
    if others is not None:
        others = others.where(f"NOT ({in_spans('kpi_date', view.spans)})").select(*rows.columns)
        rows = rows.unionByName(daily_kpis.with_new_customers(others, view.customers))
    return Built(rows=_with_margins(view, rows), spans=merge_spans([*view.spans, *days]))


def _with_margins(view: GoldView, rows: DataFrame) -> DataFrame:
    if not view.takes_lines:
        return rows
    known = sf.lit(True) if view.line_spans is None else sf.expr(in_spans("kpi_date", view.line_spans))
    return daily_kpis.with_margins(rows, view.margins, known)


_SOLD = frozenset({ORDERS, RATES})
_SOLD_IN_LINES = _SOLD | {LINES, PRICES}
_KNOWN = frozenset({ACCOUNTS, CONTACTS})
# A row is published after those that it is computed from. The last table seals the publish: its commit says on which
# versions of silver and of the other gold tables the next run may count on.
GOLD_TABLES = (
    GoldTable(
        name=REVENUE,
        day="revenue_date",
        key=daily_revenue.KEY,
        needs=_SOLD,
        build=_revenue,
        lineage=daily_revenue.LINEAGE,
    ),
    GoldTable(
        name=FACTS,
        day="order_date",
        key=order_facts.KEY,
        needs=_SOLD,
        build=_facts,
        lineage=order_facts.LINEAGE,
        like=ORDERS,
    ),
    GoldTable(name=DAYS, day=None, key=calendar.DATE_KEY, needs=_SOLD, build=_days, lineage=calendar.DATE_LINEAGE),
    GoldTable(
        name=CURRENCIES, day=None, key=currencies.KEY, needs=_SOLD, build=_currencies, lineage=currencies.LINEAGE
    ),
    GoldTable(name=WHO, day=None, key=customers.KEY, needs=_SOLD | _KNOWN, build=_who, lineage=customers.LINEAGE),
    GoldTable(
        name=CUSTOMERS,
        day=None,
        key=customer_segments.KEY,
        needs=_SOLD,
        build=_customers,
        lineage=customer_segments.LINEAGE,
        after=frozenset({FACTS}),
    ),
    GoldTable(
        name=LINE_FACTS,
        day="order_date",
        key=line_facts.KEY,
        needs=_SOLD_IN_LINES,
        build=_line_facts,
        lineage=line_facts.LINEAGE,
        like=LINES,
    ),
    GoldTable(
        name=PRODUCT_DIMENSION,
        day=None,
        key=products.KEY,
        needs=_SOLD | {PRODUCTS},
        build=_products,
        lineage=products.DIMENSION_LINEAGE,
    ),
    GoldTable(
        name=PERFORMANCE,
        day="quarter_start",
        key=product_performance.KEY,
        needs=_SOLD_IN_LINES,
        build=_performance,
        lineage=product_performance.LINEAGE,
        after=frozenset({LINE_FACTS}),
        like=LINES,
    ),
    GoldTable(name=KPIS, day="kpi_date", key=daily_kpis.KEY, needs=_SOLD, build=_kpis, lineage=daily_kpis.LINEAGE),
)
SEAL = GOLD_TABLES[-1].name
