"""What AWS's own validation lets through and a night does not: a lint of the workflows.

`python -m ops.workflow_lint` checks state_machines/*.asl.json against every stage's settings and exits 1 on a finding.

Source: https://docs.aws.amazon.com/step-functions/latest/dg/concepts-amazon-states-language.html, and the rules for
redrives at https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from contracts import errors

ROOT = Path(__file__).resolve().parent.parent
SUBSTITUTIONS = {
    "daily_batch.asl.json": frozenset(
        {
            "OpenRunFunction",
            "ValidateContractsFunction",
            "LaunchJobFunction",
            "HoldAtGateFunction",
            "RegisterCatalogFunction",
            "EmitLineageAndMetricsFunction",
            "CloseRunFunction",
            "JobTimeoutSeconds",
            "JobHeartbeatSeconds",
        }
    )
}
# it runs a part of the daily one's steps, by the same functions
SUBSTITUTIONS["file_arrival.asl.json"] = SUBSTITUTIONS["daily_batch.asl.json"]
SUBSTITUTIONS["maintenance.asl.json"] = frozenset(
    {"OpenRunFunction", "LaunchJobFunction", "CloseRunFunction", "JobTimeoutSeconds", "JobHeartbeatSeconds"}
)
PASSES = {"PASS", "WARN", "PASS_WITH_WAIVER"}
OUR_ERRORS = {
    name
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, errors.AssayError) and value is not errors.AssayError
}
NEVER_RETRIED = {
    "States.ALL",
    "States.TaskFailed",
    "BreakingContractChangeError",
    "CommitLostError",
    "ContractError",
    "ContractViolationError",
    "InvalidRequestError",
    "LeaseWaitOverError",
    "QualityGateClosedError",
    "SourceFailedError",
    "UnknownContractError",
    "UnsupportedKeywordError",
}
# An error's kind: what a retrier may share a budget with. A name that is not here is a kind of its own.
KINDS = {
    "Lambda.ServiceException": "the Lambda service",
    "Lambda.AWSLambdaException": "the Lambda service",
    "Lambda.SdkClientException": "the Lambda service",
    "Lambda.ClientExecutionTimeoutException": "the Lambda service",
    "Lambda.TooManyRequestsException": "the Lambda service",
    "Lambda.Unknown": "a function that died",
    "Sandbox.Timedout": "a function that died",
    "Runtime.ExitError": "a function that died",
}
AWS_ERRORS = set(KINDS) | {"States.ALL", "States.TaskFailed", "States.Timeout", "States.HeartbeatTimeout"}
JSONPATH_FIELDS = (
    "InputPath",
    "OutputPath",
    "Parameters",
    "ResultPath",
    "ResultSelector",
    "ItemsPath",
    "TimeoutSecondsPath",
)
_PLACEHOLDER = re.compile(r"\$\{([A-Za-z0-9]+)\}")
_PASS_LIST = re.compile(r"\{% \$states\.input\.verdict in \[('[A-Z_]+'(?:, '[A-Z_]+')*)\] %\}")

State = Mapping[str, Any]


@dataclass(frozen=True, order=True)
class Finding:
    """What is wrong, where, by which rule, and what to do."""

    file: str
    state: str
    rule: str
    advice: str

    def __str__(self) -> str:
        return f"{self.file}: {self.state}: {self.rule}: {self.advice}"


@dataclass(frozen=True, kw_only=True)
class Timing:
    """A stage's times, in seconds.

    Attributes:
        job_timeout_seconds: EMR's limit of a job run.
        heartbeat_seconds, task_timeout_seconds: of a task that waits for a token.
        lease_wait_seconds: how long launch_job lets a state ask again for a table that another run writes.
    """

    stage: str
    job_timeout_seconds: int
    heartbeat_seconds: int
    task_timeout_seconds: int
    lease_wait_seconds: int


@dataclass(frozen=True, kw_only=True)
class Scope:
    """The states of the machine, or of one Map or Parallel branch."""

    start: str
    states: Mapping[str, State]

    def is_wait(self, name: str) -> bool:
        """Whether a state waits for a task token."""
        return str(self.states[name].get("Resource", "")).endswith(".waitForTaskToken")

    def reachable(self, start: str, skip: Callable[[str, str], bool] = lambda *_: False) -> set[str]:
        """The states on any path from a state, leaving out the edges that `skip` names."""
        seen: set[str] = set()
        todo = [start]
        while todo:
            name = todo.pop()
            if name in seen or name not in self.states:
                continue
            seen.add(name)
            todo += [target for _, target in edges(self.states[name]) if not skip(name, target)]
        return seen


Rule = Callable[[Scope], Iterator[tuple[str, str, str]]]


def edges(state: State) -> Iterator[tuple[str, str]]:
    """Every way out of a state: the field that names it, and its target."""
    if "Next" in state:
        yield "Next", state["Next"]
    for choice in state.get("Choices", []):
        yield "Choices", choice.get("Next", "")
    if "Default" in state:
        yield "Default", state["Default"]
    for catcher in state.get("Catch", []):
        yield "Catch", catcher.get("Next", "")


def scopes(machine: State) -> Iterator[Scope]:
    """The machine's own states, then those of every Map and Parallel in it."""
    yield Scope(start=machine.get("StartAt", ""), states=machine["States"])
    for state in machine["States"].values():
        inner = [state["ItemProcessor"]] if "ItemProcessor" in state else state.get("Branches", [])
        for branch in inner:
            yield from scopes(branch)


def lint(
    definition: State, *, file: str, substitutions: frozenset[str], timings: Sequence[Timing] = ()
) -> list[Finding]:
    """Every rule that a workflow breaks, in the order of the states.

    Args:
        definition: the workflow, placeholders and all.
        file: its name, for the findings.
        substitutions: the placeholders that a deployment fills.
        timings: the stages' times; each must fit the heartbeat retriers.
    """
    found = [Finding(file, *each) for each in _machine(definition, substitutions)]
    for timing in timings:
        found += [Finding(file, *each) for each in _machine_times(definition, timing)]
    for scope in scopes(definition):
        for rule in (_targets, _choices, _gates, _fails, _tasks, _retriers):
            found += [Finding(file, *each) for each in rule(scope)]
        for timing in timings:
            found += [Finding(file, *each) for each in _times(scope, timing)]
    return found


def _machine(machine: State, substitutions: frozenset[str]) -> Iterator[tuple[str, str, str]]:
    if "TimeoutSeconds" not in machine:
        yield "(machine)", "timeout", "give the machine TimeoutSeconds"
    if machine.get("QueryLanguage") != "JSONata":
        yield "(machine)", "query-language", "set QueryLanguage to JSONata: one expression language"
    text = json.dumps(machine)
    placeholders = set(_PLACEHOLDER.findall(text))
    for name in sorted(placeholders - substitutions):
        yield "(machine)", "placeholder", f"nothing fills ${{{name}}}; add it to the substitutions or take it out"
    for name in sorted(substitutions - placeholders):
        yield "(machine)", "placeholder", f"${{{name}}} is filled but not used; take it out of the substitutions"


def _machine_times(machine: State, timing: Timing) -> Iterator[tuple[str, str, str]]:
    if timing.lease_wait_seconds >= machine.get("TimeoutSeconds", 0):
        advice = (
            f"a step waits {timing.lease_wait_seconds} s for a lease, and the execution is timed out before; shorten "
            "the one or lengthen the other"
        )
        yield "(machine)", "lease-wait", f"stage {timing.stage}: {advice}"


def _targets(scope: Scope) -> Iterator[tuple[str, str, str]]:
    if scope.start not in scope.states:
        yield scope.start or "(none)", "dangling", "StartAt names no state of its scope"
    for name, state in scope.states.items():
        for field, target in edges(state):
            if target not in scope.states:
                yield name, "dangling", f"{field} goes to {target!r}, which is no state of its scope"
        ways = sum(field in state for field in ("Next", "End"))
        if state["Type"] not in {"Choice", "Succeed", "Fail"} and ways != 1:
            yield name, "dangling", "give it exactly one of Next and End"
        if "Comment" not in state:
            yield name, "comment", "say in one line why it is there"
        for field in JSONPATH_FIELDS:
            if field in state:
                yield name, "query-language", f"{field} is JSONPath; use Arguments, Assign and Output"
    for name in sorted(set(scope.states) - scope.reachable(scope.start)):
        yield name, "unreachable", "no path leads to it; link it or take it out"


def _publishes(state: State) -> bool:
    payload = state.get("Arguments", {}).get("Payload", {})
    return str(payload.get("step", "")).startswith("publish")


def _is_forward_edge(scope: Scope, gate: str, name: str, target: str) -> bool:
    choices = scope.states[name].get("Choices", [])
    return name == gate and any(choice.get("Next") == target for choice in choices)


def _choices(scope: Scope) -> Iterator[tuple[str, str, str]]:
    gates = {name for name, state in scope.states.items() if name.endswith("Gate") and state["Type"] == "Choice"}

    def is_gated(name: str, target: str) -> bool:
        # a gate's pass list is the one edge that may lead to publishing
        return name in gates and _is_forward_edge(scope, name, name, target)

    publishing = {name for name, state in scope.states.items() if _publishes(state)}
    for gate in sorted(gates) or [scope.start]:
        around = scope.reachable(scope.start, skip=partial(_is_forward_edge, scope, gate))
        if publishing & around:
            yield (
                gate,
                "ungated",
                f"a path around it leads to {', '.join(sorted(publishing))}; send it through the gate",
            )
    for name, state in scope.states.items():
        if state["Type"] != "Choice":
            continue
        if "Default" not in state:
            yield name, "fail-closed", "give it a Default: without one, a missing value fails the run for good"
        elif publishing & scope.reachable(state["Default"], skip=is_gated):
            yield name, "fail-closed", "its Default leads to publishing without passing a gate; send it to a hold"


def _gates(scope: Scope) -> Iterator[tuple[str, str, str]]:
    for name, state in scope.states.items():
        if not name.endswith("Gate") or name.startswith("HoldAt"):
            continue
        if state["Type"] != "Choice":
            yield name, "gate", "a gate is a Choice, so that a redrive evaluates it again"
            continue
        rules = state.get("Choices", [])
        listed = _PASS_LIST.fullmatch(str(rules[0].get("Condition", ""))) if len(rules) == 1 else None
        words = set(re.findall(r"[A-Z_]+", listed[1])) if listed else set()
        if not words or not words <= PASSES:
            yield name, "gate", "its one rule must be {% $states.input.verdict in [...] %} over words that mean a pass"
        hold = scope.states.get(state.get("Default", ""), {})
        if hold.get("Type") != "Task":
            yield name, "gate", "its Default must be a Task that holds: a redrive runs a Task again, never a Fail"


def _fails(scope: Scope) -> Iterator[tuple[str, str, str]]:
    fails = {name for name, state in scope.states.items() if state["Type"] == "Fail"}
    for name in sorted(fails):
        yield name, "fail-state", "a redrive fails again in a Fail state; raise the error in a Task instead"
    for name, state in scope.states.items():
        for field, target in edges(state):
            if field == "Catch" and fails & scope.reachable(target):
                yield name, "catch-into-fail", "a caught error cannot be redriven; let the Task fail uncaught"
            elif target in fails:
                yield name, "fail-state", f"{field} leads into {target}; lead it to a Task that raises"


def _tasks(scope: Scope) -> Iterator[tuple[str, str, str]]:
    for name, state in scope.states.items():
        waits = scope.is_wait(name)
        if "HeartbeatSeconds" in state and not waits:
            yield (
                name,
                "heartbeat",
                "only a task that waits for a token can miss a heartbeat; take HeartbeatSeconds out",
            )
        if state["Type"] != "Task":
            continue
        if "TimeoutSeconds" not in state:
            yield name, "timeout", "give it TimeoutSeconds; the default is one year"
        if not state.get("Retry"):
            yield name, "retry", "give it retriers by kind of error"
        if waits and "HeartbeatSeconds" not in state:
            yield name, "heartbeat", "give it HeartbeatSeconds: a lost callback must cost a heartbeat, not the timeout"
        if waits and "$states.context.Task.Token" not in json.dumps(state.get("Arguments", {})):
            yield name, "heartbeat", "pass $states.context.Task.Token on, or nobody can answer it"


def _retriers(scope: Scope) -> Iterator[tuple[str, str, str]]:
    for name, state in scope.states.items():
        named: list[str] = []
        for retrier in state.get("Retry", []):
            listed = retrier.get("ErrorEquals", [])
            named += listed
            for error in listed:
                if error in NEVER_RETRIED:
                    yield name, "retry", f"{error} must not be retried: trying again cannot help, or hides what can"
                if error not in AWS_ERRORS | OUR_ERRORS:
                    yield name, "error-name", f"{error} is neither AWS's nor in contracts.errors"
            if len({KINDS.get(error, error) for error in listed}) > 1:
                yield name, "retry", f"{', '.join(listed)} share a budget; give each kind a retrier of its own"
            if "States.HeartbeatTimeout" in listed and retrier.get("BackoffRate") != 1:
                yield name, "retry", "the heartbeat's retrier needs BackoffRate 1, or the wait outgrows the job"
        for error in sorted({error for error in named if named.count(error) > 1}):
            yield name, "retry", f"{error} is in two retriers; only the first is ever used"
        if scope.is_wait(name):
            yield from _heartbeat_order(name, named)
        for catcher in state.get("Catch", []):
            for error in catcher.get("ErrorEquals", []):
                if error not in AWS_ERRORS | OUR_ERRORS:
                    yield name, "error-name", f"{error} is neither AWS's nor in contracts.errors"


def _heartbeat_order(name: str, named: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    if "States.HeartbeatTimeout" not in named:
        yield name, "retry", "give it a retrier for States.HeartbeatTimeout, which adopts the job run"
    elif "States.Timeout" in named and named.index("States.Timeout") < named.index("States.HeartbeatTimeout"):
        yield name, "retry", "States.Timeout also matches a missed heartbeat; put States.HeartbeatTimeout before it"


def _times(scope: Scope, timing: Timing) -> Iterator[tuple[str, str, str]]:
    for name, state in scope.states.items():
        if not scope.is_wait(name):
            continue
        retries = sum(
            retrier.get("MaxAttempts", 3)
            for retrier in state.get("Retry", [])
            if "States.HeartbeatTimeout" in retrier.get("ErrorEquals", [])
        )
        patience_seconds = timing.heartbeat_seconds * (1 + retries)
        if timing.job_timeout_seconds >= patience_seconds:
            advice = (
                f"a job run may last {timing.job_timeout_seconds} s, the task gives up after {patience_seconds} s of "
                "heartbeats; shorten the one or lengthen the other"
            )
            yield name, "job-outlives-task", f"stage {timing.stage}: {advice}"
        waits_seconds = sum(
            retrier.get("MaxAttempts", 3) * retrier.get("IntervalSeconds", 1)
            for retrier in state.get("Retry", [])
            if "LeaseHeldError" in retrier.get("ErrorEquals", [])
        )
        if waits_seconds <= timing.lease_wait_seconds:
            advice = (
                f"its retrier for LeaseHeldError may end before the {timing.lease_wait_seconds} s of the setting; "
                "raise MaxAttempts, as launch_job ends the wait with LeaseWaitOverError"
            )
            yield name, "lease-wait", f"stage {timing.stage}: {advice}"
        if timing.heartbeat_seconds >= timing.task_timeout_seconds:
            yield name, "heartbeat", f"stage {timing.stage}: the heartbeat must be shorter than the task's timeout"


def timings(folder: Path) -> list[Timing]:
    """The times in every stage's settings."""
    found = []
    for path in sorted(folder.glob("*.yaml")):
        job = (yaml.safe_load(path.read_text()) or {}).get("job")
        if job:
            found.append(
                Timing(
                    stage=path.stem,
                    job_timeout_seconds=job["timeout_minutes"] * 60,
                    heartbeat_seconds=job["heartbeat_seconds"],
                    task_timeout_seconds=job["task_timeout_seconds"],
                    lease_wait_seconds=job["lease_wait_minutes"] * 60,
                )
            )
    return found


def lint_files(root: Path = ROOT) -> list[Finding]:
    """What is wrong in the workflows of a checkout."""
    found = []
    stages = timings(root / "config")
    for path in sorted((root / "state_machines").glob("*.asl.json")):
        definition = json.loads(path.read_text())
        substitutions = SUBSTITUTIONS.get(path.name, frozenset())
        found += lint(definition, file=path.name, substitutions=substitutions, timings=stages)
    return found


def main() -> int:
    """Print the findings; 1 when there are any."""
    findings = lint_files()
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
