"""The same medallion tables by one hand-written script: no contracts, checks, lineage, receipts, no second run.

It is written to win. Each table is written once, straight to where it stands; what is small is joined by broadcast;
what is read again is read from where it was written, or kept where it is small; no table is laid out for later days.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as sf

from spark_jobs.transforms.currencies import NAMES
from spark_jobs.transforms.customer_segments import FREQUENCY_ORDERS, MONETARY_EUR, RECENCY_DAYS

CENTS, TOTAL, SHARE = "decimal(15,2)", "decimal(18,2)", "decimal(7,6)"


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where the sources' rows are.

    Attributes:
        tables: a Parquet file for each of Snowflake's and Redshift's sources, by name.
        rates: the ECB's file.
        received_at: when that file was put there, ISO UTC.
    """

    tables: Mapping[str, Path]
    rates: Path
    received_at: str


@dataclass(frozen=True, kw_only=True)
class Lake:
    """A folder of Delta tables."""

    spark: SparkSession
    folder: Path

    def write(self, rows: DataFrame, table: str) -> DataFrame:
        """Write a table; its rows as they are to be read again."""
        path = str(self.folder / table)
        rows.write.format("delta").save(path)
        return self.spark.read.format("delta").load(path)


def build(spark: SparkSession, sources: Sources, folder: Path) -> None:
    """Every table of bronze, silver and gold, from nothing."""
    lake = Lake(spark=spark, folder=folder)
    quoted = rates(lake, sources)
    placed = orders(lake, sources)
    sold = daily_revenue(lake, placed, quoted)
    facts = order_facts(lake, placed, sold)
    dimensions(lake, sold, quoted)
    customers = segments(lake, facts)
    margins = None
    if "redshift_order_lines" in sources.tables:
        products(lake, sources)
        lines = line_facts(lake, order_lines(lake, sources), placed, sold, part_supply(lake, sources))
        performance(lake, lines)
        margins = lines.groupBy("order_date").agg(
            sf.when(sf.count("*") == sf.count("margin_eur"), sf.sum("margin_eur")).cast(TOTAL).alias("margin_eur")
        )
    kpis(lake, facts, customers, margins)
    for kept in (quoted, sold, customers):
        kept.unpersist()


def newest(rows: DataFrame, *key: str) -> DataFrame:
    """The row of each key that was updated last."""
    latest = Window.partitionBy(*key).orderBy(sf.desc("updated_at"))
    return rows.withColumn("_rank", sf.row_number().over(latest)).where("_rank = 1").drop("_rank")


def received(lake: Lake, sources: Sources, source: str) -> DataFrame:
    """A source's rows, as bronze has them."""
    rows = lake.spark.read.parquet(str(sources.tables[source]))
    return lake.write(rows.withColumn("_ingested_at", sf.current_timestamp()), f"bronze/{source}")


def rates(lake: Lake, sources: Sources) -> DataFrame:
    """One row a day and currency; kept, as they are few."""
    file = lake.spark.read.option("header", True).csv(str(sources.rates))
    columns = [name for name in file.columns if name and not name.startswith("_c")]
    bronze = lake.write(file.select(*columns).withColumn("_ingested_at", sf.current_timestamp()), "bronze/fx_rates")
    currencies = [name for name in columns if name != "Date"]
    quoted = (
        bronze.unpivot(["Date"], list(currencies), "currency", "text")
        .where("text <> 'N/A'")
        .select(
            sf.col("Date").cast("date").alias("rate_date"),
            "currency",
            sf.col("text").cast("decimal(18,8)").alias("rate"),
            sf.lit(sources.received_at).cast("timestamp").alias("received_at"),
        )
        .dropDuplicates(["rate_date", "currency"])
    )
    return lake.write(quoted, "silver/fx_rates").persist()


def orders(lake: Lake, sources: Sources) -> DataFrame:
    """One row an order."""
    bronze = received(lake, sources, "snowflake_orders")
    typed = bronze.select(
        "order_id",
        "customer_id",
        "order_status",
        "order_date",
        "currency",
        sf.col("total_price").alias("amount"),
        sf.trim("order_priority").alias("order_priority"),
        "updated_at",
    )
    return lake.write(newest(typed, "order_id"), "silver/orders")


def products(lake: Lake, sources: Sources) -> None:
    """One row a product, and the dimension."""
    bronze = received(lake, sources, "redshift_products")
    texts = (sf.trim(name).alias(name) for name in ("name", "manufacturer", "brand", "type", "container"))
    typed = bronze.select("product_id", *texts, "size", sf.col("retail_price").alias("retail_price_eur"), "updated_at")
    silver = lake.write(newest(typed, "product_id"), "silver/products")
    lake.write(silver.drop("updated_at"), "gold/dim_product")


def part_supply(lake: Lake, sources: Sources) -> DataFrame:
    """One row a product, supplier and day of a price."""
    typed = received(lake, sources, "redshift_part_supply").select(
        "product_id",
        "supplier_id",
        sf.to_date("updated_at").alias("valid_from"),
        "available_quantity",
        sf.col("supply_cost").alias("supply_cost_eur"),
        "updated_at",
    )
    return lake.write(newest(typed, "product_id", "supplier_id", "valid_from"), "silver/part_supply")


def order_lines(lake: Lake, sources: Sources) -> DataFrame:
    """One row a line."""
    typed = received(lake, sources, "redshift_order_lines").select(
        "order_id",
        "line_number",
        "product_id",
        "supplier_id",
        "order_date",
        "currency",
        "quantity",
        sf.col("extended_price").alias("gross_amount"),
        sf.col("discount").cast("decimal(5,4)").alias("discount"),
        sf.col("tax").cast("decimal(5,4)").alias("tax"),
        "return_flag",
        "line_status",
        "ship_date",
        sf.trim("ship_mode").alias("ship_mode"),
        "updated_at",
    )
    return lake.write(newest(typed, "order_id", "line_number"), "silver/order_lines")


def daily_revenue(lake: Lake, placed: DataFrame, quoted: DataFrame) -> DataFrame:
    """Revenue a day and currency, at the rate that stood; kept, as it is small and gives all facts their rates."""
    sold = placed.groupBy(sf.col("order_date").alias("revenue_date"), "currency").agg(
        sf.count("*").alias("orders"), sf.sum("amount").cast(TOTAL).alias("revenue")
    )
    until = sf.date_sub(sf.lead("rate_date").over(Window.partitionBy("currency").orderBy("rate_date")), 1)
    ends = sf.coalesce(until, sf.lit("2027-12-31").cast("date"))
    standing = quoted.withColumn("_until", ends).where("_until >= DATE'2019-12-01'")
    standing = standing.select(
        "currency", "rate", "rate_date", sf.explode(sf.sequence("rate_date", "_until")).alias("d")
    )
    standing = standing.withColumnRenamed("d", "revenue_date")
    euro = sf.col("currency") == "EUR"
    found = (
        sold.join(sf.broadcast(standing), ["revenue_date", "currency"], "left")
        .withColumn("rate", sf.when(euro, sf.lit(1)).otherwise(sf.col("rate")).cast("decimal(18,8)"))
        .withColumn("rate_date", sf.when(euro, sf.col("revenue_date")).otherwise(sf.col("rate_date")))
        .withColumn("revenue_eur", sf.round(sf.col("revenue") / sf.col("rate"), 2).cast(TOTAL))
    )
    return lake.write(found, "gold/fct_daily_revenue").persist()


def _rates_of_days(sold: DataFrame) -> DataFrame:
    names = (sf.col("revenue_date").alias("order_date"), "currency", "rate", "rate_date")
    return sf.broadcast(sold.select(*names))


def order_facts(lake: Lake, placed: DataFrame, sold: DataFrame) -> DataFrame:
    """The orders in euro."""
    facts = placed.join(_rates_of_days(sold), ["order_date", "currency"], "left").select(
        *("order_id", "customer_id", "order_date", "order_status", "order_priority", "currency", "amount"),
        *("rate", "rate_date"),
        sf.round(sf.col("amount") / sf.col("rate"), 2).cast(CENTS).alias("amount_eur"),
    )
    return lake.write(facts, "gold/fct_orders")


def dimensions(lake: Lake, sold: DataFrame, quoted: DataFrame) -> None:
    """Days and currencies."""
    day = sf.col("day")
    every_day = sf.sequence(
        sf.make_date(sf.year("first"), sf.lit(1), sf.lit(1)), sf.make_date(sf.year("last"), sf.lit(12), sf.lit(31))
    )
    days = sold.agg(sf.min("revenue_date").alias("first"), sf.max("revenue_date").alias("last"))
    days = days.select(sf.explode(every_day).alias("day")).select(
        "day",
        sf.year(day).alias("year"),
        sf.quarter(day).alias("quarter"),
        sf.month(day).alias("month"),
        sf.weekofyear(day).alias("iso_week"),
        (sf.weekday(day) + 1).alias("iso_weekday"),
        (sf.weekday(day) >= 5).alias("is_weekend"),
        (sf.last_day(day) == day).alias("is_month_end"),
    )
    lake.write(days.coalesce(1), "gold/dim_date")
    names = sf.create_map(*(sf.lit(part) for item in NAMES.items() for part in item))
    seen = quoted.groupBy("currency").agg(
        sf.min("rate_date").alias("first_rate_date"), sf.max("rate_date").alias("last_rate_date")
    )
    currencies = sold.select("currency").distinct().join(seen, "currency", "full")
    currencies = currencies.select("currency", names[sf.col("currency")].alias("name"), *seen.columns[1:])
    lake.write(currencies.coalesce(1), "gold/dim_currency")


def segments(lake: Lake, facts: DataFrame) -> DataFrame:
    """Customers by recency, frequency and monetary value; kept for the days on which they were new."""
    totals = facts.groupBy("customer_id").agg(
        sf.min("order_date").alias("first_order_date"),
        sf.max("order_date").alias("last_order_date"),
        sf.count("*").alias("orders"),
        sf.coalesce(sf.sum("amount_eur"), sf.lit(0)).cast(TOTAL).alias("revenue_eur"),
    )
    totals = totals.persist()
    [[newest_day]] = totals.agg(sf.max("last_order_date")).collect()
    age = sf.date_diff(sf.lit(newest_day), "last_order_date")
    recency = sum((sf.when(age <= days, 1).otherwise(0) for days in RECENCY_DAYS), sf.lit(1))
    frequency = sum((sf.when(sf.col("orders") >= n, 1).otherwise(0) for n in FREQUENCY_ORDERS), sf.lit(1))
    monetary = sum((sf.when(sf.col("revenue_eur") >= n, 1).otherwise(0) for n in MONETARY_EUR), sf.lit(1))
    scored = totals.withColumns({"recency": recency, "frequency": frequency, "monetary": monetary})
    segment = sf.expr(
        """CASE WHEN recency >= 4 AND frequency >= 4 AND monetary >= 4 THEN 'champions'
                WHEN recency >= 4 AND orders <= 2 THEN 'new' WHEN recency >= 3 AND frequency >= 4 THEN 'loyal'
                WHEN recency <= 2 AND frequency >= 3 THEN 'at_risk' WHEN recency = 1 THEN 'lost' ELSE 'regular' END"""
    )
    lake.write(scored.withColumn("segment", segment), "gold/customer_segments")
    return totals


def line_facts(lake: Lake, lines: DataFrame, placed: DataFrame, sold: DataFrame, supply: DataFrame) -> DataFrame:
    """The lines with their cost and margin in euro."""
    by_day = Window.partitionBy("product_id", "supplier_id").orderBy("valid_from")
    prices = supply.select(
        "product_id",
        "supplier_id",
        "valid_from",
        "supply_cost_eur",
        sf.lead("valid_from").over(by_day).alias("_until"),
    )
    stands = sf.expr(
        "l.product_id = p.product_id AND l.supplier_id = p.supplier_id AND l.order_date >= p.valid_from "
        "AND (p._until IS NULL OR l.order_date < p._until)"
    )
    net, rate = sf.col("_net"), sf.col("rate")
    joined = (
        lines.join(_rates_of_days(sold), ["order_date", "currency"], "left")
        .alias("l")
        .join(prices.alias("p"), stands, "left")
        .select("l.*", "p.supply_cost_eur")
        .join(placed.select("order_id", "customer_id"), "order_id", "left")
        .withColumn("_net", (sf.col("gross_amount") * (1 - sf.col("discount"))).cast("decimal(19,6)"))
        .withColumn("net_amount_eur", sf.round(net / rate, 2).cast(CENTS))
        .withColumn("cost_eur", sf.round(sf.col("supply_cost_eur") * sf.col("quantity"), 2).cast(CENTS))
    )
    facts = joined.select(
        *("order_id", "line_number", "order_date", "customer_id", "product_id", "supplier_id", "currency"),
        *("quantity", "discount", "tax", "gross_amount"),
        sf.round(net, 2).cast(CENTS).alias("net_amount"),
        "rate",
        sf.round(sf.col("gross_amount") / rate, 2).cast(CENTS).alias("gross_amount_eur"),
        *("net_amount_eur", "supply_cost_eur", "cost_eur"),
        (sf.col("net_amount_eur") - sf.col("cost_eur")).cast(CENTS).alias("margin_eur"),
        *("line_status", "ship_date"),
        (sf.col("return_flag") == "R").alias("is_returned"),
    )
    return lake.write(facts, "gold/fct_order_lines")


def performance(lake: Lake, lines: DataFrame) -> None:
    """What each product sold in each quarter, its rank and its growth."""
    quarter = sf.trunc("order_date", "quarter").alias("quarter_start")
    sums = lines.groupBy("product_id", quarter).agg(
        sf.count("*").alias("lines"),
        (sf.count("*") - sf.count("margin_eur")).alias("lines_without_cost"),
        sf.sum("quantity").cast(TOTAL).alias("units"),
        sf.coalesce(sf.sum("net_amount_eur"), sf.lit(0)).cast(TOTAL).alias("revenue_eur"),
        sf.coalesce(sf.sum("margin_eur"), sf.lit(0)).cast(TOTAL).alias("margin_eur"),
        sf.coalesce(sf.sum(sf.when(sf.col("is_returned"), sf.col("quantity"))), sf.lit(0))
        .cast(TOTAL)
        .alias("returned_units"),
    )
    of_product = Window.partitionBy("product_id").orderBy("quarter_start")
    earlier = sf.lag(sf.struct("quarter_start", "revenue_eur")).over(of_product)
    before = sf.when(earlier["quarter_start"] == sf.add_months("quarter_start", -3), earlier["revenue_eur"])
    units, growth = sf.col("units"), sf.col("revenue_eur") - before
    ranked = sums.select(
        "*",
        sf.round(sf.col("returned_units") / sf.when(units != 0, units), 6).cast(SHARE).alias("return_share"),
        sf.rank().over(Window.partitionBy("quarter_start").orderBy(sf.desc("revenue_eur"))).alias("revenue_rank"),
        sf.round(growth / sf.when(before != 0, before), 6).cast("decimal(24,6)").alias("growth"),
    )
    lake.write(ranked, "gold/product_performance")


def kpis(lake: Lake, facts: DataFrame, customers: DataFrame, margins: DataFrame | None) -> None:
    """The figures of each day."""
    bought = facts.groupBy("order_date", "customer_id").agg(
        sf.count("*").alias("orders"), sf.sum("amount_eur").alias("revenue_eur")
    )
    first = customers.select("customer_id", "first_order_date")
    days = (
        bought.join(first, "customer_id", "left")
        .groupBy("order_date")
        .agg(
            sf.sum("orders").alias("orders"),
            sf.count("*").alias("customers"),
            sf.count_if(sf.col("first_order_date") == sf.col("order_date")).alias("new_customers"),
            sf.sum("revenue_eur").cast(TOTAL).alias("revenue_eur"),
        )
    )
    if margins is None:
        days = days.withColumn("margin_eur", sf.lit(None).cast(TOTAL))
    else:
        days = days.join(margins, "order_date", "left")
    counted = sf.col("customers").cast("decimal(12,0)")
    returning = (sf.col("customers") - sf.col("new_customers")).cast("decimal(12,0)")
    lake.write(
        days.select(
            sf.col("order_date").alias("kpi_date"),
            *("orders", "customers", "new_customers"),
            sf.round(returning / counted, 6).cast(SHARE).alias("repeat_rate"),
            "revenue_eur",
            sf.round(sf.col("revenue_eur") / sf.col("orders"), 2).cast(TOTAL).alias("average_order_value_eur"),
            "margin_eur",
        ),
        "gold/kpi_daily",
    )
