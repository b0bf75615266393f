"""The same day's rows onto one day of history and onto a hundred: what the day costs, step by step.

Both lakes are made by the very jobs, have the same customers, products and currencies, and differ in how many days they
hold: a first load brings them, but for the last ten, which come in runs of their own. A day brings new orders and
their lines, corrections of some of the day before, opportunities new and changed, and the ECB's rates.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as sf

from contracts.contract import Contract
from local.once import once
from local.standins import vendor
from ops.bench.lakes import BenchLake, Day, Reader, reading
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
DAILY_RUNS = 10  # at the end of a history
ORDERS_A_DAY, CUSTOMERS, CORRECTED_ONE_IN = 5_000, 2_000, 20
LINES_AN_ORDER, PRODUCTS, SUPPLIERS = 2, 2_000, 20
CURRENCIES = ("EUR", "USD", "GBP", "JPY", "BRL")
OPPORTUNITIES_A_DAY = 50
RATES_BEFORE = 10  # days of rates in the first file, so that each order finds one
_DAY = datetime.timedelta(days=1)
_EPOCH = datetime.date(2026, 1, 1)
_ID = "lpad(conv(id, 10, 36), 18, '0')"


def days_of(count: int) -> list[Day]:
    """The runs of a history of so many days, and the day to measure.

    They are opened in days to come, a day apart: whatever the log holds is older then, as in a life of days.
    """
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    daily = min(DAILY_RUNS, count - 1)
    dates = [LAST_DAY - n * _DAY for n in reversed(range(daily + 1))] + [LAST_DAY + _DAY]
    return [Day(date=day, opened_at=now + (2 + n) * _DAY, whole=n == 0) for n, day in enumerate(dates)]


def deliver(lake: BenchLake, day: Day, count: int) -> Day:
    """The day with the vendor's file for it in the lake, where the vendor has one.

    Args:
        lake: where the file goes.
        day: the day; a first load's file begins some days before the history.
        count: of the history's days.
    """
    lines = vendor.history()
    after = _first_day(count) - RATES_BEFORE * _DAY if day.whole else day.date - _DAY
    rows = [line for line in lines[1:] if str(after) < line[:10] <= str(day.date)]
    if not rows:
        return day
    content = "\n".join([lines[0], *rows]) + "\n"
    key = f"{vendor.PREFIX}eurofxref-{day.date}.csv"
    lake.store.put(key, content.encode())
    file = {"key": key, "etag": None, "size": len(content), "modified_at": f"{day.date}T16:00:00Z"}
    return replace(day, files=[file])


def readers(count: int) -> dict[str, Reader]:
    """The readers of the sources of a history of so many days, by kind."""
    first = _first_day(count)
    return {
        "snowflake": lambda job, _: orders(_placed_or_corrected(job, first)),
        "redshift": lambda job, contract: sales(job, contract, first),
        "salesforce": lambda job, _: opportunities(job, first),
    }


def orders(placed: DataFrame) -> DataFrame:
    """Orders as Snowflake holds them: every twentieth is corrected a day later."""
    return placed.select(
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


def sales(job: Job, contract: Contract, first: datetime.date) -> DataFrame | None:
    """The lines of the run's orders; products and who supplies them come once."""
    if contract.source_name == "redshift_order_lines":
        return _lines(_placed_or_corrected(job, first))
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


def _placed_or_corrected(job: Job, first: datetime.date) -> DataFrame:
    """The orders that were placed in the run's days, which begin with `first` in a first load, or corrected in them."""
    made = _made_or_changed(job, first, ORDERS_A_DAY)
    ids = made.where(f"new OR id % {CORRECTED_ONE_IN} = 0")
    corrected = (sf.col("id") % CORRECTED_ONE_IN == 0) & ~sf.col("latest")
    noon, evening = (sf.make_dt_interval(hours=sf.lit(hours)) for hours in (12, 24 + 18))
    updated = sf.col("of").cast("timestamp") + sf.when(corrected, evening).otherwise(noon)
    return ids.select("id", "of", corrected.alias("corrected"), updated.alias("updated_at"))


def _made_or_changed(job: Job, first: datetime.date, a_day: int) -> DataFrame:
    """What was made in the run's days or on the day before, so many a day.

    Returns:
        `id`, `of` the day, `new` in the run's days, of the `latest` of them.
    """
    last = job.request.data_date
    start = last if job.request.interval_start else first
    number = sf.expr(f"(id - 1) DIV {a_day}").cast("int")
    ids = job.lake.spark.range(((start - _EPOCH).days - 1) * a_day + 1, ((last - _EPOCH).days + 1) * a_day + 1, 1, 2)
    dated = ids.withColumn("of", sf.date_add(sf.lit(_EPOCH), number))
    return dated.withColumns({"new": sf.col("of") >= sf.lit(start), "latest": sf.col("of") == sf.lit(last)})


def _first_day(count: int) -> datetime.date:
    return LAST_DAY - (count - 1) * _DAY


def _currency(order: str) -> Column:
    return sf.array(*map(sf.lit, CURRENCIES))[(sf.col(order) % len(CURRENCIES)).cast("int")]


def _supplier() -> Column:
    return (sf.col("id") - 1) % SUPPLIERS + 1


def _as_received() -> tuple[Column, Column]:
    return sf.lit(None).cast("string").alias("_file"), sf.col("updated_at").alias("_received_at")


def opportunities(job: Job, first: datetime.date) -> DataFrame:
    """The opportunities that were created in the run's days, and those of the day before them: won a day later."""
    won, created = ~sf.col("latest"), sf.col("of").cast("timestamp")
    changed = created + sf.make_dt_interval(days=won.cast("int"), hours=sf.lit(12))
    return _made_or_changed(job, first, OPPORTUNITIES_A_DAY).select(
        sf.expr(_ID).alias("Id"),
        sf.expr(_ID).alias("AccountId"),
        sf.when(won, "Closed Won").otherwise("Prospecting").alias("StageName"),
        sf.col("id").cast("decimal(15,2)").alias("Amount"),
        sf.lit("EUR").alias("CurrencyIsoCode"),
        sf.date_add("of", 30).alias("CloseDate"),
        won.alias("IsClosed"),
        won.alias("IsWon"),
        sf.lit(False).alias("IsDeleted"),
        created.alias("CreatedDate"),
        changed.alias("SystemModstamp"),
        sf.lit(None).cast("string").alias("_file"),
        changed.alias("_received_at"),
    )


def main() -> None:
    """`history.py ROUNDS DAYS...`: the costs of the day, for each history, round and step, as JSON."""
    rounds, histories = int(sys.argv[1]), [int(each) for each in sys.argv[2:]]
    costs: dict[str, list[dict[str, Any]]] = {str(count): [] for count in histories}
    with tempfile.TemporaryDirectory() as scratch:
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
    with reading(readers(count)):
        for day in days_of(count)[:-1]:
            lake.run(deliver(lake, day, count))
            sys.stderr.write(f"a history of {count} days: {day.date} made\n")


def _measured(spark: SparkSession, made: Path, folder: Path, count: int) -> dict[str, Cost]:
    """What each step of the day costs on a copy of the lake."""
    shutil.copytree(made, folder)
    meter, found = Meter(spark), {}

    def measure(name: str, work: Callable[[], None]) -> None:
        found[name] = meter.measure(work)

    lake = BenchLake(spark=spark, folder=folder, sources=SOURCES, around=measure)
    before = _commits(folder)
    with reading(readers(count)):
        lake.run(deliver(lake, days_of(count)[-1], count))
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
