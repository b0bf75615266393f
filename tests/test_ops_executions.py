import datetime
import json
import re

import pytest

from local.home import ROOT
from ops import executions

DAY = json.loads(re.sub(r"\$\{\w+\}", "1", (ROOT / "state_machines" / "daily_batch.asl.json").read_text()))
START = datetime.datetime(2026, 7, 31, 6, 0, tzinfo=datetime.UTC)


def at(second, event_id, previous, kind, **details):
    event = {"id": event_id, "previousEventId": previous, "type": kind}
    event["timestamp"] = START + datetime.timedelta(seconds=second)
    return event | details


def entered(second, event_id, previous, name, kind="Task", **details):
    return at(second, event_id, previous, f"{kind}StateEntered", stateEnteredEventDetails={"name": name, **details})


def exited(second, event_id, previous, name, kind="Task", **details):
    return at(second, event_id, previous, f"{kind}StateExited", stateExitedEventDetails={"name": name, **details})


OPENED = [
    at(0, 1, 0, "ExecutionStarted"),
    entered(0, 2, 0, "OpenRun"),
    at(0, 3, 2, "TaskScheduled"),
    exited(1, 4, 3, "OpenRun", output=json.dumps({"Payload": {"run_id": "20260731T060000Z-ab"}})),
]


def test_steps_carry_the_seconds_of_each_branch_of_a_map():
    history = [
        *OPENED,
        entered(1, 5, 4, "IngestSources", "Map"),
        entered(1, 6, 5, "IngestSource"),
        entered(1, 7, 5, "IngestSource"),
        exited(3, 8, 7, "IngestSource"),
        exited(9, 9, 6, "IngestSource"),
        exited(10, 10, 9, "IngestSources", "Map"),
    ]
    seconds = [(step.name, step.seconds) for step in executions.steps(history)]
    assert seconds == [("OpenRun", 1), ("IngestSources", 9), ("IngestSource", 8), ("IngestSource", 2)]


def test_each_step_has_the_state_that_launches_it():
    inner = DAY["States"]["IngestSources"]["ItemProcessor"]["States"]
    launched = {
        name: state["Arguments"]["Payload"]["step"]
        for name, state in [*DAY["States"].items(), *inner.items()]
        if state.get("Resource", "").endswith(".waitForTaskToken")
    }
    assert len(launched) == 7
    assert {name: executions.state_of(step) for name, step in launched.items()} == {name: name for name in launched}


def test_a_step_that_failed_has_no_end_and_is_where_a_redrive_starts():
    history = [
        *OPENED,
        entered(1, 5, 4, "ValidateContracts"),
        at(2, 6, 5, "TaskFailed", taskFailedEventDetails={"error": "ContractViolationError", "cause": "{}"}),
        at(2, 7, 6, "ExecutionFailed", executionFailedEventDetails={"error": "ContractViolationError", "cause": "{}"}),
    ]
    assert executions.steps(history)[-1].seconds is None
    plan = executions.redrive_plan(history, DAY)
    assert (plan.again, plan.kept) == (("ValidateContracts",), ("OpenRun",))
    assert plan.then[:2] == ("IngestSources", "CheckBronze")
    assert plan.then[-1] == "CloseRun"
    assert not any(name.endswith("Gate") or name.startswith("Is") for name in plan.then)


def test_a_redrive_runs_the_failed_branch_of_a_map_and_keeps_the_other():
    history = [
        *OPENED,
        entered(1, 5, 4, "IngestSources", "Map"),
        entered(1, 6, 5, "IngestSource", input='{"source": "fx_rates"}'),
        entered(1, 7, 5, "IngestSource", input='{"source": "snowflake_orders"}'),
        exited(3, 8, 7, "IngestSource"),
        at(4, 9, 6, "TaskFailed", taskFailedEventDetails={"error": "SparkJobFailedError", "cause": "killed"}),
        at(4, 10, 9, "ExecutionFailed", executionFailedEventDetails={"error": "SparkJobFailedError"}),
    ]
    plan = executions.redrive_plan(history, DAY)
    assert plan.again == ("IngestSource (fx_rates)",)
    assert plan.kept == ("OpenRun", "IngestSource (snowflake_orders)")
    assert plan.then[0] == "CheckBronze"


def test_a_held_gate_sends_the_day_round_and_what_a_redrive_mended_is_not_run_again():
    history = [
        *OPENED,
        entered(1, 5, 4, "ValidateContracts"),
        at(2, 6, 5, "ExecutionFailed", executionFailedEventDetails={"error": "ContractViolationError"}),
        at(3, 7, 6, "ExecutionRedriven"),
        entered(3, 8, 7, "ValidateContracts"),
        exited(4, 9, 8, "ValidateContracts"),
        entered(5, 10, 9, "IngestSources", "Map"),
        entered(5, 11, 10, "IngestSource", input='{"source": "fx_rates"}'),
        exited(6, 12, 11, "IngestSource"),
        exited(6, 13, 12, "IngestSources", "Map"),
        entered(7, 14, 13, "HoldAtBronzeGate"),
        at(8, 15, 14, "ExecutionFailed", executionFailedEventDetails={"error": "QualityGateClosedError"}),
    ]
    plan = executions.redrive_plan(history, DAY)
    assert plan.again == ("HoldAtBronzeGate",)
    assert plan.then[:2] == ("IngestSources", "CheckBronze")
    assert plan.kept == ("OpenRun", "ValidateContracts")


@pytest.mark.parametrize(
    ("error", "cause", "sentence", "runbook"),
    [
        pytest.param(
            "ContractViolationError",
            json.dumps({"errorMessage": "fx_rates_bronze 1-0-0: USD: minimum", "errorType": "ContractViolationError"}),
            "fx_rates_bronze 1-0-0: USD: minimum",
            "runbooks/ContractViolation.md",
            id="a Lambda's error document",
        ),
        pytest.param(
            "QualityGateClosedError", "bronze gate", "bronze gate", "runbooks/QualityGateClosed.md", id="plain text"
        ),
        pytest.param("States.Timeout", "[1]", "[1]", "runbooks/RunFailed.md", id="JSON that is no document"),
    ],
)
def test_a_failure_names_state_sentence_and_runbook(error, cause, sentence, runbook):
    details = {"error": error, "cause": cause}
    history = [
        *OPENED,
        entered(1, 5, 4, "ValidateContracts"),
        at(2, 6, 5, "TaskFailed", taskFailedEventDetails=details),
        at(2, 7, 6, "ExecutionFailed", executionFailedEventDetails=details),
    ]
    failure = executions.failure("FAILED", history)
    assert failure == executions.Failure(state="ValidateContracts", error=error, cause=sentence, runbook=runbook)


def test_an_aborted_execution_fails_in_the_state_that_was_open():
    history = [*OPENED, entered(1, 5, 4, "CheckBronze"), at(2, 6, 5, "ExecutionAborted")]
    failure = executions.failure("ABORTED", history)
    assert failure is not None
    assert (failure.state, failure.error) == ("CheckBronze", "ABORTED")


def test_the_run_is_known_once_open_run_has_answered():
    assert executions.run_id(OPENED[:3]) is None
    assert executions.run_id(OPENED) == "20260731T060000Z-ab"


@pytest.mark.parametrize("status", ["RUNNING", "SUCCEEDED"])
def test_no_failure_while_it_runs_or_when_it_succeeded(status):
    assert executions.failure(status, OPENED) is None
