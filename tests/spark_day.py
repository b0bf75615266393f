"""A small lake in a folder, and days on it by the very jobs, as the workflow would run them."""

import hashlib
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from pyspark.sql import functions as sf

from contracts import contract as contracts
from spark_jobs import delta_log, entry, ingest
from spark_jobs.gold_tables import GOLD_TABLES
from spark_jobs.request import parse_request
from spark_jobs.row_rules import received_schema
from spark_jobs.storage import FolderStore

NAMES = [field.name for field in contracts.load("fx_rates_bronze").fields]
TABLES = ("silver/fx_rates", "silver/orders", "gold/fct_daily_revenue")
# what the world's two sources make of gold, in the order of publishing
GOLD = tuple(table.name for table in GOLD_TABLES if table.needs <= {"silver/fx_rates", "silver/orders"})
RATES_HISTORY = [{"Date": "2026-07-28", "USD": "1.1", "GBP": "0.8"}, {"Date": "2026-07-27", "USD": "1.0", "GBP": "0.8"}]
DAY_1, DAY_2 = date(2026, 7, 28), date(2026, 7, 29)


def order(number, day, currency, price, hour=9, updated=None):
    """An order of Snowflake's table; `updated` is the day of its last change."""
    moment = datetime.combine(updated or day, datetime.min.time(), UTC) + timedelta(hours=hour)
    return (number, 7, "O", Decimal(price), day, "1-URGENT", "Clerk#1", 0, None, currency, moment)


ORDERS = [
    order(1, date(2026, 7, 27), "USD", "100.00"),
    order(2, DAY_1, "USD", "110.00"),
    order(3, DAY_1, "EUR", "5.00"),
    order(4, DAY_2, "USD", "120.00"),
    order(5, DAY_2, "GBP", "8.00"),
]


class World:
    """A lake in a folder, a source in memory, and what the workflow would do with both."""

    sources = ("fx_rates", "snowflake_orders")

    def __init__(self, spark, folder, monkeypatch):
        self.spark, self.folder, self.store = spark, folder, FolderStore(folder)
        self.orders = list(ORDERS)
        monkeypatch.setattr(ingest, "read_relation", self._read_relation)

    def _read_relation(self, _lake, contract, _secret, start, end):
        rows = [row for row in self.orders if row[-1] < end and (start is None or row[-1] >= start)]
        frame = self.spark.createDataFrame(rows, received_schema(contract))
        return frame.withColumns({"_file": sf.lit(None).cast("string"), "_received_at": sf.col("updated_at")})

    def deliver(self, day, rows, received=None):
        """Put a vendor's file for the day; returns how a request names it."""
        cells = [
            ",".join(({"Date": "", **dict.fromkeys(NAMES[1:], "N/A")} | row)[name] for name in NAMES) for row in rows
        ]
        text = "\n".join([",".join(NAMES) + ",", *(each + "," for each in cells)]) + "\n"
        key = f"landing/fx/eurofxref-{day}.csv"
        self.store.put(key, text.encode())
        modified = received or datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=16)
        return {"key": key, "etag": None, "size": len(text), "modified_at": modified.isoformat()}

    def job(self, day, step, subject="all", **how):
        """Run one step; its receipt."""
        document = self.request(day, step, subject, **how)
        code = entry.perform(parse_request(json.dumps(document).encode()), self.store, self.spark)
        receipt = json.loads(self.store.get(document["receipt_key"]))
        assert code == (0 if receipt["status"] == "SUCCEEDED" else 1)
        return receipt | {"key": document["receipt_key"]}

    def request(
        self, day, step, subject="all", *, run="0000", receipts=(), files=(), attempt=1, round_=0, history=False, **said
    ):
        """A step's request. `said` are parts of it: waivers, rejections, sources."""
        run_id = f"{day + timedelta(days=1):%Y%m%d}T060000Z-{run}"
        start = None if history else f"{day}T00:00:00Z"
        inputs = [run_id, step, receipts, files, round_ if subject == "snowflake_orders" else None]
        received, digest = (
            hashlib.sha256(json.dumps(each).encode()).hexdigest()[:12]
            for each in (inputs, [inputs, *(each["expectation"] for each in said.get("rejections", ()))])
        )
        return {
            "run_id": run_id, "step": step, "subject": subject, "attempt": attempt, "round": round_, "redrive_count": 0,
            "data_date": str(day), "interval": {"start": start, "end": f"{day + timedelta(days=1)}T00:00:00Z"},
            "lake": str(getattr(self, "folder", "")), "receipt_key": f"runs/{run_id}/{step}/{subject}/{attempt}.json",
            "inputs": {"receipts": list(receipts), "files": list(files)}, "secret_arn": "arn:secret",
            "fail_from": {"error": 1}, "input_digest": digest, "received_digest": received, "sources": list(self.sources), **said,
        }  # fmt: skip

    def until_publish(self, day, files=(), **how):
        """The steps of a day before publishing; the keys of the receipts that publishing needs, and the verdicts."""
        ingested = [
            self.job(day, "ingest", source, files=files if source == "fx_rates" else (), **how)
            for source in self.sources
        ]
        keys = [receipt["key"] for receipt in ingested]
        verdicts = [self.job(day, "check_bronze", receipts=keys, **how)["verdict"]]
        keys.append(self.job(day, "bronze_to_silver", receipts=keys, **how)["key"])
        verdicts.append(self.job(day, "check_silver", receipts=keys, **how)["verdict"])
        keys.append(self.job(day, "silver_to_gold", receipts=keys, **how)["key"])
        verdicts.append(self.job(day, "check_gold", receipts=keys, **how)["verdict"])
        return keys, verdicts

    def rows(self, table, *columns):
        """A table's rows as tuples, sorted."""
        frame = self.spark.read.format("delta").load(str(self.folder / table))
        return sorted(tuple(row) for row in frame.select(*columns).collect())

    def gold(self):
        return self.rows(
            "gold/fct_daily_revenue", "revenue_date", "currency", "orders", "rate", "rate_date", "revenue_eur"
        )

    def versions(self):
        return {table: delta_log.latest_version(self.store, table) for table in TABLES}


def gold_row(day, currency, orders, rate, rate_day, euro):
    return (
        date(2026, 7, day),
        currency,
        orders,
        Decimal(rate).quantize(Decimal("1e-8")),
        date(2026, 7, rate_day),
        Decimal(euro),
    )


GOLD_1 = [
    gold_row(27, "USD", 1, "1.0", 27, "100.00"),
    gold_row(28, "EUR", 1, "1", 28, "5.00"),
    gold_row(28, "USD", 1, "1.1", 28, "100.00"),
]
GOLD_2 = [*GOLD_1, gold_row(29, "GBP", 1, "0.8", 28, "10.00"), gold_row(29, "USD", 1, "1.2", 29, "100.00")]
RATES_2 = [{"Date": "2026-07-29", "USD": "1.2"}]


def first_day(spark, folder, patch):
    """A lake with the first day published."""
    return publish_first_day(World(spark, folder, patch))


def publish_first_day(world):
    """The world, its first day published."""
    keys, verdicts = world.until_publish(DAY_1, [world.deliver(DAY_1, RATES_HISTORY)], history=True)
    receipt = world.job(DAY_1, "publish_gold", receipts=keys, history=True)
    assert verdicts == ["PASS", "PASS", "PASS"]
    assert receipt["published"] is True
    return world
