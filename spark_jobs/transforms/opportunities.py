"""Bronze opportunities to silver: one row an opportunity, in its newest state."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

KEY = ("opportunity_id",)
ORDER = ("updated_at", "_run_id")
_BRONZE = "bronze/salesforce_opportunities"
_FIELDS = {
    "opportunity_id": "Id",
    "account_id": "AccountId",
    "stage": "StageName",
    "amount": "Amount",
    "currency": "CurrencyIsoCode",
    "close_date": "CloseDate",
    "is_closed": "IsClosed",
    "is_won": "IsWon",
    "is_deleted": "IsDeleted",
    "created_at": "CreatedDate",
    "updated_at": "SystemModstamp",
}
LINEAGE = {
    "output": "silver/opportunities",
    "inputs": [_BRONZE],
    "columns": {name: [f"{_BRONZE}.{field}"] for name, field in _FIELDS.items()},
}


def standardise(opportunities: DataFrame) -> DataFrame:
    """The opportunities named and typed as silver has them, each of their states; a deleted one stays, with is_deleted.

    Args:
        opportunities: the columns of contracts/schemas/salesforce_opportunities_bronze and _run_id.
    Returns:
        The columns of contracts/schemas/opportunities_silver and _run_id; amount is in the opportunity's currency, null
        while nobody has estimated it.
    """
    named = opportunities.select(*(sf.col(field).alias(name) for name, field in _FIELDS.items()), "_run_id")
    return named.withColumn("stage", sf.trim("stage"))
