"""Runs state machines in the tests' own process, with Python functions in the place of Lambda."""

from __future__ import annotations

import io
import itertools
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from local.seams import moto_asl, moto_asl_tasks

Function = Callable[[Any], Any]
_names = itertools.count()


@dataclass
class LambdaFunctions:
    """Functions by name, in the place of the Lambda API; keeps what was called."""

    functions: dict[str, Function]
    calls: list[str] = field(default_factory=list)

    def invoke(self, FunctionName: str, Payload: bytes = b"{}", **_: Any) -> dict[str, Any]:  # noqa: N803  boto3's names
        name = FunctionName.rsplit(":", 1)[-1]
        event = json.loads(Payload)
        self.calls.append(name if isinstance(event, dict) else f"{name}:{event}")
        answer: dict[str, Any] = {"StatusCode": 200, "ExecutedVersion": "1"}
        try:
            body = self.functions[name](event)
        except Exception as error:  # noqa: BLE001  as Lambda's runtime does
            body = {"errorType": type(error).__name__, "errorMessage": str(error)}
            answer["FunctionError"] = "Unhandled"
        return {**answer, "Payload": io.BytesIO(json.dumps(body).encode())}


@dataclass
class Execution:
    """One execution and its redrives."""

    definition: dict[str, Any]
    input: Any
    functions: LambdaFunctions
    kind: str = "STANDARD"
    events: list[dict[str, Any]] = field(default_factory=list)
    trail: dict[str, Any] = field(default_factory=dict)
    outcome: moto_asl.Outcome | None = None
    redrives: int = 0

    def start(self) -> Execution:
        self.outcome = None
        self._ended = threading.Event()
        name = f"e{next(_names)}"
        self.run = moto_asl.Run(
            execution=moto_asl.Execution(
                arn=f"arn:aws:states:eu-west-1:000000000000:execution:m:{name}",
                name=name,
                input=self.input,
                start_time="2026-07-31T06:00:00Z",
                role_arn="arn:aws:iam::000000000000:role/machine",
                definition=json.dumps(self.definition),
                state_machine_arn="arn:aws:states:eu-west-1:000000000000:stateMachine:m",
                state_machine_name="m",
                account="000000000000",
                region="eu-west-1",
                kind=self.kind,
            ),
            events=self.events,
            trail=self.trail,
            on_end=self._end,
            redrive=moto_asl.Redrive(count=self.redrives, time="2026-07-31T07:00:00Z") if self.redrives else None,
        )
        self.run.start()
        return self

    def redrive(self) -> Execution:
        self.redrives += 1
        # What a restart of the laptop cloud would keep: plain data.
        self.trail, self.events = json.loads(json.dumps(self.trail)), json.loads(json.dumps(self.events))
        return self.start()

    def wait(self, seconds: float = 20) -> moto_asl.Outcome:
        assert self._ended.wait(seconds), f"still running after {seconds} s: {self.types()}"
        assert self.outcome is not None
        return self.outcome

    def output(self) -> Any:
        outcome = self.wait()
        assert outcome.status == "SUCCEEDED", outcome
        assert outcome.output is not None
        return json.loads(outcome.output)

    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    def wait_for(self, event_type: str, count: int = 1) -> None:
        assert _comes(lambda: self.types().count(event_type) >= count), f"no {event_type}: {self.types()}"

    def wait_for_branch(self, number: int) -> None:
        """Wait until a branch of the state under way has ended, so that no redrive runs it again."""

        def has_ended() -> bool:
            branches = self.trail.get("branches") or []
            return len(branches) > number and bool(branches[number].get("has_ended"))

        assert _comes(has_ended), f"branch {number} has not ended: {self.types()}"

    def _end(self, outcome: moto_asl.Outcome) -> None:
        self.outcome = outcome
        self._ended.set()


def _comes(condition: Callable[[], Any], seconds: float = 20) -> bool:
    pause, end = threading.Event(), time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        pause.wait(0.01)
    return True


class Machines:
    """Starts executions; the fixture of the tests that use it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.functions = LambdaFunctions({})
        monkeypatch.setattr(moto_asl_tasks, "_client", lambda *_: self.functions)

    @property
    def calls(self) -> list[str]:
        return self.functions.calls

    def function(self, name: str, function: Function) -> None:
        self.functions.functions[name] = function

    def start(self, definition: dict[str, Any], given: Any = None, **rest: Any) -> Execution:
        given = {} if given is None else given
        return Execution(definition=definition, input=given, functions=self.functions, **rest).start()


def task(function: str, *, waits: bool = False, **fields: Any) -> dict[str, Any]:
    """A Task in JSONata that invokes `function` with its input, or with its token."""
    payload = {"token": "{% $states.context.Task.Token %}"} if waits else "{% $states.input %}"
    return {
        "Type": "Task",
        "Resource": f"arn:aws:states:::lambda:invoke{'.waitForTaskToken' if waits else ''}",
        "Arguments": {"FunctionName": function, "Payload": payload},
        **({} if waits else {"Output": "{% $states.result.Payload %}"}),
        **({} if "Next" in fields else {"End": True}),
        **fields,
    }


def machine(start: str, **states: dict[str, Any]) -> dict[str, Any]:
    """A state machine in JSONata that begins with `start`."""
    return {"QueryLanguage": "JSONata", "StartAt": start, "States": states}


def sequence(start: str, **states: dict[str, Any]) -> dict[str, Any]:
    """A branch or an iteration that begins with `start`."""
    return {"StartAt": start, "States": states}


def items(processor: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """An inline Map over its input."""
    inline = {"ProcessorConfig": {"Mode": "INLINE"}, **processor}
    end = {} if "Next" in fields else {"End": True}
    return {"Type": "Map", "Items": "{% $states.input %}", "ItemProcessor": inline, **end, **fields}
