"""Silver order lines, orders, rates and part supply to gold: the lines, each with its cost and margin in euro."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as sf

KEY = ("order_id", "line_number")
_LINES, _RATE, _COST = "silver/order_lines", "silver/fx_rates.rate", "silver/part_supply.supply_cost_eur"
_NET = [f"{_LINES}.gross_amount", f"{_LINES}.discount"]
_SAME = (
    "order_id", "line_number", "order_date", "product_id", "supplier_id", "currency", "quantity", "discount", "tax",
    "gross_amount", "line_status", "ship_date",
)  # fmt: skip
LINEAGE = {
    "output": "gold/fct_order_lines",
    "inputs": [_LINES, "silver/orders", "silver/fx_rates", "silver/part_supply"],
    "columns": {
        **{name: [f"{_LINES}.{name}"] for name in _SAME},
        "customer_id": ["silver/orders.customer_id"],
        "net_amount": _NET,
        "rate": [_RATE],
        "gross_amount_eur": [f"{_LINES}.gross_amount", _RATE],
        "net_amount_eur": [*_NET, _RATE],
        "supply_cost_eur": [_COST],
        "cost_eur": [_COST, f"{_LINES}.quantity"],
        "margin_eur": [*_NET, _RATE, _COST, f"{_LINES}.quantity"],
        "is_returned": [f"{_LINES}.return_flag"],
    },
}
_PRICED = ("product_id", "supplier_id")


def line_facts(lines: DataFrame, orders: DataFrame, rates: DataFrame, prices: DataFrame) -> DataFrame:
    """One row a line of an order, with the rate and the supply price that stood on the order's day.

    Args:
        lines: the columns of contracts/schemas/order_lines_silver.
        orders: order_id, customer_id, of the days of the lines.
        rates: order_date, currency, rate decimal(18,8), for each day and currency of the lines.
        prices: the columns of contracts/schemas/part_supply_silver, all prices of the lines' products.
    Returns:
        The columns of contracts/schemas/fct_order_lines_gold but `_run_id`. Each amount is computed from the line's
        exact values and rounded once, half up, to cents; those in euro are null where no rate is known, cost and margin
        where no price is known.
    """
    stands_from, stands_until = sf.col("_valid_from"), sf.col("_valid_until")
    day = sf.col("order_date")
    in_force = standing(prices).select(
        *(sf.col(name).alias(f"_{name}") for name in _PRICED),
        sf.col("valid_from").alias("_valid_from"),
        "_valid_until",
        "supply_cost_eur",
    )
    priced = (
        (sf.col("product_id") == sf.col("_product_id"))
        & (sf.col("supplier_id") == sf.col("_supplier_id"))
        & (day >= stands_from)
        & (stands_until.isNull() | (day < stands_until))
    )
    return (
        lines.join(sf.broadcast(rates), ["order_date", "currency"], how="left")
        .join(in_force, priced, how="left")
        .join(orders.select("order_id", "customer_id"), "order_id", how="left")
        .withColumns(_amounts())
        .withColumn("margin_eur", (sf.col("net_amount_eur") - sf.col("cost_eur")).cast("decimal(15,2)"))
        .select(
            "order_id",
            "line_number",
            "order_date",
            "customer_id",
            "product_id",
            "supplier_id",
            "currency",
            "quantity",
            "discount",
            "tax",
            "gross_amount",
            "net_amount",
            "rate",
            "gross_amount_eur",
            "net_amount_eur",
            "supply_cost_eur",
            "cost_eur",
            "margin_eur",
            "line_status",
            "ship_date",
            (sf.col("return_flag") == "R").alias("is_returned"),
        )
    )


def standing(prices: DataFrame) -> DataFrame:
    """The prices with `_valid_until`, the day from which a product's next price of the supplier stands; null: none yet.

    Args:
        prices: product_id, supplier_id, valid_from, unique, and others.
    """
    by_day = Window.partitionBy(*_PRICED).orderBy("valid_from")
    return prices.withColumn("_valid_until", sf.lead("valid_from").over(by_day))


def days_priced(new: DataFrame, known: DataFrame | None, lines: DataFrame) -> DataFrame:
    """The days on which lines cost other than before, once new prices are there.

    Args:
        new: product_id, supplier_id, valid_from of the prices that are new or changed.
        known: the same columns of the prices there were, at least those from the first new one on; None for none.
        lines: product_id, supplier_id, order_date, at least from the first new price's day on.
    Returns:
        order_date, unique.
    """
    names = (*_PRICED, "valid_from")
    prices = new.select(*names, sf.lit(True).alias("_new"))
    if known is not None:
        prices = prices.unionByName(known.select(*names, sf.lit(False).alias("_new")))
    prices = prices.groupBy(*names).agg(sf.max("_new").alias("_new"))
    changed = standing(prices).where("_new").drop("_new")
    day = sf.col("order_date")
    until = sf.col("_valid_until")
    stands = (day >= sf.col("valid_from")) & (until.isNull() | (day < until))
    return lines.join(changed, list(_PRICED), how="inner").where(stands).select("order_date").distinct()


def _amounts() -> dict[str, Column]:
    gross, rate = sf.col("gross_amount"), sf.col("rate")
    # exact, as discount has four decimals; the quotient by a rate keeps 17 decimals, so that it is rounded once
    net = (gross * (sf.lit(1) - sf.col("discount"))).cast("decimal(19,6)")
    return {
        "net_amount": _cents(net),
        "gross_amount_eur": _cents(gross / rate),
        "net_amount_eur": _cents(net / rate),
        "cost_eur": _cents(sf.col("supply_cost_eur") * sf.col("quantity")),
    }


def _cents(amount: Column) -> Column:
    return sf.round(amount, 2).cast("decimal(15,2)")
