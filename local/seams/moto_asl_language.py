"""Repairs of moto's interpreter in the language itself: parsing, JSONata, error names, Choice, Wait, variables.

Source: https://states-language.net/spec.html; https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html
and concepts-error-handling.html.
"""

from __future__ import annotations

import datetime
import functools
import json
import re
from typing import Any

from moto.stepfunctions.parser.api import EvaluationFailedEventDetails, ExecutionFailedEventDetails, HistoryEventType
from moto.stepfunctions.parser.asl.antlr.runtime.ASLParser import ASLParser
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.error_equals_decl import ErrorEqualsDecl
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.common.string.string_expression import (
    StringJSONata,
    StringVariableSample,
)
from moto.stepfunctions.parser.asl.component.intrinsic.jsonata import get_intrinsic_functions_declarations
from moto.stepfunctions.parser.asl.component.state.choice.state_choice import StateChoice
from moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task import StateTask
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.timestamp import Timestamp
from moto.stepfunctions.parser.asl.eval.callback.callback import HeartbeatTimeoutError
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.eval.variable_store import VariableStore
from moto.stepfunctions.parser.asl.parse.preprocessor import Preprocessor

from local.seams.moto_asl_repair import repair
from local.stepfunctions import jsonata

_REFERENCE = re.compile(r"\$([A-Za-z_]\w*)")
# moto writes these in JSONata, as AWS's answers have them; of the others it has stubs, and local.stepfunctions.jsonata
# has them.
_DECLARED_IN_JSONATA = {"$partition", "$range", "$randomSeeded"}
_FIELDS = (
    *("Output", "Assign", "Arguments", "Items", "ItemSelector", "TimeoutSeconds", "HeartbeatSeconds", "MaxConcurrency"),
    *("Seconds", "Timestamp", "Condition", "Error", "Cause", "ToleratedFailureCount", "ToleratedFailurePercentage"),
)


@repair(Preprocessor, "__init__")
def _query_languages_of_one_definition(moto_init: Any, self: Any, *args: Any, **kwargs: Any) -> None:
    """Keep the stack of query languages per parser.

    moto has it as a class attribute: a definition refused halfway leaves its language there, and every definition
    parsed later in the process is read in it.
    """
    moto_init(self, *args, **kwargs)
    self._query_language_per_scope = []


@repair(Preprocessor, "_inner_string_of")
def _decode_string(moto_string: Any, parser_rule_context: Any) -> str | None:
    """Decode the escapes of a JSON string; moto keeps them as they are written, in literals and names of states.

    Paths keep them: the library that reads them decodes once itself.
    """
    text = parser_rule_context.getText()
    if isinstance(parser_rule_context, ASLParser.String_literalContext) and text.startswith('"'):
        return str(json.loads(text))
    return moto_string(parser_rule_context)  # type: ignore[no-any-return]


def path_of_field(component: Any) -> str | None:
    """The name under which a component stands in the definition; None for those that have none of their own."""
    if hasattr(component, "identifier"):
        return str(component.identifier)
    return _field_named(type(component).__name__)


@functools.cache  # asked for every part of every state
def _field_named(name: str) -> str | None:
    return next((field for field in _FIELDS if name.startswith(field)), None)


def query_error(env: Any, cause: str) -> FailureEventException:
    """States.QueryEvaluationError, told in the history as AWS tells it."""
    name = StatesErrorName(typ=StatesErrorNameType.StatesQueryEvaluationError)
    error = FailureEventException(
        FailureEvent(
            env=env,
            error_name=name,
            event_type=HistoryEventType.EvaluationFailed,
            event_details=EventDetails(
                evaluationFailedEventDetails=EvaluationFailedEventDetails(error=name.error_name, cause=cause)
            ),
        )
    )
    env.event_manager.add_event(
        context=env.event_history_context,
        event_type=HistoryEventType.EvaluationFailed,
        event_details=EventDetails(evaluationFailedEventDetails=error.get_evaluation_failed_event_details()),
    )
    return error


def _variables(env: Any, expression: str) -> dict[str, Any]:
    store = env.variable_store
    scope = {**store._outer_scope, **store._inner_scope}
    return {name: scope[name] for name in _REFERENCE.findall(expression) if name in scope}


def _states(env: Any, expression: str) -> dict[str, Any]:
    known = env.states._states_data
    return {"states": {name: known[name] for name in known if name in expression}} if "$states" in expression else {}


@repair(StringJSONata, "_eval_body")
def _evaluate_jsonata(_: Any, self: Any, env: Any) -> None:
    """Evaluate JSONata.

    moto ships the evaluator as None, writes variables into the expression without escaping their quotes, and lets
    an expression that raises end the execution with an error that cannot be caught.
    """
    used = {f"${name}" for name in _REFERENCE.findall(self.expression)}
    functions = get_intrinsic_functions_declarations(used & _DECLARED_IN_JSONATA)
    field = "/".join(env.fields)
    told = f"The JSONata expression '{self.expression}' specified for the field '{field}'"
    bindings = {**_states(env, self.expression), **_variables(env, self.expression)}
    try:
        answer = jsonata.evaluate(f"({functions}{self.expression})", bindings)
    except jsonata.JsonataError as error:
        if "unsupported result type" in str(error):
            raise query_error(env, f"{told} {error}") from error
        code = f"{error.code}: " if error.code else ""
        raise query_error(env, f"{told} threw an error during evaluation. {code}{error}") from error
    if answer is jsonata.UNDEFINED:
        raise query_error(env, f"{told} returned nothing (undefined).")
    env.stack.append(answer)


@repair(StringVariableSample, "_eval_body")
def _read_variable(_: Any, self: Any, env: Any) -> None:
    """Read a variable from JSONPath, which moto does through the same missing evaluator."""
    bindings = {**_states(env, self.expression), **_variables(env, self.expression)}
    answer = jsonata.evaluate(self.expression, bindings)
    env.stack.append(None if answer is jsonata.UNDEFINED else answer)


@repair(VariableStore, "get_assigned_variables")
def _assigned_variables(_: Any, self: Any) -> dict[str, str]:
    """Write assigned variables into the history as JSON; moto puts strings between quotes without escaping them."""
    return {name: json.dumps(self.get(name), separators=(",", ":")) for name in self._declaration_tracing}


@repair(CustomErrorName, "__init__")
def _any_error_name(_: Any, self: Any, error_name: str | None) -> None:
    """Carry States.* errors out of a Map or Parallel.

    moto builds the state's error from its branch's name with this class, which refuses names that start with
    States.: States.Timeout became States.Runtime there and could not be caught.
    """
    self.error_name = error_name


@repair(ErrorEqualsDecl, "_eval_body")
def _match_error(_: Any, self: Any, env: Any) -> None:
    """Match errors by name alone, wherever they were raised.

    States.TaskFailed does not stand for a timeout; moto decides that by the class of the name, which a States.Timeout
    that came out of a Map does not have. A missed heartbeat is told as States.Timeout and answers to
    States.HeartbeatTimeout too.
    """
    raised = env.stack.pop()
    names = {declared.error_name for declared in self.error_names}
    is_wildcard = "States.ALL" in names
    is_task_failed = "States.TaskFailed" in names and not _is_states_error(raised)
    is_heartbeat = "States.HeartbeatTimeout" in names and getattr(raised, "is_heartbeat", False)
    env.stack.append(is_wildcard or is_task_failed or is_heartbeat or raised.error_name in names)


def _is_states_error(raised: Any) -> bool:
    return isinstance(raised, StatesErrorName) or (raised.error_name or "").startswith("States.")


@repair(StateTask, "_from_error")
def _tell_heartbeat(moto_from_error: Any, self: Any, env: Any, ex: Exception) -> Any:
    """Mark a missed heartbeat, which moto reports like any other timeout."""
    event = moto_from_error(self, env, ex)
    if isinstance(ex, HeartbeatTimeoutError):
        event.error_name.is_heartbeat = True
    return event


@repair(StateChoice, "_eval_state")
def _choose(_: Any, self: Any, env: Any) -> None:
    """Take the first rule that holds, or Default.

    moto recognises Default by its target: a rule that led to the same state applied the Assign and Output of both.
    Without a match and without Default it raises a plain error, where AWS has States.NoChoiceMatched.
    """
    for rule in self.choices_decl.rules:
        rule.eval(env)
        if env.stack.pop() is True:
            env.heap["took_default"] = False
            env.stack.append(rule.next_stmt.name)
            return
    if self.default_state is None:
        raise _failure(env, StatesErrorNameType.StatesNoChoiceMatched, "No choice rule matched the input.")
    env.heap["took_default"] = True
    env.stack.append(self.default_state.state_name)


@repair(StateChoice, "_eval_state_output")
def _leave_choice(_: Any, self: Any, env: Any) -> None:
    """Apply the state's own Assign and Output on the way to Default only (see _choose)."""
    next_state = env.stack.pop()
    if env.heap.pop("took_default"):
        for declaration in (self.assign_decl, self.output):
            if declaration:
                declaration.eval(env=env)
    if self._is_language_query_jsonpath():
        if self.output_path:
            self.output_path.eval(env=env)
        else:
            env.states.reset(input_value=env.stack.pop())
    env.next_state_name = next_state


@repair(Timestamp, "_get_wait_seconds")
def _seconds_until(_: Any, self: Any, env: Any) -> float:
    """Count in UTC and to the fraction of a second; moto compares with the local clock and drops the fraction.

    In JSONata a text that is no timestamp is States.QueryEvaluationError.
    """
    self.string.eval(env=env)
    text = env.stack.pop()
    moment = self._from_timestamp_string(timestamp=text)
    if moment is None:
        if isinstance(self.string, StringJSONata):
            cause = (
                f"The Timestamp field cannot be parsed as an ISO-8601 extended offset date-time format string: {text}"
            )
            raise query_error(env, cause)
        raise FailureEventException(self._create_failure_event(env, text))
    now = datetime.datetime.now(datetime.UTC)
    return float((moment.replace(tzinfo=datetime.UTC) - now).total_seconds())


def runtime_error(env: Any, cause: str) -> FailureEventException:
    """States.Runtime, which ends the execution."""
    return _failure(env, StatesErrorNameType.StatesRuntime, cause)


def _failure(env: Any, kind: StatesErrorNameType, cause: str) -> FailureEventException:
    details = ExecutionFailedEventDetails(error=kind.to_name(), cause=cause)
    return FailureEventException(
        FailureEvent(
            env=env,
            error_name=StatesErrorName(typ=kind),
            event_type=HistoryEventType.ExecutionFailed,
            event_details=EventDetails(executionFailedEventDetails=details),
        )
    )
