import datetime
import json

import pytest

from ops import executions

START = datetime.datetime(2026, 7, 31, 6, 0, tzinfo=datetime.UTC)


def at(second, event_id, previous, kind, **details):
    event = {"id": event_id, "previousEventId": previous, "type": kind}
    event["timestamp"] = START + datetime.timedelta(seconds=second)
    return event | details


def entered(second, event_id, previous, name, kind="Task"):
    return at(second, event_id, previous, f"{kind}StateEntered", stateEnteredEventDetails={"name": name})


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


def test_a_step_that_failed_has_no_end_and_is_where_a_redrive_starts():
    history = [
        *OPENED,
        entered(1, 5, 4, "ValidateContracts"),
        at(2, 6, 5, "TaskFailed", taskFailedEventDetails={"error": "ContractViolationError", "cause": "{}"}),
        at(2, 7, 6, "ExecutionFailed", executionFailedEventDetails={"error": "ContractViolationError", "cause": "{}"}),
    ]
    assert executions.steps(history)[-1].seconds is None
    assert executions.redrive_plan(history) == ["ValidateContracts"]


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
