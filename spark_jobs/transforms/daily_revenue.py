"""Silver orders and rates to gold: revenue a day and currency, in euro."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as sf

KEY = ("revenue_date", "currency")
EURO = "EUR"
LINEAGE = {
    "output": "gold/fct_daily_revenue",
    "inputs": ["silver/orders", "silver/fx_rates"],
    "columns": {
        "revenue_date": ["silver/orders.order_date"],
        "currency": ["silver/orders.currency"],
        "orders": ["silver/orders.order_id"],
        "revenue": ["silver/orders.amount"],
        "rate": ["silver/fx_rates.rate"],
        "rate_date": ["silver/fx_rates.rate_date"],
        "revenue_eur": ["silver/orders.amount", "silver/fx_rates.rate"],
    },
}


def rates_of_days(days: DataFrame, rates: DataFrame) -> DataFrame:
    """The rate that stood on each day: that day's or the last earlier one.

    Args:
        days: order_date, currency, unique.
        rates: rate_date, currency, rate decimal(18,8), from early enough to hold each day's rate; no euro.
    Returns:
        order_date, currency, rate decimal(18,8), null where none is known; the euro's is 1.
    """
    nothing = sf.lit(0)
    unsold = days.select(
        sf.col("order_date").alias("revenue_date"),
        "currency",
        nothing.cast("bigint").alias("orders"),
        nothing.cast("decimal(18,2)").alias("revenue"),
    )
    return _with_rate_of_the_day(unsold, rates).select(
        sf.col("revenue_date").alias("order_date"), "currency", _rate().alias("rate")
    )


def daily_revenue(orders: DataFrame, rates: DataFrame) -> DataFrame:
    """Revenue a day and currency, at that day's rate or the last earlier one.

    Args:
        orders: order_date, currency, amount decimal(15,2) in that currency.
        rates: rate_date, currency, rate decimal(18,8), from early enough to hold each day's rate; no euro.
    Returns:
        revenue_date, currency, orders bigint, revenue decimal(18,2), rate decimal(18,8), rate_date, revenue_eur
        decimal(18,2) rounded half up. The last three are null where no rate is known; the euro's rate is 1.
    """
    revenue = orders.groupBy(sf.col("order_date").alias("revenue_date"), "currency").agg(
        sf.count("*").alias("orders"), sf.sum("amount").cast("decimal(18,2)").alias("revenue")
    )
    euro = sf.col("currency") == EURO
    return (
        _with_rate_of_the_day(revenue, rates)
        .withColumn("rate", _rate())
        .select(
            "revenue_date",
            "currency",
            "orders",
            "revenue",
            "rate",
            sf.when(euro, sf.col("revenue_date")).otherwise(sf.col("_quoted.rate_date")).alias("rate_date"),
            # both operands at these precisions leave 14 decimals of the quotient: it is rounded once
            sf.round(sf.col("revenue") / sf.col("rate"), 2).cast("decimal(18,2)").alias("revenue_eur"),
        )
    )


def _rate() -> Column:
    return sf.when(sf.col("currency") == EURO, sf.lit(1)).otherwise(sf.col("_quoted.rate")).cast("decimal(18,8)")


def _with_rate_of_the_day(revenue: DataFrame, rates: DataFrame) -> DataFrame:
    """The revenue with `_quoted`, the rate and its day that stood on the day; null where there was none yet.

    One pass over both, sorted by currency and day: a join on a range of dates would pair every day with every rate.
    """
    nothing = sf.lit(None)
    quotes = rates.select(
        "currency",
        sf.col("rate_date").alias("revenue_date"),
        sf.struct("rate", "rate_date").alias("_quote"),
        nothing.cast("bigint").alias("orders"),
        nothing.cast("decimal(18,2)").alias("revenue"),
    )
    quote_type = "struct<rate:decimal(18,8),rate_date:date>"
    days = revenue.select("currency", "revenue_date", nothing.cast(quote_type).alias("_quote"), "orders", "revenue")
    # null orders sort first, so a day's own rate comes before the day
    so_far = Window.partitionBy("currency").orderBy("revenue_date", sf.col("orders").asc_nulls_first())
    quoted = sf.last("_quote", ignorenulls=True).over(so_far.rowsBetween(Window.unboundedPreceding, 0))
    return quotes.unionByName(days).withColumn("_quoted", quoted).where(sf.col("orders").isNotNull())
