"""Bronze FX rates to silver: one row a day and currency."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

KEY = ("rate_date", "currency")
ORDER = ("received_at", "_run_id")
DAY = "Date"
LINEAGE = {
    "output": "silver/fx_rates",
    "inputs": ["bronze/fx_rates"],
    "columns": {
        "rate_date": ["bronze/fx_rates.Date"],
        "currency": ["bronze/fx_rates.*"],
        "rate": ["bronze/fx_rates.*"],
        "received_at": ["bronze/fx_rates._received_at"],
    },
}


def standardise(rates: DataFrame, currencies: Sequence[str], null_tokens: Sequence[str]) -> DataFrame:
    """The rates that were quoted, one row a day and currency of each file.

    Args:
        rates: Date as ISO text, a column of text a currency, _file, _received_at, _run_id.
        currencies: the columns that hold rates.
        null_tokens: the texts that stand for no rate.
    Returns:
        rate_date date, currency string, received_at timestamp, _run_id, _file, which tells of files received at once,
        rate decimal(18,8) (units for one euro).
    Source: contracts/schemas/fx_rates_bronze, fx_rates_silver.
    """
    return (
        rates.unpivot([DAY, "_file", "_received_at", "_run_id"], list(currencies), "currency", "text")
        .where(~sf.col("text").isin(*null_tokens))
        .select(
            sf.col(DAY).cast("date").alias("rate_date"),
            "currency",
            sf.col("_received_at").alias("received_at"),
            "_run_id",
            "_file",
            sf.col("text").cast("decimal(18,8)").alias("rate"),
        )
    )
