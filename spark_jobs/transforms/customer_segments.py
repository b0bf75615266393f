"""Gold's orders to segments of customers, by recency, frequency and monetary value (RFM).

What a customer has ordered is counted on: the totals as they stand, less what the touched days held, plus what they
hold now. So a day costs as much as there are customers, however many orders they ever placed.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

KEY = ("customer_id",)
RECENCY_DAYS = (30, 90, 180, 365)  # since the last order, for scores 5, 4, 3 and 2
FREQUENCY_ORDERS = (25, 18, 12, 6)
MONETARY_EUR = (4_000_000, 2_500_000, 1_500_000, 500_000)
LINEAGE = {
    "output": "gold/customer_segments",
    "inputs": ["silver/orders", "silver/fx_rates"],
    "columns": {
        "customer_id": ["silver/orders.customer_id"],
        "first_order_date": ["silver/orders.order_date"],
        "last_order_date": ["silver/orders.order_date"],
        "orders": ["silver/orders.order_id"],
        "revenue_eur": ["silver/orders.amount", "silver/fx_rates.rate"],
        "recency": ["silver/orders.order_date"],
        "frequency": ["silver/orders.order_id"],
        "monetary": ["silver/orders.amount", "silver/fx_rates.rate"],
        "segment": [
            "silver/orders.order_date",
            "silver/orders.order_id",
            "silver/orders.amount",
            "silver/fx_rates.rate",
        ],
    },
}
_DATES = ("first_order_date", "last_order_date")


def totals(orders: DataFrame) -> DataFrame:
    """What each customer has ordered.

    Args:
        orders: customer_id, order_date, amount_eur decimal(15,2), of `order_facts`.
    Returns:
        customer_id, first_order_date, last_order_date, orders bigint, revenue_eur decimal(18,2), an order without a
        known rate counting nothing.
    """
    return orders.groupBy("customer_id").agg(
        sf.min("order_date").alias("first_order_date"),
        sf.max("order_date").alias("last_order_date"),
        sf.count("*").alias("orders"),
        sf.coalesce(sf.sum("amount_eur"), sf.lit(0)).cast("decimal(18,2)").alias("revenue_eur"),
    )


def counted_on(known: DataFrame, before: DataFrame, after: DataFrame) -> DataFrame:
    """The totals of customers once some days hold other orders; those without an order left are left out.

    Args:
        known: the columns of `totals`, over all days.
        before: the orders that the days in question held when `known` was counted, with the columns of `order_facts`.
        after: the orders that they hold now.
    Returns:
        The columns of `totals`, and `_known_first`: the first_order_date that was known, null for a new customer. A
        first or last date is null where the order that set it is gone from those days: only all of the customer's
        orders can tell.
    """
    old, gone, come = known.alias("known"), totals(before).alias("gone"), totals(after).alias("come")
    joined = old.join(gone, "customer_id", how="full").join(come, "customer_id", how="full")

    def count(name: str) -> Column:
        parts = (sf.coalesce(f"{side}.{name}", sf.lit(0)) for side in ("known", "gone", "come"))
        there, less, more = parts
        return there - less + more

    first, last = (_extreme(name, earliest) for name, earliest in zip(_DATES, (True, False), strict=True))
    return joined.select(
        "customer_id",
        first.alias("first_order_date"),
        last.alias("last_order_date"),
        count("orders").cast("bigint").alias("orders"),
        count("revenue_eur").cast("decimal(18,2)").alias("revenue_eur"),
        sf.col("known.first_order_date").alias("_known_first"),
    ).where("orders > 0")


def segments(customers: DataFrame) -> DataFrame:
    """Scores and segment of each customer, as of the day of the newest order of all.

    The scores run from 1 to 5. Recency: last order at most 30, 90, 180 or 365 days ago, else 1; frequency: at least 25,
    18, 12 or 6 orders, else 1; monetary: at least 4, 2.5, 1.5 or 0.5 million euro in all, else 1.

    Args:
        customers: the columns of `totals`, of all customers.
    Returns:
        Those columns, recency, frequency and monetary int, and segment: champions (4 or more in each), new (at most two
        orders, the last within 90 days), loyal (frequency of 4 or more, recency of 3 or more), at_risk (frequency of 3
        or more, recency of at most 2), lost (recency 1), regular.
    """
    as_of = customers.agg(sf.max("last_order_date").alias("_as_of"))
    age = sf.date_diff("_as_of", "last_order_date")
    recency, frequency, monetary = sf.col("recency"), sf.col("frequency"), sf.col("monetary")
    segment = (
        sf.when((recency >= 4) & (frequency >= 4) & (monetary >= 4), "champions")
        .when((recency >= 4) & (sf.col("orders") <= 2), "new")
        .when((recency >= 3) & (frequency >= 4), "loyal")
        .when((recency <= 2) & (frequency >= 3), "at_risk")
        .when(recency == 1, "lost")
        .otherwise("regular")
    )
    return (
        customers.crossJoin(sf.broadcast(as_of))
        .withColumns(
            {
                "recency": _score([age <= days for days in RECENCY_DAYS]),
                "frequency": _score([sf.col("orders") >= orders for orders in FREQUENCY_ORDERS]),
                "monetary": _score([sf.col("revenue_eur") >= euro for euro in MONETARY_EUR]),
            }
        )
        .select(
            "customer_id",
            *_DATES,
            "orders",
            "revenue_eur",
            "recency",
            "frequency",
            "monetary",
            segment.alias("segment"),
        )
    )


def _extreme(name: str, earliest: bool) -> Column:
    """A first or last date: null when the day that set it has lost the customer's order, and none as extreme came."""
    known, gone, come = (sf.col(f"{side}.{name}") for side in ("known", "gone", "come"))
    most = sf.least if earliest else sf.greatest  # both pass over nulls
    as_extreme = (come <= known) if earliest else (come >= known)
    return sf.when(gone.isNull() | (gone != known), most(known, come)).when(as_extreme, come).otherwise(sf.lit(None))


def _score(conditions: Sequence[Column]) -> Column:
    """5 where the first condition holds, down to 1 where none does."""
    score = sf.lit(1)
    for points, condition in zip((2, 3, 4, 5), reversed(conditions), strict=True):
        score = sf.when(condition, points).otherwise(score)
    return score
