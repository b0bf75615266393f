"""Files of a table stay as narrow as the days that a run brings, whatever it corrects."""

from datetime import date, timedelta

import pytest
from spark_day import DAY_1, World, order
from spark_session import quiet, spark  # noqa: F401

from spark_jobs import delta_log

pytestmark = quiet
ORDERS, ONE = "silver/orders", {"sources": ["snowflake_orders"]}


def publish(world, day, attempt=1):
    """A day's orders into silver; the receipt of the publish."""
    ingested = world.job(day, "ingest", "snowflake_orders", history=day == DAY_1, **ONE)
    keys = [ingested["key"]]
    keys.append(world.job(day, "bronze_to_silver", receipts=keys, **ONE)["key"])
    return world.job(day, "publish_silver", receipts=keys, attempt=attempt, **ONE)


def held(world):
    """The days of each file of silver's orders."""
    version = delta_log.latest_version(world.store, ORDERS)
    return sorted(each.days for each in delta_log.read_snapshot(world.store, ORDERS, version, "order_date").files)


@pytest.fixture
def world(spark, tmp_path, monkeypatch):  # noqa: F811
    made = World(spark, tmp_path / "lake", monkeypatch)
    made.orders = [order(1 + number, DAY_1 - timedelta(days=9 - number), "EUR", "1.00") for number in range(10)]
    assert publish(made, DAY_1)["published"] is True
    return made


def test_a_correction_of_yesterday_a_day_widens_no_file(world):
    for number in range(1, 5):
        day = DAY_1 + timedelta(days=number)
        before = day - timedelta(days=1)
        world.orders = [
            order(100 + number, day, "EUR", "2.00"),
            order(10 if number == 1 else 99 + number, before, "EUR", "3.00", updated=day),
        ]
        assert publish(world, day)["published"] is True
    first, *others = held(world)
    assert first == (DAY_1 - timedelta(days=9), DAY_1 - timedelta(days=1))
    assert others == [(DAY_1 + timedelta(days=number), DAY_1 + timedelta(days=number)) for number in range(5)]
    # each order stands once, and was corrected where it was
    found = world.rows(ORDERS, "order_id", "amount")
    assert [(number, int(amount)) for number, amount in found] == [
        *((number, 1) for number in range(1, 10)), (10, 3), (101, 3), (102, 3), (103, 3), (104, 2)
    ]  # fmt: skip


def test_days_that_lie_apart_do_not_share_a_file(world):
    day = DAY_1 + timedelta(days=1)
    world.orders = [
        order(1, DAY_1 - timedelta(days=9), "EUR", "7.00", updated=day),
        order(100, day, "EUR", "2.00"),
    ]
    assert publish(world, day)["published"] is True
    assert held(world) == [
        (DAY_1 - timedelta(days=9), DAY_1 - timedelta(days=9)),
        (DAY_1 - timedelta(days=8), DAY_1),
        (day, day),
    ]
    assert world.rows(ORDERS, "order_id", "order_date", "amount")[0] == (1, date(2026, 7, 19), 7)
