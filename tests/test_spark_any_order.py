"""Bronze and silver of every source are the same whatever the order of the days, as a backfill may choose it."""

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from pyspark.sql import functions as sf
from spark_day import World, order
from spark_session import quiet, spark  # noqa: F401
from test_spark_opportunities import opportunity

from contracts import contract as contracts
from spark_jobs import ingest
from spark_jobs.bronze_to_silver import SILVER_TABLES
from spark_jobs.row_rules import received_schema

pytestmark = quiet
FIRST = date(2026, 7, 1)
DAYS = [FIRST + timedelta(days=each) for each in range(1, 6)]
COVERED = {"fx_rates", "snowflake_orders", "salesforce_opportunities"}
ELSEWHERE = {  # sources that have a test of their own for this
    *("salesforce_accounts", "hubspot_contacts"),  # test_spark_customers.py
    *("redshift_products", "redshift_part_supply", "redshift_order_lines"),  # test_spark_gold.py
}


def moment(day, hour=12):
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


class Sources(World):
    """Rows that change on many days: each day's run reads those that were last changed on it, as they were then."""

    def __init__(self, spark, folder, patch, seed):  # noqa: F811
        super().__init__(spark, folder, patch)
        chance = random.Random(seed)  # noqa: S311 (a sample, not a secret)
        self.brought = {
            day: (
                [
                    order(
                        number, FIRST + timedelta(days=number % 5), "USD", f"{chance.randint(1, 999)}.00", updated=day
                    )
                    for number in chance.sample(range(1, 13), 6)
                ],
                [
                    opportunity(f"006Aq00000000{number:02}IAA", "Prospecting", f"{chance.randint(1, 999)}.00", day.day)
                    for number in chance.sample(range(1, 7), 3)
                ],
                # today's rates, and those of an older day put right
                [
                    {"Date": str(quoted), "USD": f"1.{chance.randint(1000, 9999)}", "GBP": f"0.{chance.randint(1, 99)}"}
                    for quoted in sorted({day, chance.choice([FIRST, *DAYS])}, reverse=True)
                ],
            )
            for day in DAYS
        }
        patch.setattr(ingest, "read_object", self._reads(1))
        patch.setattr(ingest, "read_relation", self._reads(0))

    def _reads(self, which):
        def read(_lake, contract, _secret, start, _end):
            rows = self.brought[start.date()][which]
            frame = self.spark.createDataFrame(rows, received_schema(contract))
            return frame.withColumns({"_file": sf.lit(None).cast("string"), "_received_at": sf.lit(start)})

        return read

    def run(self, day):
        """A day until silver is published, with all sources."""
        said = {"sources": sorted(COVERED)}
        file = self.deliver(day, self.brought[day][2], received=moment(day, 16))
        keys = [
            self.job(day, "ingest", source, files=[file] if source == "fx_rates" else (), **said)["key"]
            for source in said["sources"]
        ]
        for step in ("bronze_to_silver", "publish_silver"):
            receipt = self.job(day, step, receipts=keys, **said)
            assert receipt["status"] == "SUCCEEDED", receipt
            keys.append(receipt["key"])
        assert receipt["published"] is True

    def wanted(self):
        """Silver by plain Python: of each key what its latest day brought."""
        orders, deals, rates = {}, {}, {}
        for day in DAYS:
            sold, opened, quoted = self.brought[day]
            orders |= {row[0]: (row[0], row[4], row[3].quantize(Decimal("0.01"))) for row in sold}
            deals |= {row[0]: (row[0], row[3], row[-1].replace(tzinfo=None)) for row in opened}
            rates |= {
                (row["Date"], name): (date.fromisoformat(row["Date"]), name, Decimal(row[name]))
                for row in quoted
                for name in ("USD", "GBP")
            }
        return {
            "silver/orders": sorted(orders.values()),
            "silver/opportunities": sorted(deals.values()),
            "silver/fx_rates": sorted(rates.values()),
        }


SHOWN = {
    "silver/orders": ("order_id", "order_date", "amount"),
    "silver/opportunities": ("opportunity_id", "amount", "updated_at"),
    "silver/fx_rates": ("rate_date", "currency", "rate"),
}


def test_every_source_that_makes_silver_is_among_them():
    assert {table.source for table in SILVER_TABLES} == COVERED | ELSEWHERE


@pytest.mark.parametrize("seed", range(2))
def test_any_order_of_days_gives_the_same_tables(spark, tmp_path, monkeypatch, seed):  # noqa: F811
    world = Sources(spark, tmp_path, monkeypatch, seed)
    days = list(DAYS)
    random.Random(seed).shuffle(days)  # noqa: S311 (an order of days)
    assert days != DAYS
    for day in days:
        world.run(day)
    for table, rows in world.wanted().items():
        assert world.rows(table, *SHOWN[table]) == rows, (table, days)
    for source, brought in (("snowflake_orders", 0), ("salesforce_opportunities", 1), ("fx_rates", 2)):
        bronze = contracts.of_source(source).table
        assert len(world.rows(bronze, "_run_id")) == sum(len(each[brought]) for each in world.brought.values())
