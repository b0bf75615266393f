"""Bronze orders to silver: one row an order, in its newest state."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

KEY = ("order_id",)
ORDER = ("updated_at", "_run_id")
LINEAGE = {
    "output": "silver/orders",
    "inputs": ["bronze/snowflake_orders"],
    "columns": {
        "order_id": ["bronze/snowflake_orders.order_id"],
        "customer_id": ["bronze/snowflake_orders.customer_id"],
        "order_status": ["bronze/snowflake_orders.order_status"],
        "order_date": ["bronze/snowflake_orders.order_date"],
        "currency": ["bronze/snowflake_orders.currency"],
        "amount": ["bronze/snowflake_orders.total_price"],
        "order_priority": ["bronze/snowflake_orders.order_priority"],
        "updated_at": ["bronze/snowflake_orders.updated_at"],
    },
}


def standardise(orders: DataFrame) -> DataFrame:
    """The orders named and typed as silver has them, each of their states.

    Args:
        orders: the columns of contracts/schemas/snowflake_orders_bronze and _run_id.
    Returns:
        The columns of contracts/schemas/orders_silver and _run_id; amount is in the order's currency.
    """
    return orders.select(
        "order_id",
        "customer_id",
        "order_status",
        "order_date",
        "currency",
        sf.col("total_price").alias("amount"),
        sf.trim("order_priority").alias("order_priority"),
        "updated_at",
        "_run_id",
    )
