"""Bronze order lines to silver: one row a line of an order, in its newest state."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

KEY = ("order_id", "line_number")
ORDER = ("updated_at", "_run_id")
_BRONZE = "bronze/redshift_order_lines"
_SAME = (
    "order_id", "line_number", "product_id", "supplier_id", "order_date", "currency", "quantity", "return_flag",
    "line_status", "ship_date", "updated_at",
)  # fmt: skip
LINEAGE = {
    "output": "silver/order_lines",
    "inputs": [_BRONZE],
    "columns": {
        **{name: [f"{_BRONZE}.{name}"] for name in (*_SAME, "discount", "tax", "ship_mode")},
        "gross_amount": [f"{_BRONZE}.extended_price"],
    },
}


def standardise(lines: DataFrame) -> DataFrame:
    """The lines named and typed as silver has them, each of their states.

    Args:
        lines: the columns of contracts/schemas/redshift_order_lines_bronze and _run_id.
    Returns:
        The columns of contracts/schemas/order_lines_silver and _run_id; gross_amount is in the order's currency,
        discount and tax are shares from 0 to 1.
    """
    return lines.select(
        *_SAME,
        sf.col("extended_price").alias("gross_amount"),
        sf.col("discount").cast("decimal(5,4)").alias("discount"),
        sf.col("tax").cast("decimal(5,4)").alias("tax"),
        sf.trim("ship_mode").alias("ship_mode"),
        "_run_id",
    )
