"""`assay maintain` and `assay restore`: what they start, and what they refuse before anything is started."""

import json
from types import SimpleNamespace

import pytest

from ops import executions, upkeep_commands
from ops.errors import OpsError


class States:
    def __init__(self):
        self.started = []

    def start_execution(self, **request):
        self.started.append(request)
        return {"executionArn": "arn:x"}


@pytest.fixture
def stage():
    return SimpleNamespace(state_machines={"maintenance": "arn:maintenance"}, access=SimpleNamespace(states=States()))


@pytest.mark.parametrize("request_", [{}, {"keep_days": 40}, {"restore": {"table": "orders"}}])
def test_what_is_started(stage, request_):
    assert upkeep_commands.start(stage, request_) == "arn:x"
    [started] = stage.access.states.started
    assert (started["stateMachineArn"], json.loads(started["input"])) == ("arn:maintenance", request_)


@pytest.mark.parametrize(
    ("restore", "words"),
    [
        pytest.param({"table": "customers"}, "no silver table; there are silver/accounts, ", id="unknown-table"),
        pytest.param({"table": "orders", "from": "last"}, "not a run id", id="not-a-run"),
    ],
)
def test_what_cannot_be_is_refused_before_it_starts(stage, restore, words):
    with pytest.raises(OpsError, match=words):
        upkeep_commands.start(stage, {"restore": restore})
    assert not stage.access.states.started


@pytest.mark.parametrize(
    ("state", "error", "page"),
    [
        pytest.param("Maintain", "CommitLostError", "MaintenanceFailed", id="maintenance"),
        pytest.param("RestoreSilver", "QualityGateClosedError", "RestoreTable", id="restore"),
        pytest.param("HoldAtGoldGate", "QualityGateClosedError", "QualityGateClosed", id="gate"),
        pytest.param("PublishGold", "CommitLostError", "RunFailed", id="run"),
    ],
)
def test_a_failure_names_the_page_of_its_state_or_error(state, error, page):
    events = [
        {"id": 1, "type": "TaskStateEntered", "timestamp": None, "stateEnteredEventDetails": {"name": state}},
        {"id": 2, "previousEventId": 1, "type": "TaskFailed"},
        {"id": 3, "type": "ExecutionFailed", "executionFailedEventDetails": {"error": error, "cause": "x"}},
    ]
    assert executions.failure("FAILED", events).runbook == f"runbooks/{page}.md"
