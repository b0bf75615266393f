"""Silver orders and rates to gold's currencies."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

KEY = ("currency",)
LINEAGE = {
    "output": "gold/dim_currency",
    "inputs": ["silver/orders", "silver/fx_rates"],
    "columns": {
        "currency": ["silver/orders.currency", "silver/fx_rates.currency"],
        "name": ["silver/orders.currency", "silver/fx_rates.currency"],
        "first_rate_date": ["silver/fx_rates.rate_date"],
        "last_rate_date": ["silver/fx_rates.rate_date"],
    },
}
# Those that the ECB quotes or has quoted, and the euro. Source: ISO 4217, lists one and three.
NAMES = {
    "AUD": "Australian Dollar", "BGN": "Bulgarian Lev", "BRL": "Brazilian Real", "CAD": "Canadian Dollar",
    "CHF": "Swiss Franc", "CNY": "Yuan Renminbi", "CYP": "Cyprus Pound", "CZK": "Czech Koruna", "DKK": "Danish Krone",
    "EEK": "Kroon", "EUR": "Euro", "GBP": "Pound Sterling", "HKD": "Hong Kong Dollar", "HRK": "Kuna", "HUF": "Forint",
    "IDR": "Rupiah", "ILS": "New Israeli Sheqel", "INR": "Indian Rupee", "ISK": "Iceland Krona", "JPY": "Yen",
    "KRW": "Won", "LTL": "Lithuanian Litas", "LVL": "Latvian Lats", "MTL": "Maltese Lira", "MXN": "Mexican Peso",
    "MYR": "Malaysian Ringgit", "NOK": "Norwegian Krone", "NZD": "New Zealand Dollar", "PHP": "Philippine Peso",
    "PLN": "Zloty", "ROL": "Old Leu", "RON": "Romanian Leu", "RUB": "Russian Ruble", "SEK": "Swedish Krona",
    "SGD": "Singapore Dollar", "SIT": "Tolar", "SKK": "Slovak Koruna", "THB": "Baht", "TRL": "Old Turkish Lira",
    "TRY": "Turkish Lira", "USD": "US Dollar", "ZAR": "Rand",
}  # fmt: skip


def dim_currency(orders: DataFrame, rates: DataFrame, known: DataFrame | None) -> DataFrame:
    """One row a currency that an order was paid in or a rate is known for.

    Args:
        orders: currency, at least of the orders that are new.
        rates: currency, rate_date, at least of the rates that are new.
        known: the dimension as it stands; None when there is none.
    Returns:
        currency (ISO 4217), name (null for one that is not in NAMES), first_rate_date and last_rate_date (null for one
        without rates, such as the euro).
    """
    never = sf.lit(None).cast("date")
    seen = rates.groupBy("currency").agg(
        sf.min("rate_date").alias("first_rate_date"), sf.max("rate_date").alias("last_rate_date")
    )
    seen = seen.unionByName(
        orders.select("currency").distinct().withColumns({"first_rate_date": never, "last_rate_date": never})
    )
    if known is not None:
        seen = seen.unionByName(known.select("currency", "first_rate_date", "last_rate_date"))
    names = sf.create_map(*(sf.lit(part) for item in NAMES.items() for part in item))
    return (
        seen.groupBy("currency")
        .agg(sf.min("first_rate_date").alias("first_rate_date"), sf.max("last_rate_date").alias("last_rate_date"))
        .select("currency", names[sf.col("currency")].alias("name"), "first_rate_date", "last_rate_date")
    )
