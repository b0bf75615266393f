"""Bronze products to silver, one row a product in its newest state, and silver to gold's dimension."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

KEY = ("product_id",)
ORDER = ("updated_at", "_run_id")
_BRONZE = "bronze/redshift_products"
_TEXTS = ("name", "manufacturer", "brand", "type", "container")
_FIELDS = {
    "product_id": "product_id",
    **{name: name for name in _TEXTS},
    "size": "size",
    "retail_price_eur": "retail_price",
}
LINEAGE = {
    "output": "silver/products",
    "inputs": [_BRONZE],
    "columns": {name: [f"{_BRONZE}.{field}"] for name, field in {**_FIELDS, "updated_at": "updated_at"}.items()},
}
DIMENSION_LINEAGE = {
    "output": "gold/dim_product",
    "inputs": ["silver/products"],
    "columns": {name: [f"silver/products.{name}"] for name in _FIELDS},
}


def standardise(products: DataFrame) -> DataFrame:
    """The products named as silver has them, each of their states, texts trimmed.

    Args:
        products: the columns of contracts/schemas/redshift_products_bronze and _run_id.
    Returns:
        The columns of contracts/schemas/products_silver and _run_id.
    """
    return products.select(
        *(
            sf.trim(field).alias(name) if name in _TEXTS else sf.col(field).alias(name)
            for name, field in _FIELDS.items()
        ),
        "updated_at",
        "_run_id",
    )


def dim_product(products: DataFrame) -> DataFrame:
    """One row a product as it is now (SCD type 1).

    Args:
        products: the columns of contracts/schemas/products_silver.
    Returns:
        product_id, name, manufacturer, brand, type, container, size int, retail_price_eur decimal(15,2) of one piece.
    """
    return products.select(*_FIELDS)
