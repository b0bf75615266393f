"""The first thing a newcomer sees: the history as a first run, one more day as a second, and the gold table."""

from __future__ import annotations

import datetime
import time

from ops import lake, laptop, run, show
from ops.errors import OpsError
from ops.platform import Platform, platform

HISTORY_UNTIL, NEXT_DAY = datetime.date(2026, 7, 30), datetime.date(2026, 7, 31)
TOP_PRODUCTS = 5


def demo() -> None:
    """Run both days on an empty laptop cloud and print what came of them; the next `assay up` finds it so.

    Raises:
        OpsError: the cloud is up already, does not come up, or a run does not succeed.
    """
    started = time.monotonic()
    with show.CONSOLE.status("starting") as status:
        laptop.up(lambda words: status.update(f"laptop cloud: {words}"), fresh=True)
    try:
        with show.CONSOLE.status("laptop cloud: Spark"):
            laptop.wait_for_spark()
        target = platform("local")
        show.CONSOLE.print(f"laptop cloud up in {time.monotonic() - started:.0f} s")
        began = time.monotonic()
        for title, day in (("history until", HISTORY_UNTIL), ("one more day,", NEXT_DAY)):
            show.CONSOLE.rule(f"[bold]{title} {day}", align="left")
            _run(target, day)
        took = time.monotonic() - began
        show.CONSOLE.rule("[bold]what came of it", align="left")
        _tables(target)
        show.CONSOLE.print(f"both runs: {took:.1f} s; everything: {time.monotonic() - started:.0f} s")
    finally:
        laptop.down()


def _run(target: Platform, day: datetime.date) -> None:
    now = show.watched(target, run.start(target, day))
    if now.status != "SUCCEEDED":
        raise OpsError(f"the run of {day} ended {now.status}")
    counts = [
        {"table": table, "rows of this run": count} for table, count in sorted(now.output.get("rows", {}).items())
    ]
    show.CONSOLE.print(show.rows("", counts))


def _tables(target: Platform) -> None:
    counts = [{"table": path, "rows": lake.count(target, path)} for path in lake.tables(target)]
    show.CONSOLE.print(show.rows("the lake", counts))
    revenue = lake.table(target, "gold/fct_daily_revenue").to_pyarrow_table(
        columns=["revenue_date", "currency", "orders", "revenue", "rate", "rate_date", "revenue_eur"],
        filters=[("revenue_date", ">=", HISTORY_UNTIL)],
    )
    records = sorted(revenue.to_pylist(), key=lambda row: (row["revenue_date"], row["currency"]))
    show.CONSOLE.print(show.rows("gold.fct_daily_revenue, the last two days", records))
    kpis = lake.table(target, "gold/kpi_daily").to_pyarrow_table(filters=[("kpi_date", ">=", HISTORY_UNTIL)])
    figures = sorted(kpis.drop_columns(["_run_id"]).to_pylist(), key=lambda row: row["kpi_date"])
    # a figure a line: eight columns of figures are wider than a terminal
    sides = [
        {"figure": name, **{str(row["kpi_date"]): row[name] for row in figures}}
        for name in kpis.column_names
        if name not in ("_run_id", "kpi_date")
    ]
    show.CONSOLE.print(show.rows("gold.kpi_daily, the last two days", sides))
    if "gold/product_performance" in lake.tables(target):
        _products(target)
    customers = lake.table(target, "gold/customer_segments").to_pyarrow_table(columns=["segment", "revenue_eur"])
    segments = customers.group_by("segment").aggregate([([], "count_all"), ("revenue_eur", "sum")]).to_pylist()
    show.CONSOLE.print(
        show.rows(
            "gold.customer_segments",
            [
                {"segment": row["segment"], "customers": row["count_all"], "revenue_eur": row["revenue_eur_sum"]}
                for row in sorted(segments, key=lambda row: -row["revenue_eur_sum"])
            ],
        )
    )


def _products(target: Platform) -> None:
    """The products of the largest revenue in the present quarter."""
    quarter = datetime.date(NEXT_DAY.year, (NEXT_DAY.month - 1) // 3 * 3 + 1, 1)
    sold = lake.table(target, "gold/product_performance").to_pyarrow_table(
        columns=["revenue_rank", "product_id", "units", "revenue_eur", "margin_eur", "return_share", "growth"],
        filters=[("quarter_start", "=", quarter), ("revenue_rank", "<=", TOP_PRODUCTS)],
    )
    best = sorted(sold.to_pylist(), key=lambda row: (row["revenue_rank"], row["product_id"]))
    products = lake.table(target, "gold/dim_product").to_pyarrow_table(
        columns=["product_id", "name"], filters=[("product_id", "in", [row["product_id"] for row in best])]
    )
    names = {row["product_id"]: row["name"] for row in products.to_pylist()}
    records = [{"rank": row.pop("revenue_rank"), "product": names[row.pop("product_id")], **row} for row in best]
    show.CONSOLE.print(show.rows(f"gold.product_performance, the quarter from {quarter}", records))
