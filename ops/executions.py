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
DEFAULT_RUNBOOK = "runbooks/RunFailed.md"
_EXPECTATION = re.compile(r"\b[a-z][a-z0-9_]*:expect_[a-z_]+(?::[A-Za-z0-9_,]+)?")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One visit of a state; `ended` is None while it runs and where it failed."""

    name: str
    started: datetime.datetime
    ended: datetime.datetime | None

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
        Step(name=event["stateEnteredEventDetails"]["name"], started=event["timestamp"], ended=ended.get(event["id"]))
        for event in events
        if event["type"].endswith("StateEntered")
    ]


def _entered(event: Event, by_id: Mapping[int, Event], name: str | None = None) -> Event | None:
    """The nearest earlier StateEntered event of the same branch, of state `name` if given."""
    current: Event | None = event
    while current is not None:
        details = current.get("stateEnteredEventDetails")
        if details is not None and name in (None, details["name"]):
            return current
        current = by_id.get(current.get("previousEventId", 0))
    return None


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


def _find(value: Any, key: str) -> str | None:
    if isinstance(value, Mapping):
        if isinstance(value.get(key), str):
            return str(value[key])
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
        runbook=RUNBOOKS.get(error, DEFAULT_RUNBOOK),
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


def redrive_plan(events: Sequence[Event]) -> list[str]:
    """The states that a redrive runs again first: those that were entered and did not end, innermost last."""
    open_steps = [step.name for step in steps(events) if step.ended is None]
    return list(dict.fromkeys(open_steps))
