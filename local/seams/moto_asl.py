"""moto's interpreter of the Amazon States Language as a library: definitions in, histories and outcomes out.

The repairs are in moto_asl_language (expressions, errors), moto_asl_flow (stopping, branches, redrive), moto_asl_trail
(where a redrive starts) and moto_asl_tasks (tokens, clients). Nothing else of the project imports moto.

Source: moto 5.2.5, moto/stepfunctions/parser; https://docs.aws.amazon.com/step-functions/latest/apireference
"""

from __future__ import annotations

import contextlib
import contextvars
import datetime
import functools
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from local.seams import moto_asl_repair as _repair  # noqa: F401  first: it imports moto without what is not needed

# isort: split
from moto.stepfunctions.parser.api import StateMachineType
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.evaluation_details import AWSExecutionDetails
from moto.stepfunctions.parser.asl.eval.event.event_manager import EventHistoryContext, EventManager
from moto.stepfunctions.parser.asl.eval.program_state import ProgramEnded, ProgramError
from moto.stepfunctions.parser.asl.eval.states import ContextObjectData, ExecutionData, StateMachineData
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser, ASLParserException
from moto.stepfunctions.parser.asl.utils.encoding import to_json_str

from local.seams import moto_asl_flow as _flow  # noqa: F401  its repairs
from local.seams.moto_asl_stops import Stopped, in_thread, is_stopped
from local.seams.moto_asl_tasks import InvalidToken, TaskTimedOut, beat, connect, fail, state_machine_of, succeed
from local.seams.moto_asl_trail import Trail

__all__ = [
    "Execution",
    "InvalidDefinitionError",
    "InvalidToken",
    "Outcome",
    "Redrive",
    "Run",
    "TaskTimedOut",
    "beat",
    "connect",
    "fail",
    "parse",
    "state_machine_of",
    "succeed",
]


class InvalidDefinitionError(ValueError):
    """A definition that the interpreter cannot read."""


@dataclass(frozen=True, kw_only=True)
class Execution:
    """What stays the same over the redrives of an execution."""

    arn: str
    name: str
    input: Any
    start_time: str
    role_arn: str
    definition: str
    state_machine_arn: str
    state_machine_name: str
    account: str
    region: str
    kind: str = "STANDARD"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended: SUCCEEDED with an output (JSON text), FAILED, TIMED_OUT or ABORTED."""

    status: str
    output: str | None = None
    error: str | None = None
    cause: str | None = None


@dataclass(frozen=True, kw_only=True)
class Redrive:
    """A run that is not the first of its execution."""

    count: int
    time: str


_parsing = threading.Lock()  # ANTLR's parsers share the tables they build up


@functools.lru_cache(maxsize=128)  # parsing the day's machine takes most of a second
def parse(definition: str) -> Any:
    """Read a definition.

    Raises:
        InvalidDefinitionError: says what the interpreter cannot read.
    """
    try:
        return AmazonStateLanguageParser.parse(json.dumps(_as_moto_reads(json.loads(definition)), ensure_ascii=False))[
            0
        ]
    except ASLParserException as error:
        raise InvalidDefinitionError(f"SCHEMA_VALIDATION_FAILED: {error}") from error
    except RecursionError as error:
        raise InvalidDefinitionError("SCHEMA_VALIDATION_FAILED: the definition is nested too deeply") from error
    except Exception as error:
        raise InvalidDefinitionError(f"SCHEMA_VALIDATION_FAILED: {type(error).__name__}: {error}") from error


def _as_moto_reads(node: Any) -> Any:
    """`node` with a whole ToleratedFailurePercentage as a fraction, the only form that moto's grammar has."""
    if isinstance(node, dict):
        return {
            key: float(value) if key == "ToleratedFailurePercentage" and type(value) is int else _as_moto_reads(value)
            for key, value in node.items()
        }
    return [_as_moto_reads(member) for member in node] if isinstance(node, list) else node


class _Journal(EventManager):
    """Writes an execution's history, up to its end and no further."""

    def __init__(self, events: list[dict[str, Any]]) -> None:
        super().__init__()
        self._events = events
        self._is_closed = False

    def add_event(
        self,
        context: Any,
        event_type: Any,
        event_details: Any = None,
        timestamp: Any = None,  # noqa: ARG002  moto's signature
        update_source_event_id: bool = True,
    ) -> int:
        with self._mutex:
            if self._is_closed or is_stopped(getattr(context, "frame", None)):
                raise Stopped  # a call that came back after its execution or branch was over
            if event_type.value == "EvaluationFailed" and self._is_told(event_details):
                return context.last_published_event_id  # type: ignore[no-any-return]
            number = self._write(context.source_event_id, event_type.value, event_details)
            context.last_published_event_id = number
            if update_source_event_id:
                context.source_event_id = number
            return number

    def close(self, event_type: str, details: dict[str, Any], *, previous: int) -> None:
        """Write the last event; what comes later raises Stopped."""
        with self._mutex:
            self._write(previous, event_type, details)
            self._is_closed = True

    def _is_told(self, details: Any) -> bool:
        # moto reports one failed expression where it is evaluated and again in the state it belongs to.
        told = next((event for event in reversed(self._events) if event["type"] == "EvaluationFailed"), None)
        cause = details["evaluationFailedEventDetails"].get("cause", "")
        return told is not None and told["evaluationFailedEventDetails"].get("cause", "").endswith(cause)

    def _write(self, previous: int, event_type: str, details: Any) -> int:
        number = len(self._events) + 1
        now = datetime.datetime.now(datetime.UTC).timestamp()
        event = {"timestamp": round(now, 3), "type": event_type, "id": number, "previousEventId": previous}
        for name, body in (details or {}).items():
            event[name] = {key: value for key, value in body.items() if value is not None}
        self._events.append(event)
        return number


@dataclass(kw_only=True)
class Run:
    """One run of an execution: its start or a redrive.

    Args:
        execution: what to run.
        events: the history so far, written in place.
        trail: where the execution has come to (see Trail), written in place; empty at first.
        redrive: None for the first run.
        on_start: called in the run's own thread before its first state.
        on_end: called once, from the run's own thread or the one that stopped it.
    """

    execution: Execution
    events: list[dict[str, Any]]
    trail: dict[str, Any]
    on_end: Callable[[Outcome], None]
    on_start: Callable[[], None] = lambda: None
    redrive: Redrive | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _has_ended: bool = False
    _timer: threading.Timer | None = None

    def __post_init__(self) -> None:
        """Prepare the run; it begins with `start`."""
        self._journal = _Journal(self.events)
        self._env = self._environment()

    def start(self) -> None:
        """Run in a thread of its own."""
        self._tell_start()
        in_thread(self._run, f"execution-{self.execution.name}")

    def stop(self, error: str | None, cause: str | None) -> bool:
        """Abort; False when the run has ended already."""
        return self._end(
            Outcome(status="ABORTED", error=error, cause=cause), {"error": error, "cause": cause}, previous=0
        )

    def break_off(self, error: str, cause: str) -> bool:
        """Fail, wherever it is; False when the run has ended already."""
        return self._end(
            Outcome(status="FAILED", error=error, cause=cause), {"error": error, "cause": cause}, previous=0
        )

    def _run(self) -> None:
        self.on_start()
        try:
            program = parse(self.execution.definition)
            self._limit(program)
            program.eval(self._env)
        except Stopped:
            return  # whoever stopped it has told how it ended
        except Exception as error:  # noqa: BLE001  whatever it is, the execution has to end
            self._fail({"error": "States.Runtime", "cause": f"{type(error).__name__}: {error}"})
            return
        state = self._env.program_state()
        if isinstance(state, ProgramEnded):
            output = to_json_str(self._env.states.get_input(), separators=(",", ":"))
            details = {"output": output, "outputDetails": {"truncated": False}}
            self._end(Outcome(status="SUCCEEDED", output=output), details)
        elif isinstance(state, ProgramError):
            self._fail(dict(state.error or {}))

    def _fail(self, details: dict[str, Any]) -> None:
        details = {key: details[key] for key in ("error", "cause") if details.get(key) is not None}
        self._end(Outcome(status="FAILED", **details), details)

    def _limit(self, program: Any) -> None:
        """Start the execution's own TimeoutSeconds, afresh on each redrive."""
        if program.timeout_seconds:
            end = partial(contextvars.copy_context().run, self._end, Outcome(status="TIMED_OUT"), {})
            self._timer = threading.Timer(program.timeout_seconds.timeout_seconds, end)
            self._timer.daemon = True
            self._timer.start()

    def _end(self, outcome: Outcome, details: dict[str, Any], previous: int | None = None) -> bool:
        with self._lock:
            if self._has_ended:
                return False
            self._has_ended = True
        if self._timer is not None:
            self._timer.cancel()
        event_type = {
            "SUCCEEDED": "ExecutionSucceeded",
            "FAILED": "ExecutionFailed",
            "TIMED_OUT": "ExecutionTimedOut",
            "ABORTED": "ExecutionAborted",
        }[outcome.status]
        last = self._env.event_history_context.source_event_id if previous is None else previous
        field_name = f"{event_type[0].lower()}{event_type[1:]}EventDetails"
        self._journal.close(event_type, {field_name: details}, previous=last)
        with contextlib.suppress(Stopped):
            self._env.set_stop(stop_date=None, cause=outcome.cause, error=outcome.error)
        self.on_end(outcome)
        return True

    def _tell_start(self) -> None:
        context = self._env.event_history_context
        if self.redrive is not None:
            context.source_event_id = self._journal._write(
                len(self.events),
                "ExecutionRedriven",
                {"executionRedrivenEventDetails": {"redriveCount": self.redrive.count}},
            )
            return
        details = {
            "input": to_json_str(self.execution.input),
            "inputDetails": {"truncated": False},
            "roleArn": self.execution.role_arn,
        }
        # The states that follow name event 0 as their predecessor, as on AWS.
        self._journal._write(0, "ExecutionStarted", {"executionStartedEventDetails": details})

    def _environment(self) -> Any:
        execution = self.execution
        data: dict[str, Any] = {
            "Id": execution.arn,
            "Input": execution.input,
            "Name": execution.name,
            "RoleArn": execution.role_arn,
            "StartTime": execution.start_time,
            "RedriveCount": self.redrive.count if self.redrive else 0,
        }
        if self.redrive is not None:
            data["RedriveTime"] = self.redrive.time
        env: Any = Environment(
            aws_execution_details=AWSExecutionDetails(execution.account, execution.region, execution.role_arn),
            execution_type=StateMachineType(execution.kind),
            context=ContextObjectData(
                Execution=ExecutionData(**data),
                StateMachine=StateMachineData(Id=execution.state_machine_arn, Name=execution.state_machine_name),
            ),
            event_history_context=EventHistoryContext.of_program_start(),
            cloud_watch_logging_session=None,
            activity_store={},
        )
        env.event_manager = self._journal
        env.trail = Trail(self.trail, is_redriven=self.redrive is not None)
        return env
