"""The same day's rows onto one day of history and onto a hundred: what the day costs, step by step.

Both lakes are made by the very jobs, have the same customers, products and currencies, and differ in how many days they
hold. A day brings new orders and their lines, corrections of some of the day before, opportunities new and changed, and
the ECB's rates.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as sf

from contracts.contract import Contract
from local.once import once
from local.standins import vendor
from ops.bench.lakes import BenchLake, Day, reading
from ops.bench.meter import Cost, Meter
from ops.bench.session import new_session
from ops.package import ROOT
from spark_jobs.job import Job

SOURCES = (
    "fx_rates",
    "snowflake_orders",
    "redshift_products",
    "redshift_part_supply",
    "redshift_order_lines",
    "salesforce_opportunities",
)
LAST_DAY = datetime.date(2026, 7, 30)  # of the history; the day that is measured is the next
ORDERS_A_DAY, CUSTOMERS, CORRECTED_ONE_IN = 5_000, 2_000, 20
LINES_AN_ORDER, PRODUCTS, SUPPLIERS = 2, 2_000, 20
CURRENCIES = ("EUR", "USD", "GBP", "JPY", "BRL")
OPPORTUNITIES_A_DAY = 50
RATES_BEFORE = 10  # days of rates in the first file, so that each order finds one
_DAY = datetime.timedelta(days=1)
_EPOCH = datetime.date(2026, 1, 1)
_ID = "lpad(conv(id, 10, 36), 18, '0')"


def days_of(count: int) -> list[Day]:
    """The last days of the history, so many, and the day to measure.

    Their runs are opened in days to come, a day apart: whatever the log holds is older then, as in a life of days.
    """
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    dates = [LAST_DAY - n * _DAY for n in reversed(range(count))] + [LAST_DAY + _DAY]
    return [Day(date=day, opened_at=now + (2 + n) * _DAY) for n, day in enumerate(dates)]


def deliver(lake: BenchLake, day: Day, *, first: bool) -> Day:
    """The day with the vendor's file for it in the lake, where the vendor has one."""
    lines = vendor.history()
    after = day.date - (RATES_BEFORE if first else 1) * _DAY
    rows = [line for line in lines[1:] if str(after) < line[:10] <= str(day.date)]
    if not rows:
        return day
    content = "\n".join([lines[0], *rows]) + "\n"
    key = f"{vendor.PREFIX}eurofxref-{day.date}.csv"
    lake.store.put(key, content.encode())
    file = {"key": key, "etag": None, "size": len(content), "modified_at": f"{day.date}T16:00:00Z"}
    return Day(date=day.date, opened_at=day.opened_at, files=[file])


def orders(job: Job, _: Contract) -> DataFrame:
    """The orders that were placed or corrected on the day: every twentieth is corrected a day later."""
    return _placed_or_corrected(job).select(
        sf.col("id").alias("order_id"),
        (sf.col("id") * 7919 % CUSTOMERS + 1).alias("customer_id"),
        sf.when(sf.col("corrected"), "F").otherwise("O").alias("order_status"),
        (sf.col("id") % 9973 + sf.col("corrected").cast("int") + sf.lit(0.25))
        .cast("decimal(15,2)")
        .alias("total_price"),
        sf.col("of").alias("order_date"),
        sf.lit("3-MEDIUM").alias("order_priority"),
        sf.concat(sf.lit("Clerk#"), (sf.col("id") % 1000).cast("string")).alias("clerk"),
        sf.lit(0).alias("ship_priority"),
        sf.sha2(sf.col("id").cast("string"), 256).alias("comment"),
        _currency("id").alias("currency"),
        "updated_at",
        *_as_received(),
    )


def sales(job: Job, contract: Contract) -> DataFrame | None:
    """The lines of the day's orders; products and who supplies them come once."""
    if contract.source_name == "redshift_order_lines":
        return _lines(_placed_or_corrected(job))
    if job.lake.version(contract.table) is not None:
        return None
    products = job.lake.spark.range(1, PRODUCTS + 1, 1, 2).withColumns(
        {"product_id": sf.col("id"), "updated_at": sf.lit("2019-12-31 00:00:00").cast("timestamp")}
    )
    price = (sf.col("id") % 97 + sf.lit(1.5)).cast("decimal(15,2)")
    if contract.source_name == "redshift_part_supply":
        supplied = products.withColumn("supplier_id", sf.explode(sf.array(_supplier(), _supplier() + 1)))
        available = sf.lit(100).alias("available_quantity")
        return supplied.select(
            "product_id", "supplier_id", available, price.alias("supply_cost"), "updated_at", *_as_received()
        )
    texts = ("name", "manufacturer", "brand", "type", "container")
    described = [sf.concat(sf.lit(f"{name[:4]} "), (sf.col("id") % 9).cast("string")).alias(name) for name in texts]
    size, dear = sf.lit(1).alias("size"), (price * 2).cast("decimal(15,2)").alias("retail_price")
    return products.select("product_id", *described[:4], size, described[4], dear, "updated_at", *_as_received())


def _lines(orders: DataFrame) -> DataFrame:
    numbers = sf.explode(sf.sequence(sf.lit(1), sf.lit(LINES_AN_ORDER)))
    lines = orders.withColumnRenamed("id", "order_id").withColumn("line_number", numbers)
    quantity = (sf.col("id") % 50 + 1).cast("decimal(15,2)")
    product = sf.col("id") * 7919 % PRODUCTS
    return lines.withColumn("id", sf.col("order_id") * LINES_AN_ORDER + sf.col("line_number")).select(
        "order_id",
        "line_number",
        (product + 1).alias("product_id"),
        (product % SUPPLIERS + 1).alias("supplier_id"),
        sf.col("of").alias("order_date"),
        _currency("order_id").alias("currency"),
        quantity.alias("quantity"),
        (quantity * 3).cast("decimal(15,2)").alias("extended_price"),
        sf.lit(0.05).cast("decimal(15,2)").alias("discount"),
        sf.lit(0.02).cast("decimal(15,2)").alias("tax"),
        sf.when(sf.col("corrected"), "R").otherwise("N").alias("return_flag"),
        sf.when(sf.col("corrected"), "F").otherwise("O").alias("line_status"),
        sf.col("of").alias("ship_date"),
        sf.lit("RAIL").alias("ship_mode"),
        "updated_at",
        *_as_received(),
    )


def _placed_or_corrected(job: Job) -> DataFrame:
    """The orders of the day, and every twentieth of the day before."""
    day = job.request.data_date
    number = (day - _EPOCH).days

    def placed(number: int) -> DataFrame:
        ids = job.lake.spark.range(number * ORDERS_A_DAY + 1, (number + 1) * ORDERS_A_DAY + 1, 1, 2)
        return ids.withColumn("of", sf.lit(_EPOCH + number * _DAY))

    noon, evening = (sf.lit(f"{day} {hour}:00:00").cast("timestamp") for hour in (12, 18))
    new = placed(number).withColumns({"corrected": sf.lit(False), "updated_at": noon})
    before = placed(number - 1).where(f"id % {CORRECTED_ONE_IN} = 0")
    return new.unionByName(before.withColumns({"corrected": sf.lit(True), "updated_at": evening}))


def _currency(order: str) -> Column:
    return sf.array(*map(sf.lit, CURRENCIES))[(sf.col(order) % len(CURRENCIES)).cast("int")]


def _supplier() -> Column:
    return (sf.col("id") - 1) % SUPPLIERS + 1


def _as_received() -> tuple[Column, Column]:
    return sf.lit(None).cast("string").alias("_file"), sf.col("updated_at").alias("_received_at")


def opportunities(job: Job, _: Contract) -> DataFrame:
    """The opportunities that were created on the day, and those of the day before, now won."""
    day = job.request.data_date
    last = ((day - _EPOCH).days + 1) * OPPORTUNITIES_A_DAY
    ids = job.lake.spark.range(last - 2 * OPPORTUNITIES_A_DAY, last, 1, 1)
    new = sf.col("id") >= last - OPPORTUNITIES_A_DAY
    created = sf.when(new, sf.lit(day)).otherwise(sf.lit(day - _DAY)).cast("timestamp")
    return ids.select(
        sf.expr(_ID).alias("Id"),
        sf.expr(_ID).alias("AccountId"),
        sf.when(new, "Prospecting").otherwise("Closed Won").alias("StageName"),
        sf.col("id").cast("decimal(15,2)").alias("Amount"),
        sf.lit("EUR").alias("CurrencyIsoCode"),
        sf.lit(day + 30 * _DAY).alias("CloseDate"),
        (~new).alias("IsClosed"),
        (~new).alias("IsWon"),
        sf.lit(False).alias("IsDeleted"),
        created.alias("CreatedDate"),
        sf.lit(f"{day} 12:00:00").cast("timestamp").alias("SystemModstamp"),
        sf.lit(None).cast("string").alias("_file"),
        sf.lit(f"{day} 12:00:00").cast("timestamp").alias("_received_at"),
    )


def main() -> None:
    """`history.py ROUNDS DAYS...`: the costs of the day, for each history, round and step, as JSON."""
    rounds, histories = int(sys.argv[1]), [int(each) for each in sys.argv[2:]]
    costs: dict[str, list[dict[str, Any]]] = {str(count): [] for count in histories}
    with (
        tempfile.TemporaryDirectory() as scratch,
        reading({"snowflake": orders, "redshift": sales, "salesforce": opportunities}),
    ):
        spark = new_session(Path(scratch), driver_memory="3g", spark__ui__retainedStages="10000")
        made = {count: once(_home(count), partial(_make, spark, count)) for count in histories}
        for turn in range(rounds + 1):
            for count in histories:
                found = _measured(spark, made[count], Path(scratch) / "lake", count)
                seconds = sum(cost.seconds for cost in found.values())
                sys.stderr.write(f"onto {count} days of history, round {turn} of {rounds}: {seconds:.2f} s\n")
                if turn:
                    costs[str(count)].append({name: asdict(cost) for name, cost in found.items()})
        sys.stdout.write(json.dumps(costs))
        spark.stop()


def _make(spark: SparkSession, count: int, folder: Path) -> None:
    lake = BenchLake(spark=spark, folder=folder, sources=SOURCES)
    for number, day in enumerate(days_of(count)[:-1]):
        lake.run(deliver(lake, day, first=number == 0))
        sys.stderr.write(f"a history of {count} days: {day.date} made\n")


def _measured(spark: SparkSession, made: Path, folder: Path, count: int) -> dict[str, Cost]:
    """What each step of the day costs on a copy of the lake."""
    shutil.copytree(made, folder)
    meter, found = Meter(spark), {}

    def measure(name: str, work: Callable[[], None]) -> None:
        found[name] = meter.measure(work)

    lake = BenchLake(spark=spark, folder=folder, sources=SOURCES, around=measure)
    before = _commits(folder)
    lake.run(deliver(lake, days_of(count)[-1], first=False))
    for commit in _commits(folder) - before:
        table = str(commit.parent.parent.relative_to(folder))
        actions = [json.loads(line) for line in commit.read_text().splitlines()]
        removed = [action["remove"] for action in actions if "remove" in action]
        cost = found.setdefault(table, Cost())
        cost.files += len(removed)
        cost.file_bytes += sum(each.get("size", 0) for each in removed)
    shutil.rmtree(folder)
    return found


def _commits(folder: Path) -> set[Path]:
    return set(folder.glob("*/*/_delta_log/*.json"))


def _home(count: int) -> Path:
    """Where a history is kept: made anew when what makes it has changed."""
    digest = hashlib.sha256()
    for room in ("spark_jobs", "contracts", "ops/bench"):
        for file in sorted((ROOT / room).rglob("*")):
            if file.suffix in {".py", ".json"}:
                digest.update(file.read_bytes())
    return ROOT / "build" / "bench" / f"history-{count}-{digest.hexdigest()[:12]}"


if __name__ == "__main__":
    main()
