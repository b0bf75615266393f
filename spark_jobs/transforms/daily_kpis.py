"""Gold's orders, their lines and customers to the figures of each day."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

KEY = ("kpi_date",)
LINEAGE = {
    "output": "gold/kpi_daily",
    "inputs": ["silver/orders", "silver/fx_rates", "silver/order_lines", "silver/part_supply"],
    "columns": {
        "kpi_date": ["silver/orders.order_date"],
        "orders": ["silver/orders.order_id"],
        "customers": ["silver/orders.customer_id"],
        "new_customers": ["silver/orders.customer_id", "silver/orders.order_date"],
        "repeat_rate": ["silver/orders.customer_id", "silver/orders.order_date"],
        "revenue_eur": ["silver/orders.amount", "silver/fx_rates.rate"],
        "average_order_value_eur": ["silver/orders.amount", "silver/fx_rates.rate"],
        "margin_eur": [
            "silver/order_lines.gross_amount",
            "silver/order_lines.discount",
            "silver/order_lines.quantity",
            "silver/fx_rates.rate",
            "silver/part_supply.supply_cost_eur",
        ],
    },
}


def daily_kpis(orders: DataFrame, customers: DataFrame) -> DataFrame:
    """One row a day that has orders.

    Args:
        orders: order_date, customer_id, amount_eur, all orders of the days in question.
        customers: customer_id, first_order_date, at least those of the orders.
    Returns:
        kpi_date; orders bigint; customers bigint, who ordered that day; new_customers bigint, whose first order ever it
        was; repeat_rate decimal(7,6), the share of the customers who had ordered on a day before; revenue_eur
        decimal(18,2), the sum of the orders' euro amounts; average_order_value_eur decimal(18,2); margin_eur
        decimal(18,2), null: `with_margins` tells it.
    """
    of_a_day = orders.groupBy("order_date", "customer_id").agg(
        sf.count("*").alias("orders"), sf.sum("amount_eur").alias("revenue_eur")
    )
    days = (
        of_a_day.join(customers.select("customer_id", "first_order_date"), "customer_id", how="left")
        .groupBy(sf.col("order_date").alias("kpi_date"))
        .agg(
            sf.sum("orders").alias("orders"),
            sf.count("*").alias("customers"),
            sf.count(sf.when(sf.col("first_order_date") == sf.col("order_date"), 1)).alias("new_customers"),
            sf.sum("revenue_eur").cast("decimal(18,2)").alias("revenue_eur"),
        )
    )
    return days.select(
        "kpi_date",
        "orders",
        "customers",
        "new_customers",
        _repeat_rate().alias("repeat_rate"),
        "revenue_eur",
        sf.round(sf.col("revenue_eur") / sf.col("orders"), 2).cast("decimal(18,2)").alias("average_order_value_eur"),
        sf.lit(None).cast("decimal(18,2)").alias("margin_eur"),
    )


def margins(lines: DataFrame) -> DataFrame:
    """The margin of each day that has order lines.

    Args:
        lines: order_date, margin_eur, of `line_facts`, all lines of the days in question.
    Returns:
        kpi_date, margin_eur decimal(18,2), the sum over the day's lines; null where that of one is unknown.
    """
    complete = sf.count("*") == sf.count("margin_eur")
    total = sf.when(complete, sf.sum("margin_eur")).cast("decimal(18,2)")
    return lines.groupBy(sf.col("order_date").alias("kpi_date")).agg(total.alias("margin_eur"))


def with_margins(days: DataFrame, margins: DataFrame, known: Column) -> DataFrame:
    """The rows of `daily_kpis` with the margins of their days.

    Args:
        days: the rows.
        margins: kpi_date, margin_eur.
        known: whether `margins` speaks of a row's day; the other days keep what they have.
    """
    margin = margins.select("kpi_date", sf.col("margin_eur").alias("_margin"))
    return (
        days.join(margin, "kpi_date", how="left")
        .withColumn("margin_eur", sf.when(known, sf.col("_margin")).otherwise(sf.col("margin_eur")))
        .drop("_margin")
    )


def with_new_customers(days: DataFrame, customers: DataFrame) -> DataFrame:
    """Rows of `daily_kpis` for which nothing has changed but who was new on that day.

    Args:
        days: the rows as they stand.
        customers: customer_id, first_order_date, of all customers.
    """
    new = customers.groupBy(sf.col("first_order_date").alias("kpi_date")).agg(sf.count("*").alias("_new"))
    return (
        days.join(new, "kpi_date", how="left")
        .withColumn("new_customers", sf.coalesce("_new", sf.lit(0)).cast("bigint"))
        .withColumn("repeat_rate", _repeat_rate())
        .drop("_new")
    )


def _repeat_rate() -> Column:
    returning = (sf.col("customers") - sf.col("new_customers")).cast("decimal(12,0)")
    return sf.round(returning / sf.col("customers").cast("decimal(12,0)"), 6).cast("decimal(7,6)")
