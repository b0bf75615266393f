"""A source breaks its contract: the run fails and says why; put right, a redrive finishes it."""

import datetime

import pytest
from laptop import DAY, HEADER, assert_equals_sources, fx_file, fx_key, fx_row

FIRST = datetime.date(2020, 3, 9)  # a Monday: five working days follow


def without(column, day):
    names = HEADER.split(",")
    at = names.index(column)
    return "\n".join(
        ",".join(cell for index, cell in enumerate(line.split(",")) if index != at) for line in (HEADER, fx_row(day))
    )


CASES = [
    pytest.param(0, lambda day: without("JPY", day), ["JPY", "required"], id="a missing column"),
    pytest.param(1, lambda _: HEADER + "\n", ["rows"], id="a header only"),
    pytest.param(2, lambda _: "", ["empty"], id="an empty file"),
    pytest.param(3, lambda _: b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\xff\xfe", [], id="not CSV at all"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("offset", "broken", "words"), CASES)
def test_a_broken_contract_fails_the_run_until_the_file_is_put_right(laptop, offset, broken, words):
    """A file whose rates are negative is in test_day_1_end_to_end."""
    day = FIRST + offset * DAY
    assert_fails_until_put_right(laptop, day, broken(day), words)


def assert_fails_until_put_right(laptop, day, broken, words):
    laptop.put_fx(day, broken)
    bronze, gold = laptop.version("bronze/fx_rates"), laptop.version("gold/fct_daily_revenue")
    failed = laptop.run(day)
    assert failed.status == "FAILED"
    assert failed.failure.error == "ContractViolationError"
    assert failed.failure.state in ("ValidateContracts", "IngestSource")
    for word in ["fx_rates_bronze", fx_key(day), *words]:
        assert word in failed.failure.cause
    assert (laptop.version("bronze/fx_rates"), laptop.version("gold/fct_daily_revenue")) == (bronze, gold)
    laptop.put_fx(day, fx_file(day))
    mended = laptop.redrive(failed)
    assert mended.status == "SUCCEEDED", mended.failure
    assert [step.name for step in mended.steps].count("OpenRun") == 1
    assert_equals_sources(laptop, day)


@pytest.mark.slow
def test_a_violation_deep_in_a_file_is_quarantined_and_stops_the_ingest(laptop):
    """The Lambda reads only the head of a file; the job reads all of it."""
    day = FIRST + 7 * DAY
    good = [fx_row(day)] * 3000
    laptop.put_fx(day, "\n".join([HEADER, *good, fx_row(day, GBP="-0.8")]) + "\n")
    failed = laptop.run(day)
    assert (failed.status, failed.failure.state) == ("FAILED", "IngestSource")
    assert failed.failure.error == "ContractViolationError"
    for word in ("fx_rates_bronze", "GBP", "exclusiveMinimum"):
        assert word in failed.failure.cause
    assert laptop.rows("quarantine/fx_rates").num_rows == 1
    orders_before = [job for job in failed.jobs if job["subject"] == "snowflake_orders"]
    laptop.put_fx(day, fx_file(day))
    mended = laptop.redrive(failed)
    assert mended.status == "SUCCEEDED", mended.failure
    if orders_before and orders_before[-1]["state"] == "SUCCESS":
        assert len([job for job in mended.jobs if job["subject"] == "snowflake_orders"]) == len(orders_before)
    assert_equals_sources(laptop, day)
