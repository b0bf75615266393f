"""Whether AWS would accept a definition: what the interpreter reads, and transitions that lead somewhere.

Source: https://docs.aws.amazon.com/step-functions/latest/apireference/API_CreateStateMachine.html (InvalidDefinition)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any

from local.seams import moto_asl
from local.seams.ministack_states import Response, reply
from local.stepfunctions import jsonata


def find_problem(definition: str) -> str | None:
    """What is wrong with `definition`, in the words of CreateStateMachine; None for a good one."""
    try:
        machine = json.loads(definition)
    except ValueError as error:
        return f"INVALID_JSON_DESCRIPTION: {error}"
    if not isinstance(machine, dict):
        return "INVALID_JSON_DESCRIPTION: the definition is not a JSON object"
    try:
        moto_asl.parse(definition)
    except moto_asl.InvalidDefinitionError as error:
        return str(error)
    problems = chain(
        _find_bad_expressions(machine, "") if "JSONata" in definition else (), _find_dead_ends(machine, "")
    )
    return next(problems, None)


def validate(data: dict[str, Any]) -> Response:
    """ValidateStateMachineDefinition."""
    problem = find_problem(data.get("definition") or "")
    if problem is None:
        return reply({"result": "OK", "diagnostics": [], "truncated": False})
    code, _, message = problem.partition(": ")
    diagnostic = {"severity": "ERROR", "code": code, "message": message}
    return reply({"result": "FAIL", "diagnostics": [diagnostic], "truncated": False})


def _find_bad_expressions(node: Any, path: str) -> Iterator[str]:
    if isinstance(node, dict):
        for name, member in node.items():
            yield from _find_bad_expressions(member, f"{path}/{name}")
    elif isinstance(node, list):
        for number, member in enumerate(node):
            yield from _find_bad_expressions(member, f"{path}[{number}]")
    elif isinstance(node, str) and node.startswith("{%") and node.endswith("%}"):
        try:
            jsonata.check(node[2:-2])
        except jsonata.JsonataError as error:
            yield f"INVALID_JSONATA_EXPRESSION: {error} at {path}"


def _find_dead_ends(machine: dict[str, Any], path: str) -> Iterator[str]:
    states = machine.get("States", {})
    if machine.get("StartAt") not in states:
        yield _missing("StartAt", machine.get("StartAt"), f"{path}/StartAt")
    for name, state in states.items():
        here = f"{path}/States/{name}"
        for where, target in _transitions(state):
            if target not in states:
                yield _missing(where.rsplit("/", 1)[-1], target, f"{here}/{where}")
        for where, inner in _machines(state):
            yield from _find_dead_ends(inner, f"{here}/{where}")


def _transitions(state: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for field in ("Next", "Default"):
        if field in state:
            yield field, state[field]
    for field in ("Choices", "Catch"):
        for number, rule in enumerate(state.get(field, [])):
            if "Next" in rule:
                yield f"{field}[{number}]/Next", rule["Next"]


def _machines(state: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for field in ("ItemProcessor", "Iterator"):
        if field in state:
            yield field, state[field]
    for number, branch in enumerate(state.get("Branches", [])):
        yield f"Branches[{number}]", branch


def _missing(field: str, target: Any, path: str) -> str:
    return f"MISSING_TRANSITION_TARGET: Missing '{field}' target: {target} at {path}"
