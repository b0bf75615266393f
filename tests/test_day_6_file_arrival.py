"""A file that arrives is in silver before the day's run, and the day's run makes gold of it: on the laptop cloud."""

import datetime
import json

import pytest
from laptop import DAY, assert_equals_sources, fx_file, fx_key

from local.standins import vendor

FIRST = datetime.date(2021, 2, 1)  # a Monday: four working days follow


@pytest.mark.slow
def test_a_file_that_arrives_is_in_silver_at_once_and_in_gold_with_the_day(laptop):
    vendor.deliver(laptop.access.s3, laptop.platform.lake_bucket, FIRST - DAY)
    assert laptop.run(FIRST - DAY).status == "SUCCEEDED"
    gold, before = laptop.version("gold/fct_daily_revenue"), laptop.arrivals()
    with laptop.listening():
        laptop.put(f"{vendor.PREFIX}eurofxref-odd name+1%20.csv", "not a file of the contract")
        laptop.put(fx_key(FIRST), fx_file(FIRST))
        [execution] = laptop.wait_for_arrival(before)
        ended = laptop.finish(execution)
        assert ended.status == "SUCCEEDED", ended.failure
    assert laptop.version("gold/fct_daily_revenue") == gold
    rates = laptop.rows("silver/fx_rates", ["rate_date"]).to_pydict()["rate_date"]
    assert max(rates) == FIRST
    day = laptop.run(FIRST)
    assert day.status == "SUCCEEDED", day.failure
    assert day.output["rows"]["bronze/fx_rates"] == 0
    assert_equals_sources(laptop, FIRST)


@pytest.mark.slow
def test_a_rate_that_is_corrected_after_its_day_changes_that_day_with_the_next_run(laptop):
    """The correction arrives as a new version of the same object; no order of that day changes."""
    day, before = FIRST, laptop.arrivals()
    with laptop.listening():
        laptop.put(fx_key(day), fx_file(day, USD="1.5"))
        [execution] = laptop.wait_for_arrival(before)
        assert laptop.finish(execution).status == "SUCCEEDED"
        laptop.put(fx_key(day + DAY), fx_file(day + DAY))
        [second] = laptop.wait_for_arrival([*before, execution])
        assert laptop.finish(second).status == "SUCCEEDED"
        assert json.loads(laptop.access.states.describe_execution(executionArn=second)["input"])["arrival_set"]
    ended = laptop.run(day + DAY)
    assert ended.status == "SUCCEEDED", ended.failure
    dollars = [
        row
        for row in laptop.rows("gold/fct_daily_revenue").to_pylist()
        if row["revenue_date"] == day and row["currency"] == "USD"
    ]
    assert [str(row["rate"]) for row in dollars] == ["1.50000000"]
