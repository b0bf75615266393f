"""Gold's dimensions that come from the orders and rates themselves: days and currencies."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

DATE_KEY = ("day",)
DATE_LINEAGE = {
    "output": "gold/dim_date",
    "inputs": ["silver/orders"],
    "columns": {
        name: ["silver/orders.order_date"]
        for name in ("day", "year", "quarter", "month", "iso_week", "iso_weekday", "is_weekend", "is_month_end")
    },
}


def dim_date(orders: DataFrame, known: DataFrame | None) -> DataFrame:
    """One row a day of every calendar year from that of the oldest order to that of the newest.

    Args:
        orders: order_date, at least of the orders that are new.
        known: the dimension as it stands; None when there is none.
    Returns:
        day; year, quarter, month, iso_week (1 to 53), iso_weekday (1 is Monday) int; is_weekend, is_month_end boolean.
    """
    days = orders.select(sf.col("order_date").alias("day"))
    if known is not None:
        days = days.unionByName(known.select("day"))
    ends = days.agg(sf.min("day").alias("oldest"), sf.max("day").alias("newest")).where("oldest IS NOT NULL")
    first = sf.make_date(sf.year("oldest"), sf.lit(1), sf.lit(1))
    last = sf.make_date(sf.year("newest"), sf.lit(12), sf.lit(31))
    every_day = sf.sequence(first, last, sf.expr("INTERVAL 1 DAY"))
    day = sf.col("day")
    weekday = sf.weekday(day) + 1
    return ends.select(sf.explode(every_day).alias("day")).select(
        "day",
        sf.year(day).alias("year"),
        sf.quarter(day).alias("quarter"),
        sf.month(day).alias("month"),
        sf.weekofyear(day).alias("iso_week"),
        weekday.alias("iso_weekday"),
        (weekday >= 6).alias("is_weekend"),
        (sf.last_day(day) == day).alias("is_month_end"),
    )
