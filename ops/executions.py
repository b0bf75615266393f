"""What an execution's history says: its steps, its failure, and what a redrive would run again. Pure functions."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Event = Mapping[str, Any]
REDRIVABLE_FOR = datetime.timedelta(days=14)

# A page of the runbooks for each error that a run can end with; anything else is a failed run.
RUNBOOKS = {
    "ContractViolationError": "runbooks/ContractViolation.md",
    "QualityGateClosedError": "runbooks/QualityGateClosed.md",
}
RUNBOOKS_OF_STATES = {"Maintain": "runbooks/MaintenanceFailed.md", "RestoreSilver": "runbooks/RestoreTable.md"}
DEFAULT_RUNBOOK = "runbooks/RunFailed.md"
INGEST_STATE = "IngestSource"  # in the Map IngestSources, once a source
MAPS = {"IngestSources": INGEST_STATE, "MaintainLayers": "Maintain"}  # a Map to the state in it
_EXPECTATION = re.compile(r"\b[a-z][a-z0-9_]*:expect_[a-z_]+(?::[A-Za-z0-9_,]+)?")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One visit of a state; `ended` is None while it runs and where it failed; `subject` is an iteration's item."""

    name: str
    started: datetime.datetime
    ended: datetime.datetime | None
    subject: str | None = None

    @property
    def title(self) -> str:
        """Its name, and its source or layer if it has one."""
        return f"{self.name} ({self.subject})" if self.subject else self.name

    @property
    def seconds(self) -> float | None:
        """How long it took."""
        return (self.ended - self.started).total_seconds() if self.ended else None


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why an execution ended other than well."""

    state: str | None
    error: str
    cause: str
    runbook: str


def steps(events: Sequence[Event]) -> list[Step]:
    """The visited states in the order of entering, each Map iteration's own included."""
    by_id = {event["id"]: event for event in events}
    ended: dict[int, datetime.datetime] = {}
    for event in events:
        if event["type"].endswith("StateExited"):
            entered = _entered(event, by_id, event["stateExitedEventDetails"]["name"])
            if entered is not None:
                ended[entered["id"]] = event["timestamp"]
    return [
        Step(
            name=event["stateEnteredEventDetails"]["name"],
            started=event["timestamp"],
            ended=ended.get(event["id"]),
            subject=_subject(event),
        )
        for event in events
        if event["type"].endswith("StateEntered")
    ]


def _subject(entered: Event) -> str | None:
    given = json.loads(entered["stateEnteredEventDetails"].get("input") or "null")
    return _find(given, "source", deep=False) or _find(given, "layer", deep=False)


def _entered(event: Event, by_id: Mapping[int, Event], name: str | None = None) -> Event | None:
    """The nearest earlier StateEntered event of the same branch, of state `name` if given."""
    current: Event | None = event
    while current is not None:
        details = current.get("stateEnteredEventDetails")
        if details is not None and name in (None, details["name"]):
            return current
        current = by_id.get(current.get("previousEventId", 0))
    return None


def state_of(step: str) -> str:
    """The state that waits for the job runs of a step."""
    return INGEST_STATE if step == "ingest" else "".join(map(str.capitalize, step.split("_")))


def run_id(events: Sequence[Event]) -> str | None:
    """The run that OpenRun named; None when it has not answered yet."""
    for event in events:
        details = event.get("stateExitedEventDetails")
        if details is not None and details["name"] == "OpenRun":
            found = _find(json.loads(details.get("output") or "null"), "run_id")
            for assigned in (details.get("assignedVariables") or {}).values():
                found = found or _find(json.loads(assigned), "run_id")
            return found
    return None


def _find(value: Any, key: str, *, deep: bool = True) -> str | None:
    if isinstance(value, Mapping):
        if isinstance(value.get(key), str):
            return str(value[key])
        if not deep:
            return None
        return next((hit for item in value.values() if (hit := _find(item, key))), None)
    return None


def failure(status: str, events: Sequence[Event]) -> Failure | None:
    """Why the execution ended other than well; None while it runs or when it succeeded."""
    if status in ("RUNNING", "SUCCEEDED"):
        return None
    by_id = {event["id"]: event for event in events}
    end: Event = events[-1] if events else {}
    details: Mapping[str, Any] = next((value for key, value in end.items() if key.endswith("EventDetails")), {})
    state = None
    for event in reversed(events):
        if event["type"].endswith(("Failed", "TimedOut", "Aborted")) and not event["type"].startswith("Execution"):
            entered = _entered(event, by_id)
            state = entered["stateEnteredEventDetails"]["name"] if entered else None
            break
    if state is None:
        open_steps = [step.name for step in steps(events) if step.ended is None]
        state = open_steps[-1] if open_steps else None
    error = details.get("error") or status
    return Failure(
        state=state,
        error=error,
        cause=_sentence(details.get("cause") or ""),
        runbook=RUNBOOKS_OF_STATES.get(state or "") or RUNBOOKS.get(error, DEFAULT_RUNBOOK),
    )


def _sentence(cause: str) -> str:
    """The message inside a Lambda's error document, or the cause as it is."""
    try:
        document = json.loads(cause)
    except ValueError:
        return cause
    return str(document.get("errorMessage", cause)) if isinstance(document, Mapping) else cause


def closed_by(failure: Failure | None) -> list[str]:
    """The expectations that a closed gate names in its cause; rules of rows, which cannot be waived, are left out."""
    if failure is None or failure.error != "QualityGateClosedError":
        return []
    return list(dict.fromkeys(_EXPECTATION.findall(failure.cause)))


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a redrive does: states that run again first, those that follow, and those whose work is kept."""

    again: tuple[str, ...]
    then: tuple[str, ...]
    kept: tuple[str, ...]


def redrive_plan(events: Sequence[Event], definition: Mapping[str, Any]) -> Plan:
    """What a redrive of an execution that did not succeed would do.

    Tasks that failed or were aborted run again, in Map and Parallel only those of the branches that did not end; a gate
    that held sends the day on to the next round, which begins at the state it names.

    Args:
        events: its history.
        definition: its states, as it was started with; they are kept through redrives.
    Source: https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
    """
    states = definition["States"]
    map_of = {
        inner: name for name, state in states.items() for inner in state.get("ItemProcessor", {}).get("States", {})
    }
    last = {step.title: step for step in steps(events)}
    again = [step for step in last.values() if step.ended is None]
    branches = [step.title for step in again if step.name in map_of]
    top = [step.name for step in again if step.name not in map_of]
    then = _path(states, top[-1]) if top else []
    kept = [
        step.title
        for step in last.values()
        if step.ended is not None
        and map_of.get(step.name, step.name) not in then
        and states.get(step.name, {}).get("Type") not in ("Choice", "Map")
    ]
    return Plan(again=tuple(branches or top), then=tuple(then), kept=tuple(kept))


def _path(states: Mapping[str, Any], start: str) -> list[str]:
    """The states after `start`, by each Choice's way forward, up to the end or the first one that came before."""
    found: list[str] = []
    name = _next(states[start])
    while name is not None and name not in found:
        found.append(name)
        name = _next(states[name])
    return [name for name in found if states[name]["Type"] != "Choice"]


def _next(state: Mapping[str, Any]) -> str | None:
    name = state["Choices"][0]["Next"] if state["Type"] == "Choice" else state.get("Next")
    return None if name is None else str(name)
