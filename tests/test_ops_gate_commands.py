"""`assay gate`, as a person or a program calls it, on a ledger in DynamoDB."""

import datetime
import json

import pytest
from lambdas_world import TABLE, World
from moto import mock_aws
from typer.testing import CliRunner

from lambdas.ledger import Ledger
from lambdas.store import Store
from ops import executions, gate_commands, main
from ops.errors import OpsError
from ops.platform import Access, Platform

RATE = "fx_rates_silver:expect_column_values_to_be_between:rate"


@pytest.fixture
def ledger(monkeypatch):
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    access = Access(region="eu-west-1", credentials=keys)
    target = Platform(
        stage="dev", access=access, lake_bucket="", code_bucket="", ledger_table=TABLE, snowflake_secret_arn="",
        application_id="", state_machines={},
    )  # fmt: skip
    monkeypatch.setattr(gate_commands, "platform", {"dev": target}.__getitem__)
    with mock_aws():
        access.dynamodb.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
        )
        yield Ledger(Store(access.dynamodb, TABLE))


@pytest.fixture
def run(ledger):
    opened = World().open_run()
    assert ledger.add(opened)
    return opened.run_id


def assay(*arguments):
    """Exit code, standard output and the sentence of an error, as `main` makes it of an OpsError."""
    result = CliRunner().invoke(main.app, ["gate", *map(str, arguments), "--stage", "dev"], env={"COLUMNS": "200"})
    if isinstance(result.exception, OpsError):
        return 1, result.stdout, str(result.exception)
    return result.exit_code, result.stdout, ""


def waive(run, /, *more, **changes):
    options = {"run": run, "expectation": RATE, "reason": "the vendor confirmed it", "by": "Ada", "hours": 2} | changes
    return assay("waive", *(word for name, value in options.items() for word in (f"--{name}", value)), *more)


def test_a_waiver_is_written_and_printed(ledger, run):
    code, said, _ = waive(run)
    [written] = ledger.waivers(run)
    assert code == 0
    assert said == (
        f"waiver {written.waiver_id}: {RATE} of run {run}, until {written.until}, by Ada: the vendor confirmed it\n"
        f"next: assay redrive {run}\n"
    )
    until, made = (datetime.datetime.fromisoformat(text) for text in (written.until, written.made_at))
    assert until - made == datetime.timedelta(hours=2)


def test_waivers_are_listed_oldest_first_and_none_is_rewritten(ledger, run):
    assert assay("waivers", "--run", run)[:2] == (0, f"run {run} has no waivers\n")
    first = json.loads(waive(run, "--json")[1])
    ended = gate_commands.now() - datetime.timedelta(hours=3)
    past = gate_commands.Plea(
        run_id=run, expectation=RATE, reason="r", by="Grace", hours=1, now=ended, unique="0a1b2c3d"
    )
    gate_commands.grant(ledger, past)
    listed = json.loads(assay("waivers", "--run", run, "--json")[1])
    assert [(each["by"], each["in_force"]) for each in listed] == [("Grace", False), ("Ada", True)]
    assert listed[1] == first
    assert set(first) == {"id", "run_id", "expectation", "by", "reason", "made_at", "until", "in_force"}
    assert "Grace" in assay("waivers", "--run", run)[1]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"expectation": "fx_rates_silver:row_rule_exclusiveMinimum:rate"}, "never waived", id="violation"),
        pytest.param({"hours": 169}, "1 to 168 hours", id="hours"),
        pytest.param({"reason": ""}, "reason is empty", id="reason"),
        pytest.param({"run": "20260101T000000Z-x"}, "is not in the ledger", id="run"),
    ],
)
def test_what_is_refused_is_one_sentence_and_leaves_nothing(ledger, run, changes, words):
    code, said, error = waive(run, **changes)
    assert (code, said) == (1, "")
    assert words in error
    assert "\n" not in error
    assert ledger.waivers(run) == []


def test_waivers_of_an_unknown_run_are_refused(ledger):
    code, _, error = assay("waivers", "--run", "nobody")
    assert code == 1
    assert "'nobody' is not in the ledger" in error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param("QualityGateClosedError", [RATE, "orders_silver:expect_table_row_count_to_be_between"], id="gate"),
        pytest.param("ContractViolationError", [], id="violation"),
    ],
)
def test_a_closed_gate_says_what_can_be_waived(error, expected):
    cause = (
        f"SilverGate is closed for run r: verdict FAIL. {RATE} (error): observed 1, expected 2; orders_silver:"
        "expect_table_row_count_to_be_between (error): observed 0, expected 1; orders_silver:row_rule_minimum:amount "
        f"(error): observed 1, expected 0; {RATE} (warn): observed 1, expected 2. Receipt: runs/r/x.json."
    )
    failure = executions.Failure(state="HoldAtSilverGate", error=error, cause=cause, runbook="r")
    assert executions.closed_by(failure) == expected
    assert executions.closed_by(None) == []
