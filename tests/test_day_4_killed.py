"""Spark is killed in the middle of a step; a retry or a redrive ends with the tables of a run without faults."""

import datetime

import pytest
from laptop import DAY, assert_equals_sources

from local.home import Home

FIRST = datetime.date(2020, 4, 20)
STEPS = ["ingest", "bronze_to_silver", "silver_to_gold", "publish_gold"]


def jvm():
    return [int((Home.default().path / "emr" / "spark.pid").read_text())]


@pytest.mark.slow
@pytest.mark.parametrize(("offset", "step"), [pytest.param(n, step, id=step) for n, step in enumerate(STEPS)])
def test_a_killed_spark_costs_no_row_and_doubles_none(laptop, offset, step):
    """The state retries once by itself, so Spark is killed twice: the run fails, and a redrive ends it."""
    day = FIRST + offset * DAY
    killer, killed = laptop.kill_when(step, jvm, times=2)
    ended = laptop.run(day)
    killer.join()
    assert len(killed) == 2
    if ended.status != "SUCCEEDED":
        assert ended.failure.error == "SparkJobFailedError"
        ended = laptop.redrive(ended)
    assert ended.status == "SUCCEEDED", ended.failure
    assert_equals_sources(laptop, day)
