"""Check a request against botocore's model of EMR Serverless, with the words that AWS uses."""

from __future__ import annotations

import functools
import re
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "long": int,
    "boolean": bool,
    "double": (int, float),
    "structure": dict,
    "map": dict,
    "list": list,
}


class ValidationError(Exception):
    """The request breaks the model; AWS's ValidationException."""


@functools.cache
def operation(name: str) -> OperationModel:
    """The model of an operation."""
    return botocore.session.get_session().get_service_model("emr-serverless").operation_model(name)


def check_request(name: str, parameters: dict[str, Any]) -> None:
    """Check the parameters of an operation, those of the path included.

    Raises:
        ValidationError: with all that is wrong.
    """
    shape = operation(name).input_shape
    problems = _problems(shape, parameters, "") if shape is not None else []
    if problems:
        number = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected: "
        raise ValidationError(number + "; ".join(problems))


def _problems(shape: Shape, value: Any, path: str) -> list[str]:
    if not _is_of_type(shape.type_name, value):
        return [f"Value at '{path}' failed to satisfy constraint: Member must be of type {shape.type_name}"]
    if isinstance(shape, StructureShape):
        return _structure_problems(shape, value, path)
    if isinstance(shape, ListShape):
        return [problem for i, item in enumerate(value) for problem in _problems(shape.member, item, f"{path}.{i + 1}")]
    if isinstance(shape, MapShape):
        return [problem for key, item in value.items() for problem in _problems(shape.value, item, f"{path}.{key}")]
    return _scalar_problems(shape, value, path)


def _is_of_type(name: str, value: object) -> bool:
    expected = TYPES.get(name, object)
    return isinstance(value, expected) and (not isinstance(value, bool) or name in ("boolean", "timestamp"))


def _structure_problems(shape: StructureShape, value: dict[str, Any], path: str) -> list[str]:
    prefix = f"{path}." if path else ""
    missing = [name for name in shape.required_members if value.get(name) is None]
    problems = [
        f"Value null at '{prefix}{name}' failed to satisfy constraint: Member must not be null" for name in missing
    ]
    for name, member in shape.members.items():
        if value.get(name) is not None:
            problems += _problems(member, value[name], f"{prefix}{name}")
    return problems


def _scalar_problems(shape: Shape, value: Any, path: str) -> list[str]:
    rules: dict[str, Any] = {**shape.metadata}
    at = f"Value at '{path}' failed to satisfy constraint: Member must"
    size, noun = (len(value), "have length") if isinstance(value, str) else (value, "have value")
    if "enum" in rules and value not in rules["enum"]:
        return [f"{at} satisfy enum value set: [{', '.join(rules['enum'])}]"]
    if "min" in rules and size < rules["min"]:
        return [f"{at} {noun} greater than or equal to {rules['min']}"]
    if "max" in rules and size > rules["max"]:
        return [f"{at} {noun} less than or equal to {rules['max']}"]
    pattern = rules.get("pattern")
    if pattern and isinstance(value, str) and not re.fullmatch(pattern, value, re.DOTALL):
        return [f"{at} satisfy regular expression pattern: {pattern}"]
    return []
