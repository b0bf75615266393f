"""`assay gate`, as a person or a program calls it, on a ledger in DynamoDB."""

import datetime
import json

import pytest
from lambdas_world import TABLE, World, create_ledger
from moto import mock_aws
from typer.testing import CliRunner

from lambdas.ledger import Ledger, Notice, Step
from lambdas.store import Store
from ops import executions, gate_commands, main
from ops.errors import OpsError
from ops.platform import Access, Platform

RATE = "fx_rates_silver:expect_column_values_to_be_between:rate"
MAXIMUM = "fx_rates_silver:expect_column_max_to_be_between:rate_date"
BUCKET = "assay-test-lake"


@pytest.fixture
def ledger(monkeypatch):
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    access = Access(region="eu-west-1", credentials=keys)
    target = Platform(
        stage="dev", access=access, lake_bucket=BUCKET, code_bucket="", ledger_table=TABLE,
        application_id="", state_machines={},
    )  # fmt: skip
    monkeypatch.setattr(gate_commands, "platform", {"dev": target}.__getitem__)
    with mock_aws():
        create_ledger(access.dynamodb)
        yield Ledger(Store(access.dynamodb, TABLE))


@pytest.fixture
def run(ledger):
    opened = World().open_run()
    assert ledger.add(opened)
    return opened.run_id


@pytest.fixture
def held(ledger, run):
    """A run whose silver gate closed: two expectations failed, one of them about single rows."""
    checked = Step(
        run_id=run, step="check_silver", subject="all", round=0, attempt=1, status="SUCCEEDED", token="t",
        token_order="0", redrive_count=0,
    )  # fmt: skip
    assert ledger.write(checked.create(), Notice(run_id=run, gate="SilverGate", round=0, redrive_count=0).create())
    results = [
        dict(zip(("dataset", "expectation", "column"), name.split(":"), strict=True), severity="error", success=False)
        for name in (RATE, MAXIMUM)
    ]
    s3 = gate_commands.platform("dev").access.s3
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket=BUCKET, Key=f"runs/{run}/check_silver/all/1.json", Body=json.dumps({"results": results}))
    return run


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


def reject(run, *arguments):
    return assay("reject", run, "--reason", "the bank withdrew it", "--by", "Ada", *arguments)


@pytest.mark.parametrize("named", [("--expectation", RATE), ("--all",)])
def test_a_rejection_is_written_printed_and_listed(ledger, held, named):
    assert assay("rejections", held)[:2] == (0, f"run {held} has no rejections\n")
    code, said, _ = reject(held, *named)
    assert (code, said) == (
        0,
        (
            f"rejected: the rows of run {held} that fail {RATE}, by Ada: the bank withdrew it\n"
            f"not touched, though it failed: {MAXIMUM}\n"
            f"next: assay redrive {held}\n"
        ),
    )
    [written] = ledger.rejections(held)
    [listed] = json.loads(assay("rejections", held, "--json")[1])
    assert listed == {
        "run_id": held, "expectation": RATE, "by": "Ada", "reason": "the bank withdrew it", "made_at": written.made_at,
    }  # fmt: skip
    assert {"the", "bank", "withdrew", "it"} <= {*assay("rejections", held)[1].split()}  # in cells that may wrap


def test_a_rejection_can_be_read_by_a_program(held):
    code, said, _ = reject(held, "--expectation", RATE, "--json")
    assert code == 0
    answer = json.loads(said)
    assert ([each["expectation"] for each in answer["rejections"]], answer["left"]) == ([RATE], [MAXIMUM])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param((), "name what to reject by --expectation, or say --all; not both", id="nothing"),
        pytest.param(("--all", "--expectation", RATE), "not both", id="both"),
        pytest.param(("--expectation", MAXIMUM), "waive it", id="about-the-table"),
    ],
)
def test_what_cannot_be_rejected_is_one_sentence_and_leaves_nothing(ledger, held, arguments, words):
    code, said, error = reject(held, *arguments)
    assert (code, said) == (1, "")
    assert words in error
    assert "\n" not in error
    assert ledger.rejections(held) == []


def test_rejections_of_an_unknown_run_are_refused(ledger):
    code, _, error = assay("rejections", "nobody")
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
