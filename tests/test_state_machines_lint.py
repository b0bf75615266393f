import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ops.workflow_lint import SUBSTITUTIONS, Timing, lint, lint_files

FILE = "daily_batch.asl.json"
DEFINITION = json.loads((Path(__file__).parent.parent / "state_machines" / FILE).read_text())
STAGE = Timing(
    stage="test", job_timeout_seconds=3600, heartbeat_seconds=600, task_timeout_seconds=7200, lease_wait_seconds=14_400
)

Mutation = Callable[[dict[str, Any]], object]


def findings(definition: dict[str, Any], timing: Timing = STAGE) -> set[tuple[str, str]]:
    found = lint(definition, file=FILE, substitutions=SUBSTITUTIONS[FILE], timings=[timing])
    return {(finding.state, finding.rule) for finding in found}


def states(machine: dict[str, Any]) -> dict[str, Any]:
    inner: dict[str, Any] = machine["States"]
    return inner


def ingest(machine: dict[str, Any]) -> dict[str, Any]:
    source: dict[str, Any] = states(machine)["IngestSources"]["ItemProcessor"]["States"]["IngestSource"]
    return source


def retrier(state: dict[str, Any], error: str) -> dict[str, Any]:
    return next(each for each in state["Retry"] if error in each["ErrorEquals"])


def test_the_workflows_are_clean_at_every_stage() -> None:
    assert lint_files() == []


MUTATIONS: list[tuple[str, Mutation, tuple[str, str]]] = [
    ("start-at-nowhere", lambda m: m.update(StartAt="Nowhere"), ("Nowhere", "dangling")),
    ("next-to-nowhere", lambda m: states(m)["OpenRun"].update(Next="IsNewrun"), ("OpenRun", "dangling")),
    ("default-to-nowhere", lambda m: states(m)["GoldGate"].update(Default="Nowhere"), ("GoldGate", "dangling")),
    ("choice-to-nowhere", lambda m: states(m)["IsNewRun"]["Choices"][0].update(Next="X"), ("IsNewRun", "dangling")),
    ("next-inside-a-map", lambda m: (ingest(m).pop("End"), ingest(m).update(Next="X")), ("IngestSource", "dangling")),
    ("no-way-out", lambda m: states(m)["CheckGold"].pop("Next"), ("CheckGold", "dangling")),
    ("next-and-end", lambda m: states(m)["CheckGold"].update(End=True), ("CheckGold", "dangling")),
    ("unreachable", lambda m: states(m)["OpenRun"].update(Next="ValidateContracts"), ("AlreadyDone", "unreachable")),
    ("choice-without-default", lambda m: states(m)["IsNewRun"].pop("Default"), ("IsNewRun", "fail-closed")),
    ("gate-fails-open", lambda m: states(m)["GoldGate"].update(Default="PublishGold"), ("GoldGate", "fail-closed")),
    (
        "default-around-the-gate",
        lambda m: states(m)["IsPublished"].update(Default="PublishGold"),
        ("IsPublished", "fail-closed"),
    ),
    ("path-around-the-gates", lambda m: states(m)["CheckGold"].update(Next="PublishGold"), ("GoldGate", "ungated")),
    (
        "gate-passes-a-fail",
        lambda m: states(m)["BronzeGate"]["Choices"][0].update(
            Condition="{% $states.input.verdict in ['PASS', 'FAIL'] %}"
        ),
        ("BronzeGate", "gate"),
    ),
    (
        "gate-passes-what-is-not-a-fail",
        lambda m: states(m)["BronzeGate"]["Choices"][0].update(Condition="{% $states.input.verdict != 'FAIL' %}"),
        ("BronzeGate", "gate"),
    ),
    (
        "gate-with-two-ways-forward",
        lambda m: states(m)["BronzeGate"]["Choices"].append(dict(states(m)["BronzeGate"]["Choices"][0])),
        ("BronzeGate", "gate"),
    ),
    (
        "gate-holds-in-a-fail-state",
        lambda m: states(m).update(HoldAtGoldGate={"Comment": "x", "Type": "Fail"}),
        ("GoldGate", "gate"),
    ),
    (
        "fail-state",
        lambda m: states(m).update(HoldAtGoldGate={"Comment": "x", "Type": "Fail"}),
        ("HoldAtGoldGate", "fail-state"),
    ),
    (
        "way-into-a-fail-state",
        lambda m: states(m).update(HoldAtGoldGate={"Comment": "x", "Type": "Fail"}),
        ("GoldGate", "fail-state"),
    ),
    (
        "catch-into-a-fail-state",
        lambda m: (
            states(m).update(
                Failed={"Comment": "x", "Type": "Fail"}, Tell={"Comment": "x", "Type": "Pass", "Next": "Failed"}
            ),
            states(m)["CloseRun"].update(Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Tell"}]),
        ),
        ("CloseRun", "catch-into-fail"),
    ),
    ("task-without-timeout", lambda m: states(m)["CloseRun"].pop("TimeoutSeconds"), ("CloseRun", "timeout")),
    ("timeout-inside-a-map", lambda m: ingest(m).pop("TimeoutSeconds"), ("IngestSource", "timeout")),
    ("machine-without-timeout", lambda m: m.pop("TimeoutSeconds"), ("(machine)", "timeout")),
    ("wait-without-heartbeat", lambda m: ingest(m).pop("HeartbeatSeconds"), ("IngestSource", "heartbeat")),
    ("heartbeat-on-a-call", lambda m: states(m)["CloseRun"].update(HeartbeatSeconds=5), ("CloseRun", "heartbeat")),
    (
        "token-not-passed-on",
        lambda m: ingest(m)["Arguments"]["Payload"].pop("token"),
        ("IngestSource", "heartbeat"),
    ),
    ("task-without-retry", lambda m: states(m)["OpenRun"].pop("Retry"), ("OpenRun", "retry")),
    *[
        (
            f"retries-{error}",
            lambda m, error=error: states(m)["CheckGold"]["Retry"].append({"ErrorEquals": [error]}),
            ("CheckGold", "retry"),
        )
        for error in (
            "States.ALL",
            "States.TaskFailed",
            "ContractViolationError",
            "LeaseWaitOverError",
            "QualityGateClosedError",
        )
    ],
    (
        "one-budget-for-two-kinds",
        lambda m: retrier(ingest(m), "States.Timeout")["ErrorEquals"].append("SparkJobFailedError"),
        ("IngestSource", "retry"),
    ),
    (
        "heartbeat-backs-off",
        lambda m: retrier(ingest(m), "States.HeartbeatTimeout").update(BackoffRate=2),
        ("IngestSource", "retry"),
    ),
    (
        "heartbeat-default-backoff",
        lambda m: retrier(ingest(m), "States.HeartbeatTimeout").pop("BackoffRate"),
        ("IngestSource", "retry"),
    ),
    (
        "heartbeat-not-retried",
        lambda m: ingest(m)["Retry"].remove(retrier(ingest(m), "States.HeartbeatTimeout")),
        ("IngestSource", "retry"),
    ),
    ("timeout-shadows-heartbeat", lambda m: ingest(m)["Retry"].reverse(), ("IngestSource", "retry")),
    (
        "error-in-two-retriers",
        lambda m: ingest(m)["Retry"].append({"ErrorEquals": ["LeaseHeldError"]}),
        ("IngestSource", "retry"),
    ),
    (
        "misspelt-error",
        lambda m: retrier(ingest(m), "LeaseHeldError").update(ErrorEquals=["LeaseHeld"]),
        ("IngestSource", "error-name"),
    ),
    (
        "job-outlives-the-heartbeats",
        lambda m: retrier(ingest(m), "States.HeartbeatTimeout").update(MaxAttempts=5),
        ("IngestSource", "job-outlives-task"),
    ),
    (
        "retrier-ends-before-the-wait",
        lambda m: retrier(ingest(m), "LeaseHeldError").update(MaxAttempts=960),
        ("IngestSource", "lease-wait"),
    ),
    (
        "lease-not-waited-for",
        lambda m: ingest(m)["Retry"].remove(retrier(ingest(m), "LeaseHeldError")),
        ("IngestSource", "lease-wait"),
    ),
    (
        "placeholder-that-nobody-fills",
        lambda m: states(m)["OpenRun"]["Arguments"].update(FunctionName="${OpenRun}"),
        ("(machine)", "placeholder"),
    ),
    ("jsonpath", lambda m: states(m)["OpenRun"].update(ResultPath="$.run"), ("OpenRun", "query-language")),
    ("jsonpath-machine", lambda m: m.pop("QueryLanguage"), ("(machine)", "query-language")),
    ("no-comment", lambda m: states(m)["OpenRun"].pop("Comment"), ("OpenRun", "comment")),
]


@pytest.mark.parametrize(("mutation", "expected"), [pytest.param(m, e, id=name) for name, m, e in MUTATIONS])
def test_lint_finds_a_planted_defect(mutation: Mutation, expected: tuple[str, str]) -> None:
    machine = copy.deepcopy(DEFINITION)
    mutation(machine)
    assert expected in findings(machine)


@pytest.mark.parametrize(
    ("timing", "rules"),
    [
        pytest.param(STAGE, set(), id="fits"),
        pytest.param(
            replace(STAGE, job_timeout_seconds=7799, task_timeout_seconds=9000),
            set(),
            id="one-second-less",
        ),
        pytest.param(
            replace(STAGE, job_timeout_seconds=7800, task_timeout_seconds=9000),
            {"job-outlives-task"},
            id="as-long-as-thirteen-heartbeats",
        ),
        pytest.param(
            replace(STAGE, heartbeat_seconds=7200),
            {"heartbeat"},
            id="heartbeat-not-shorter-than-timeout",
        ),
        pytest.param(replace(STAGE, lease_wait_seconds=86_399), set(), id="waits-one-second-less-than-the-machine"),
        pytest.param(replace(STAGE, lease_wait_seconds=86_400), {"lease-wait"}, id="waits-as-long-as-the-machine"),
    ],
)
def test_times_of_a_stage_must_fit_the_workflow(timing: Timing, rules: set[str]) -> None:
    assert {rule for _, rule in findings(copy.deepcopy(DEFINITION), timing)} == rules
