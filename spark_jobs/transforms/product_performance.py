"""Gold's order lines to what each product sold in each calendar quarter, its rank and its growth.

The sums are counted on: those that are known, less what the touched days held, plus what they hold now. So a day costs
as much as there are products, however many lines were ever sold.
"""

from __future__ import annotations

from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as sf

KEY = ("product_id", "quarter_start")
_LINES = "silver/order_lines"
_REVENUE = [f"{_LINES}.gross_amount", f"{_LINES}.discount", "silver/fx_rates.rate"]
LINEAGE = {
    "output": "gold/product_performance",
    "inputs": [_LINES, "silver/fx_rates", "silver/part_supply"],
    "columns": {
        "product_id": [f"{_LINES}.product_id"],
        "quarter_start": [f"{_LINES}.order_date"],
        "lines": [f"{_LINES}.order_id", f"{_LINES}.line_number"],
        "lines_without_cost": ["silver/part_supply.supply_cost_eur"],
        "units": [f"{_LINES}.quantity"],
        "revenue_eur": _REVENUE,
        "margin_eur": [*_REVENUE, "silver/part_supply.supply_cost_eur", f"{_LINES}.quantity"],
        "returned_units": [f"{_LINES}.quantity", f"{_LINES}.return_flag"],
        "return_share": [f"{_LINES}.quantity", f"{_LINES}.return_flag"],
        "revenue_rank": _REVENUE,
        "growth": _REVENUE,
    },
}
_SUMS = {
    "lines": "bigint",
    "lines_without_cost": "bigint",
    "units": "decimal(18,2)",
    "revenue_eur": "decimal(18,2)",
    "margin_eur": "decimal(18,2)",
    "returned_units": "decimal(18,2)",
}


def sums(lines: DataFrame) -> DataFrame:
    """What each product sold in each quarter.

    Args:
        lines: product_id, order_date, quantity, net_amount_eur, margin_eur, is_returned, of `line_facts`.
    Returns:
        product_id, quarter_start date, lines bigint, lines_without_cost bigint, units, revenue_eur, margin_eur and
        returned_units decimal(18,2); a line without a known rate or cost adds nothing to revenue or margin.
    """
    nothing = sf.lit(0)
    measures = {
        "lines": sf.count("*"),
        "lines_without_cost": sf.count("*") - sf.count("margin_eur"),
        "units": sf.sum("quantity"),
        "revenue_eur": sf.coalesce(sf.sum("net_amount_eur"), nothing),
        "margin_eur": sf.coalesce(sf.sum("margin_eur"), nothing),
        "returned_units": sf.coalesce(sf.sum(sf.when(sf.col("is_returned"), sf.col("quantity"))), nothing),
    }
    return lines.groupBy("product_id", sf.trunc("order_date", "quarter").alias("quarter_start")).agg(
        *(value.cast(_SUMS[name]).alias(name) for name, value in measures.items())
    )


def counted_on(known: DataFrame, before: DataFrame, after: DataFrame) -> DataFrame:
    """The sums once some days hold other lines; products without a line left are left out.

    Args:
        known: the columns of `sums`, of whole quarters.
        before: the lines that the days in question held when `known` was counted, with the columns of `line_facts`.
        after: the lines that they hold now.
    """
    gone = sums(before).select(*KEY, *((-sf.col(name)).alias(name) for name in _SUMS))
    parts = [frame.select(*KEY, *_SUMS) for frame in (known, gone, sums(after))]
    counted = reduce(DataFrame.unionByName, parts).groupBy(*KEY)
    return counted.agg(*(sf.sum(name).cast(type_).alias(name) for name, type_ in _SUMS.items())).where("lines > 0")


def performance(quarters: DataFrame) -> DataFrame:
    """Return share, rank and growth beside the sums.

    Args:
        quarters: the columns of `sums`, all products of the quarters in question and of the quarter before the first.
    Returns:
        Those columns; return_share decimal(7,6), null without units; revenue_rank int, 1 for the largest revenue_eur of
        the quarter, equal ones sharing the best of their ranks; growth decimal(24,6), the change of revenue_eur against
        the quarter before as a share of that, null where there was none.
    """
    in_quarter = Window.partitionBy("quarter_start").orderBy(sf.col("revenue_eur").desc())
    of_product = Window.partitionBy("product_id").orderBy("quarter_start")
    quarter_before = sf.add_months("quarter_start", -3)
    earlier = sf.lag(sf.struct("quarter_start", "revenue_eur")).over(of_product)
    before = sf.when(earlier["quarter_start"] == quarter_before, earlier["revenue_eur"])
    return quarters.select(
        *KEY,
        *_SUMS,
        _share(sf.col("returned_units"), sf.col("units")).cast("decimal(7,6)").alias("return_share"),
        sf.rank().over(in_quarter).alias("revenue_rank"),
        _share(sf.col("revenue_eur") - before, before).cast("decimal(24,6)").alias("growth"),
    )


def _share(part: Column, whole: Column) -> Column:
    """To six decimals, rounded half up; null of nothing."""
    return sf.round(part / sf.when(whole != 0, whole), 6)
