"""Bronze accounts to silver: one row for each state that an account had, personal values as tokens."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from spark_jobs.transforms import personal

KEY = ("account_id", "updated_at")
# by what it says, never by the run that read it: any order of runs leaves the same state of a moment
ORDER = ("is_deleted", "created_at", "customer_id", "name_token", "phone_token", "country", "industry")
PERSONAL = (personal.COMPANY, personal.PHONE)
_BRONZE = "bronze/salesforce_accounts"
LINEAGE = {
    "output": "silver/accounts",
    "inputs": [_BRONZE],
    "columns": {
        "account_id": [f"{_BRONZE}.Id"],
        "updated_at": [f"{_BRONZE}.SystemModstamp"],
        "updated_on": [f"{_BRONZE}.SystemModstamp"],
        "customer_id": [f"{_BRONZE}.AccountNumber"],
        "name_token": [f"{_BRONZE}.Name"],
        "phone_token": [f"{_BRONZE}.Phone", f"{_BRONZE}.BillingCountry"],
        "country": [f"{_BRONZE}.BillingCountry"],
        "industry": [f"{_BRONZE}.Industry"],
        "is_deleted": [f"{_BRONZE}.IsDeleted"],
        "created_at": [f"{_BRONZE}.CreatedDate"],
    },
}


def standardise(accounts: DataFrame) -> DataFrame:
    """The accounts named and typed as silver has them, personal values still in the clear.

    Args:
        accounts: the columns of contracts/schemas/salesforce_accounts_bronze and _run_id.
    Returns:
        One row a row: account_id, updated_at, updated_on (its UTC day), customer_id (null where the account number is
        no whole number), company, phone and country as they were entered, industry, is_deleted, created_at, _run_id.
    """
    number = sf.trim("AccountNumber")
    return accounts.select(
        sf.col("Id").alias("account_id"),
        sf.col("SystemModstamp").alias("updated_at"),
        sf.to_date("SystemModstamp").alias("updated_on"),
        sf.when(number.rlike("^[0-9]{1,18}$"), number.try_cast("bigint")).alias("customer_id"),
        personal.words(sf.col("Name")).alias(personal.COMPANY),
        sf.col("Phone").alias(personal.PHONE),
        sf.col("BillingCountry").alias("country"),
        personal.trimmed(sf.col("Industry")).alias("industry"),
        sf.col("IsDeleted").alias("is_deleted"),
        sf.col("CreatedDate").alias("created_at"),
        "_run_id",
    )


def as_silver(tokenised: DataFrame) -> DataFrame:
    """The accounts in the columns of silver.

    Args:
        tokenised: the columns of `standardise`, PERSONAL as tokens.
    Returns:
        The columns of contracts/schemas/accounts_silver and _run_id.
    """
    named = tokenised.withColumnRenamed("company_token", "name_token")
    return named.select(*KEY, "updated_on", *ORDER, "_run_id")
