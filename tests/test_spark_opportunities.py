"""Opportunities on their way from Salesforce to silver."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from pyspark.sql import functions as sf
from spark_day import DAY_1, DAY_2, World
from spark_session import quiet, spark  # noqa: F401

from contracts import contract as contracts
from spark_jobs import ingest
from spark_jobs.row_rules import received_schema
from spark_jobs.transforms import opportunities
from spark_jobs.transforms.newest import newest

pytestmark = quiet
BRONZE = contracts.load("salesforce_opportunities_bronze")
SOURCE = "salesforce_opportunities"
ONE, TWO = "006Aq0000000001IAA", "006Aq0000000002IAA"
SHOWN = ("opportunity_id", "stage", "amount", "is_deleted", "_run_id")


def at(day):
    return datetime(2026, 7, day, 12, tzinfo=UTC)


def opportunity(identifier, stage, amount, changed, deleted=False):
    amount = None if amount is None else Decimal(amount)
    return (identifier, None, stage, amount, "USD", date(2026, 9, 30), False, False, deleted, at(1), at(changed))


@pytest.fixture
def world(spark, tmp_path, monkeypatch):  # noqa: F811
    world = World(spark, tmp_path, monkeypatch)
    world.deals = []

    def read(_lake, contract, _secret, start, end):
        held = [row for row in world.deals if row[-1] < end and (start is None or row[-1] >= start)]
        frame = spark.createDataFrame(held, received_schema(contract))
        return frame.withColumns({"_file": sf.lit(None).cast("string"), "_received_at": sf.col("SystemModstamp")})

    monkeypatch.setattr(ingest, "read_object", read)
    return world


def to_silver(world, day, **how):
    said = {"sources": [SOURCE], **how}
    keys = [world.job(day, "ingest", SOURCE, **said)["key"]]
    for step in ("check_bronze", "bronze_to_silver", "check_silver"):
        receipt = world.job(day, step, receipts=keys, **said)
        assert receipt["status"] == "SUCCEEDED"
        keys.append(receipt["key"])
    return world.job(day, "publish_silver", receipts=keys, **said)


def test_the_newest_state_stands_and_a_deleted_opportunity_stays(spark):  # noqa: F811
    rows = [
        opportunity(ONE, " Prospecting ", "10.00", 27),
        opportunity(ONE, "Closed Won", "12.50", 28),
        opportunity(TWO, "Prospecting", None, 27),
        opportunity(TWO, "Prospecting", None, 28, deleted=True),
    ]
    bronze = spark.createDataFrame(rows, received_schema(BRONZE)).withColumn("_run_id", sf.lit("r1"))
    silver = newest(opportunities.standardise(bronze), opportunities.KEY, opportunities.ORDER)
    assert silver.columns == [name for name, _ in contracts.load("opportunities_silver").columns]
    assert sorted(tuple(row) for row in silver.select(*SHOWN).collect()) == [
        (ONE, "Closed Won", Decimal("12.50"), False, "r1"),
        (TWO, "Prospecting", None, True, "r1"),
    ]


def test_a_day_changes_the_opportunities_that_changed(world):
    world.deals = [opportunity(ONE, "Prospecting", "10.00", 27), opportunity(TWO, "Proposal", "5.00", 28)]
    to_silver(world, DAY_1, history=True)
    world.deals += [opportunity(ONE, "Prospecting", "10.00", 29, deleted=True)]
    to_silver(world, DAY_2)
    first, second = (world.request(day, "ingest", SOURCE)["run_id"] for day in (DAY_1, DAY_2))
    assert world.rows("silver/opportunities", *SHOWN) == [
        (ONE, "Prospecting", Decimal("10.00"), True, second),
        (TWO, "Proposal", Decimal("5.00"), False, first),
    ]
    assert len(world.rows("bronze/salesforce_opportunities", "Id")) == 3
