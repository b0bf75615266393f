"""What the sample company sells by the line: its products, its suppliers' prices, and the lines of its orders."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
from pyspark.sql import functions as sf
from spark_day import World

from contracts import contract as contracts
from spark_jobs import ingest
from spark_jobs.bronze_to_silver import SILVER_TABLES
from spark_jobs.gold_tables import GOLD_TABLES
from spark_jobs.row_rules import received_schema

SOURCES = ("redshift_products", "redshift_part_supply", "redshift_order_lines")
ORACLE = Path(__file__).with_name("gold_lines_oracle.sql")
PRODUCTS, SUPPLIERS = range(1, 13), (1, 2)
_TYPES = {"int": pa.int32(), "bigint": pa.int64(), "date": pa.date32(), "string": pa.string()}


class Shop(World):
    """The world, and in memory what Redshift holds of its order lines."""

    sources = (*World.sources, *SOURCES)

    def __init__(self, spark, folder, patch):
        super().__init__(spark, folder, patch)
        self.redshift = {source: [] for source in SOURCES}
        self.begun = set()
        patch.setitem(ingest.READERS, "redshift", self._read_redshift)

    def _read_redshift(self, job, contract):
        # a source has a cursor of its own: what is read for the first time is read from the beginning
        start = job.request.interval_start if contract.source_name in self.begun else None
        end = job.request.interval_end
        self.begun.add(contract.source_name)
        rows = [
            row for row in self.redshift[contract.source_name] if row[-1] < end and (start is None or row[-1] >= start)
        ]
        frame = self.spark.createDataFrame(rows, received_schema(contract))
        return frame.withColumns({"_file": sf.lit(None).cast("string"), "_received_at": sf.col("updated_at")})


# what the shop's sources make of silver and gold, in the order of publishing
SILVER = tuple(table.name for table in SILVER_TABLES if table.source in Shop.sources)
GOLD = tuple(table.name for table in GOLD_TABLES if table.needs <= set(SILVER))


def at(day, hour=1):
    return datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=hour)


def product(number, changed, name=None, price="9.90"):
    return (number, name or f" product {number} ", "Maker#1", "Brand#1", "SMALL", 3, "BOX", Decimal(price), at(changed))


def price(product_id, supplier, cost, changed, hour=1):
    """A supplier's price that stands from the day of its change."""
    return (product_id, supplier, 100, Decimal(cost), at(changed, hour))


def line(
    order, number, product_id, *, supplier=1, quantity="3", discount="0.05", returned=False, amount=None, changed=None
):
    """A line of an order, as the orders of the sample have them: (order_id, ..., day, ..., currency, updated_at)."""
    day = order[4]
    gross = Decimal(amount) if amount else (Decimal(quantity) * product_id * Decimal("7.31")).quantize(Decimal("0.01"))
    flag = "R" if returned else "N"
    return (
        order[0], number, product_id, supplier, day, order[9], Decimal(quantity), gross, Decimal(discount),
        Decimal("0.08"), flag, "O", day + timedelta(days=3), " AIR", at(changed) if changed else order[-1],
    )  # fmt: skip


def lines_of(orders, seed):
    """One to three lines of each order."""
    chance = random.Random(f"lines {seed}")  # noqa: S311 (a sample, not a secret)
    return [
        line(
            order,
            number,
            chance.choice(PRODUCTS),
            supplier=chance.choice(SUPPLIERS),
            quantity=str(chance.randint(1, 50)),
            discount=f"{chance.randint(0, 10) / 100:.2f}",
            returned=chance.random() < 0.2,
        )
        for order in orders
        for number in range(1, 2 + chance.randrange(3))
    ]


def prices_from(day):
    """The first prices of all suppliers."""
    return [price(each, supplier, f"{each}.{supplier}5", day) for each in PRODUCTS for supplier in SUPPLIERS]


def register(db, source, rows):
    """The rows of a source as a table of DuckDB, under the name of its table there."""
    fields = contracts.of_source(source).fields
    columns = {field.name: pa.array([row[at_] for row in rows], _type(field.type)) for at_, field in enumerate(fields)}
    db.register(source.removeprefix("redshift_"), pa.table(columns))


def _type(name):
    if name.startswith("decimal"):
        precision, scale = name[8:-1].split(",")
        return pa.decimal128(int(precision), int(scale))
    return pa.timestamp("us") if name == "timestamp" else _TYPES[name]
