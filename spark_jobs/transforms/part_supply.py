"""Bronze part supply to silver: a price list by effective date."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

KEY = ("product_id", "supplier_id", "valid_from")
ORDER = ("updated_at", "_run_id")
_BRONZE = "bronze/redshift_part_supply"
LINEAGE = {
    "output": "silver/part_supply",
    "inputs": [_BRONZE],
    "columns": {
        "product_id": [f"{_BRONZE}.product_id"],
        "supplier_id": [f"{_BRONZE}.supplier_id"],
        "valid_from": [f"{_BRONZE}.updated_at"],
        "available_quantity": [f"{_BRONZE}.available_quantity"],
        "supply_cost_eur": [f"{_BRONZE}.supply_cost"],
        "updated_at": [f"{_BRONZE}.updated_at"],
    },
}


def standardise(supply: DataFrame) -> DataFrame:
    """The prices and stocks of products, each of their states, with the day from which it stands.

    Args:
        supply: the columns of contracts/schemas/redshift_part_supply_bronze and _run_id.
    Returns:
        The columns of contracts/schemas/part_supply_silver and _run_id; valid_from is the day of updated_at, UTC.
    """
    return supply.select(
        "product_id",
        "supplier_id",
        sf.to_date("updated_at").alias("valid_from"),
        "available_quantity",
        sf.col("supply_cost").alias("supply_cost_eur"),
        "updated_at",
        "_run_id",
    )
