"""Silver's states of accounts and contacts to gold: who a customer was, and when (SCD type 2).

Everything follows from the states, whenever they were read: an interval begins with one state and ends with the next,
so any order of days gives the same rows.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as sf

KEY = ("customer_id", "valid_from")
_ACCOUNTS, _CONTACTS = "silver/accounts", "silver/contacts"
_MOMENTS = [f"{_ACCOUNTS}.updated_at", f"{_CONTACTS}.updated_at"]
LINEAGE = {
    "output": "gold/dim_customer",
    "inputs": [_ACCOUNTS, _CONTACTS, "silver/orders"],
    "columns": {
        "customer_id": ["silver/orders.customer_id", f"{_ACCOUNTS}.customer_id"],
        "valid_from": ["silver/orders.order_date", *_MOMENTS],
        "valid_to": _MOMENTS,
        "is_current": _MOMENTS,
        "account_id": [f"{_ACCOUNTS}.account_id"],
        "contact_id": [f"{_CONTACTS}.contact_id"],
        "name_token": [f"{_ACCOUNTS}.name_token"],
        "email_token": [f"{_CONTACTS}.email_token"],
        "phone_token": [f"{_ACCOUNTS}.phone_token", f"{_CONTACTS}.phone_token"],
        "country": [f"{_ACCOUNTS}.country", f"{_CONTACTS}.country"],
        "industry": [f"{_ACCOUNTS}.industry"],
        "lifecycle_stage": [f"{_CONTACTS}.lifecycle_stage"],
        "is_deleted": [f"{_ACCOUNTS}.is_deleted"],
    },
}
_ATTRIBUTES = (
    "account_id",
    "contact_id",
    "name_token",
    "email_token",
    "phone_token",
    "country",
    "industry",
    "lifecycle_stage",
    "is_deleted",
)
_BY_PHONE, _BY_COMPANY = 0, 1


def dim_customer(customers: DataFrame, accounts: DataFrame, contacts: DataFrame) -> DataFrame:
    """One row for each time during which what is known of a customer stayed the same.

    A customer is whoever has an order, or an account with its number. At any moment its account is the one that stands
    (is not deleted) with its number, and its contact the one that stands with the account's phone, or else with a
    company named as the account; of several it is the account with the smallest id, and the contact with the smallest
    id as a number. A contact matched by phone comes before one matched by name. What nobody knew yet is not filled in
    backwards: an account counts from its first state on.

    Args:
        customers: customer_id, first_order_date, of all who have an order.
        accounts: all states, in the columns of contracts/schemas/accounts_silver.
        contacts: all states, in the columns of contracts/schemas/contacts_silver.
    Returns:
        customer_id; valid_from, the first row's being midnight UTC of the first order's day, or the first state of an
        account if that is earlier; valid_to (null: until now), is_current; account_id, contact_id, name_token (the
        account's), email_token (the contact's), phone_token and country (the account's, else the contact's), industry,
        lifecycle_stage, each null where it is not known; is_deleted: no account stands, and one that had the customer's
        number is deleted. From that moment the account's and the contact's columns are null.
    """
    owned = _lasting(accounts, "account_id").where(sf.col("customer_id").isNotNull())
    matches = _matches(owned.where(~sf.col("is_deleted")), _lasting(contacts, "contact_id").where("NOT is_deleted"))
    moments = _moments(customers, owned, matches)
    return _collapsed(_with_contact(_with_account(moments, owned), matches))


def _lasting(states: DataFrame, key: str) -> DataFrame:
    """The states with `_from` and `_to`, between which each lasted; `_to` is null for the last one."""
    following = sf.lead("updated_at").over(Window.partitionBy(key).orderBy("updated_at"))
    return states.withColumns({"_from": sf.col("updated_at"), "_to": following})


def _matches(accounts: DataFrame, contacts: DataFrame) -> DataFrame:
    """Which contact matches which account from when to when, and by what."""
    account, contact = accounts.alias("a"), contacts.alias("c")
    both = (sf.col("a._to").isNull() | (sf.col("c._from") < sf.col("a._to"))) & (
        sf.col("c._to").isNull() | (sf.col("a._from") < sf.col("c._to"))
    )
    by_phone = account.join(contact, both & (sf.col("a.phone_token") == sf.col("c.phone_token")), how="inner")
    by_company = account.join(contact, both & (sf.col("a.name_token") == sf.col("c.company_token")), how="inner")
    return by_phone.select(*_match(_BY_PHONE)).unionByName(by_company.select(*_match(_BY_COMPANY)))


def _match(by: int) -> list[Column]:
    contact_id = sf.col("c.contact_id")
    return [
        sf.col("a.customer_id").alias("customer_id"),
        sf.col("a.account_id").alias("account_id"),
        sf.greatest("a._from", "c._from").alias("_from"),
        sf.least("a._to", "c._to").alias("_to"),  # passes over a null
        sf.struct(
            sf.lit(by).alias("by"),
            sf.length(contact_id).alias("digits"),
            contact_id.alias("contact_id"),
            *(sf.col(f"c.{name}").alias(name) for name in ("email_token", "phone_token", "country", "lifecycle_stage")),
        ).alias("_contact"),
    ]


def _moments(customers: DataFrame, owned: DataFrame, matches: DataFrame) -> DataFrame:
    """The moments at which what is known of a customer may change, each once."""
    ordered = customers.select("customer_id", sf.col("first_order_date").cast("timestamp").alias("_at"))
    edges = sf.explode(sf.array("_from", "_to")).alias("_at")
    states, met = (frame.select("customer_id", edges) for frame in (owned, matches))
    return ordered.unionByName(states).unionByName(met).where(sf.col("_at").isNotNull()).distinct()


def _at(side: str) -> Column:
    started, ended = sf.col(f"{side}._from") <= sf.col("m._at"), sf.col(f"{side}._to") <= sf.col("m._at")
    return started & ~sf.coalesce(ended, sf.lit(False))


def _with_account(moments: DataFrame, owned: DataFrame) -> DataFrame:
    """Each moment with the account that stands, and whether a deleted one is there."""
    facts = ("account_id", "name_token", "phone_token", "country", "industry")
    states = owned.select("customer_id", "_from", "_to", "is_deleted", sf.struct(*facts).alias("_account"))
    same = sf.col("m.customer_id") == sf.col("o.customer_id")
    return (
        moments.alias("m")
        .join(states.alias("o"), same & _at("o"), how="left")
        .groupBy("m.customer_id", "m._at")
        .agg(
            sf.min(sf.when(~sf.col("o.is_deleted"), sf.col("o._account"))).alias("_account"),
            sf.coalesce(sf.bool_or("o.is_deleted"), sf.lit(False)).alias("_deleted"),
        )
    )


def _with_contact(moments: DataFrame, matches: DataFrame) -> DataFrame:
    """Each moment with the account and the contact that stand."""
    same = (sf.col("m.customer_id") == sf.col("c.customer_id")) & (
        sf.col("m._account.account_id") == sf.col("c.account_id")
    )
    return (
        moments.alias("m")
        .join(matches.alias("c"), same & _at("c"), how="left")
        .groupBy("m.customer_id", "m._at", "m._account", "m._deleted")
        .agg(sf.min("c._contact").alias("_contact"))
    )


def _collapsed(moments: DataFrame) -> DataFrame:
    """One row for each stretch of moments that are alike."""
    account, contact = sf.col("_account"), sf.col("_contact")
    known = {
        **{name: account.getField(name) for name in ("account_id", "name_token", "industry")},
        **{name: contact.getField(name) for name in ("contact_id", "email_token", "lifecycle_stage")},
        **{name: sf.coalesce(account.getField(name), contact.getField(name)) for name in ("phone_token", "country")},
        "is_deleted": account.isNull() & sf.col("_deleted"),
    }
    in_time = Window.partitionBy("customer_id").orderBy("_at")
    rows = moments.select(
        "customer_id", "_at", sf.struct(*(known[name].alias(name) for name in _ATTRIBUTES)).alias("_is")
    )
    before = sf.lag("_is").over(in_time)
    changed = rows.withColumn("_before", before).where(
        sf.col("_before").isNull() | ~sf.col("_before").eqNullSafe(sf.col("_is"))
    )
    return changed.withColumn("valid_to", sf.lead("_at").over(in_time)).select(
        "customer_id",
        sf.col("_at").alias("valid_from"),
        "valid_to",
        sf.col("valid_to").isNull().alias("is_current"),
        *(sf.col("_is").getField(name).alias(name) for name in _ATTRIBUTES),
    )
