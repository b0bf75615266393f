"""Bronze contacts to silver: one row for each state that a contact had, personal values as tokens."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from spark_jobs.transforms import personal

KEY = ("contact_id", "updated_at")
PERSONAL = (personal.EMAIL, personal.NAME, personal.PHONE, personal.COMPANY)
# by what it says, never by the run that read it: any order of runs leaves the same state of a moment
ORDER = (
    "is_deleted",
    "created_at",
    "email_token",
    "name_token",
    "phone_token",
    "company_token",
    "country",
    "lifecycle_stage",
)
_BRONZE = "bronze/hubspot_contacts"
_MOMENTS = [f"{_BRONZE}.lastmodifieddate", f"{_BRONZE}.archivedAt"]
LINEAGE = {
    "output": "silver/contacts",
    "inputs": [_BRONZE],
    "columns": {
        "contact_id": [f"{_BRONZE}.id"],
        "updated_at": _MOMENTS,
        "updated_on": _MOMENTS,
        "email_token": [f"{_BRONZE}.email"],
        "name_token": [f"{_BRONZE}.firstname", f"{_BRONZE}.lastname"],
        "phone_token": [f"{_BRONZE}.phone", f"{_BRONZE}.country"],
        "company_token": [f"{_BRONZE}.company"],
        "country": [f"{_BRONZE}.country"],
        "lifecycle_stage": [f"{_BRONZE}.lifecyclestage"],
        "is_deleted": [f"{_BRONZE}.archived"],
        "created_at": [f"{_BRONZE}.createdate"],
    },
}


def standardise(contacts: DataFrame) -> DataFrame:
    """The contacts named and typed as silver has them, personal values still in the clear.

    Args:
        contacts: the columns of contracts/schemas/hubspot_contacts_bronze and _run_id.
    Returns:
        One row a row: contact_id, updated_at (of an archived contact when it was archived, which HubSpot does not count
        as a modification), updated_on (its UTC day), email, name and company normalised, phone and country as they
        were entered, lifecycle_stage, is_deleted, created_at, _run_id.
    """
    changed = sf.greatest("lastmodifieddate", "archivedAt")  # passes over a null
    return contacts.select(
        sf.col("id").alias("contact_id"),
        changed.alias("updated_at"),
        sf.to_date(changed).alias("updated_on"),
        personal.email(sf.col("email")).alias(personal.EMAIL),
        personal.words(sf.col("firstname"), sf.col("lastname")).alias(personal.NAME),
        sf.col("phone").alias(personal.PHONE),
        personal.words(sf.col("company")).alias(personal.COMPANY),
        "country",
        personal.trimmed(sf.col("lifecyclestage")).alias("lifecycle_stage"),
        sf.col("archived").alias("is_deleted"),
        sf.col("createdate").alias("created_at"),
        "_run_id",
    )


def as_silver(tokenised: DataFrame) -> DataFrame:
    """The contacts in the columns of silver.

    Args:
        tokenised: the columns of `standardise`, PERSONAL as tokens.
    Returns:
        The columns of contracts/schemas/contacts_silver and _run_id.
    """
    return tokenised.select(*KEY, "updated_on", *ORDER, "_run_id")
