"""Silver orders and rates to gold: the orders, each with its amount in euro."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

KEY = ("order_id",)
LINEAGE = {
    "output": "gold/fct_orders",
    "inputs": ["silver/orders", "silver/fx_rates"],
    "columns": {
        "order_id": ["silver/orders.order_id"],
        "customer_id": ["silver/orders.customer_id"],
        "order_date": ["silver/orders.order_date"],
        "order_status": ["silver/orders.order_status"],
        "order_priority": ["silver/orders.order_priority"],
        "currency": ["silver/orders.currency"],
        "amount": ["silver/orders.amount"],
        "rate": ["silver/fx_rates.rate"],
        "rate_date": ["silver/fx_rates.rate_date"],
        "amount_eur": ["silver/orders.amount", "silver/fx_rates.rate"],
    },
}


def order_facts(orders: DataFrame, rates_of_days: DataFrame) -> DataFrame:
    """One row an order, with the rate that stood on its day.

    Args:
        orders: the columns of contracts/schemas/orders_silver.
        rates_of_days: revenue_date, currency, rate decimal(18,8), rate_date, for each day and currency of the
            orders; the columns of `daily_revenue` will do.
    Returns:
        order_id, customer_id, order_date, order_status, order_priority, currency, amount decimal(15,2) in currency,
        rate (units of currency for one euro), rate_date, amount_eur decimal(15,2), rounded half up. The last three are
        null where no rate is known.
    """
    rates = rates_of_days.select(sf.col("revenue_date").alias("order_date"), "currency", "rate", "rate_date")
    return orders.join(rates, ["order_date", "currency"], how="left").select(
        "order_id",
        "customer_id",
        "order_date",
        "order_status",
        "order_priority",
        "currency",
        "amount",
        "rate",
        "rate_date",
        sf.round(sf.col("amount") / sf.col("rate"), 2).cast("decimal(15,2)").alias("amount_eur"),
    )
