"""Gates close on data that keeps its contract, hold as often as nothing was mended, and open when it was."""

import datetime

import pytest
from laptop import DAY, assert_equals_sources, fx_file

FIRST = datetime.date(2020, 3, 23)
# Each keeps the contract, passes the gates before, and fails an expectation of its own layer.
BAD = {
    "Bronze": {"USD": "N/A"},
    "Silver": {"USD": "10.8"},
    "Gold": {"GBP": "0.0001"},
}


def assert_held(laptop, ended, layer, gold_version):
    assert ended.status == "FAILED"
    assert ended.failure.error == "QualityGateClosedError"
    assert ended.failure.state == f"HoldAt{layer}Gate"
    assert laptop.version("gold/fct_daily_revenue") == gold_version


@pytest.mark.slow
def test_one_run_is_held_at_each_gate_in_turn_and_ends_with_the_right_rows(laptop):
    gold = laptop.version("gold/fct_daily_revenue")
    ended = None
    for layer, rates in BAD.items():
        laptop.put_fx(FIRST, fx_file(FIRST, **rates))
        ended = laptop.run(FIRST) if ended is None else laptop.redrive(ended)
        assert_held(laptop, ended, layer, gold)
        ended = laptop.redrive(ended)  # nothing mended
        assert_held(laptop, ended, layer, gold)
    laptop.put_fx(FIRST, fx_file(FIRST))
    ended = laptop.redrive(ended)
    assert ended.status == "SUCCEEDED", ended.failure
    assert ended.redrive_count == 6
    assert_equals_sources(laptop, FIRST)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("offset", "layer"), [pytest.param(1, "Silver", id="silver"), pytest.param(2, "Gold", id="gold")]
)
def test_a_held_day_does_not_reach_the_next_one(laptop, offset, layer):
    """D is held, D+1 is published meanwhile, D is redriven: both days end as the sources say."""
    day = FIRST + offset * 7 * DAY
    laptop.put_fx(day, fx_file(day, **BAD[layer]))
    gold = laptop.version("gold/fct_daily_revenue")
    held = laptop.run(day)
    assert_held(laptop, held, layer, gold)
    after = laptop.run(day + DAY)
    assert after.status == "SUCCEEDED", after.failure
    laptop.put_fx(day, fx_file(day))
    mended = laptop.redrive(held)
    assert mended.status == "SUCCEEDED", mended.failure
    assert_equals_sources(laptop, day + DAY)
