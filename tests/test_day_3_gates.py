"""Gates close on data that keeps its contract, hold as often as nothing was mended, and open when it was, or is waived."""

import datetime

import pytest
from laptop import DAY, assert_equals_sources, fx_file, fx_row
from typer.testing import CliRunner

from lambdas.waivers import Plea, grant
from ops import executions, gate_commands, main

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


def audited(laptop, run_id):
    """The failures of a run's silver checks in the audit: attempt, name, waived, verdict."""
    columns = ["run_id", "step", "attempt", "expectation", "column", "success", "waived", "verdict"]
    rows = laptop.rows("quality/results", columns).to_pylist()
    failed = [row for row in rows if row["run_id"] == run_id and row["step"] == "check_silver" and not row["success"]]
    return sorted((row["attempt"], row["column"], row["waived"], row["verdict"]) for row in failed)


@pytest.mark.slow
def test_a_held_day_goes_through_while_a_waiver_is_in_force(laptop):
    """Held, held again with a waiver that has ended, waived and through; the next delivery puts the rate right."""
    day = FIRST + 28 * DAY
    laptop.put_fx(day, fx_file(day, **BAD["Silver"]))
    gold = laptop.version("gold/fct_daily_revenue")
    held = laptop.run(day)
    assert_held(laptop, held, "Silver", gold)
    [expectation] = executions.closed_by(held.failure)
    assert expectation == "fx_rates_silver:expect_column_values_to_be_between:rate"
    plea = Plea(
        run_id=held.run_id, expectation=expectation, reason="too long ago", by="Grace", hours=1, unique="0a1b2c3d",
        now=gate_commands.now() - 2 * datetime.timedelta(hours=1),
    )  # fmt: skip
    grant(laptop.platform.ledger, plea)
    held = laptop.redrive(held)
    assert_held(laptop, held, "Silver", gold)
    command = ["gate", "waive", "--run", held.run_id, "--expectation", expectation]
    command += ["--reason", "the bank confirmed the jump", "--by", "Ada", "--hours", "1"]
    waived = CliRunner().invoke(main.app, command)
    assert waived.exit_code == 0, waived.output
    ended = laptop.redrive(held)
    assert ended.status == "SUCCEEDED", ended.failure
    summary = laptop.receipt(f"runs/{ended.run_id}/run.json")
    [check] = [step for step in summary["steps"] if step["step"] == "check_silver"]
    assert check["verdict"] == "PASS_WITH_WAIVER"
    receipt = laptop.receipt(check["receipt"])
    assert [(each["by"], each["reason"]) for each in receipt["waivers"]] == [("Ada", "the bank confirmed the jump")]
    assert audited(laptop, ended.run_id) == [
        (1, "rate", False, "FAIL"),
        (2, "rate", False, "FAIL"),
        (3, "rate", True, "PASS_WITH_WAIVER"),
    ]
    found = laptop.access._client("glue").get_table(DatabaseName="assay_local_quality", Name="results")["Table"]
    assert found["StorageDescriptor"]["Location"] == f"s3://{laptop.platform.lake_bucket}/quality/results"
    laptop.put_fx(day + DAY, fx_file(day + DAY) + fx_row(day) + "\n")
    after = laptop.run(day + DAY)
    assert after.status == "SUCCEEDED", after.failure
    assert_equals_sources(laptop, day + DAY)
