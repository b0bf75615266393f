"""Which JSON Schema keywords a contract may use, and with which values.

A keyword is allowed only when Python (the head check before any Spark) and Spark (the row rules) give the same verdict
on every row. What is not listed here is refused when the contract is loaded, by name.

Source: JSON Schema 2020-12, Validation and Applicator vocabularies; jsonschema 4.25.1, _keywords.py and _format.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from fractions import Fraction
from typing import Any

from contracts.errors import UnsupportedKeywordError
from contracts.patterns import PatternError, java_pattern
from contracts.shapes import DEEPEST, Shape, only_in_case, shape_of, types_of

COMPOSITES = ("allOf", "anyOf", "oneOf", "not", "if")
BRANCHES = ("then", "else")  # what `if` decides on; they have no verdict of their own
RULES = (
    "type",
    "enum",
    "const",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "items",
    "minItems",
    "maxItems",
    "uniqueItems",
    "properties",
    "required",
    "additionalProperties",
    *COMPOSITES,
    *BRANCHES,
)
TYPES = ("string", "integer", "number", "boolean", "array", "object", "null")
FORMATS = ("date", "date-time", "time", "email", "uuid", "uri", "ipv4", "ipv6", "hostname")
_ANNOTATIONS = {"title", "description", "examples", "$comment", "x-assay"}
_ROW_KEYWORDS = {
    "$schema",
    "$id",
    "type",
    "properties",
    "required",
    "additionalProperties",
    *COMPOSITES,
    *BRANCHES,
    *_ANNOTATIONS,
}
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_LENGTHS = ("minLength", "maxLength", "minItems", "maxItems")
_NUMERIC = ("integer", "number", "decimal")
_TEXT_RULES = ("pattern", "minLength", "maxLength")
_MOMENTS = ("date", "timestamp")


def check_row(dataset: str, schema: Mapping[str, Any]) -> None:
    """Nothing, when the row schema uses only what is judged alike everywhere.

    Raises:
        UnsupportedKeywordError: names the dataset, the column, the keyword and why it is refused.
    """
    for keyword in schema:
        if keyword not in _ROW_KEYWORDS:
            raise UnsupportedKeywordError(f"{dataset}: keyword {keyword} of the row is not supported")
    if schema.get("type") != "object" or schema.get("additionalProperties") is not False:
        raise UnsupportedKeywordError(f"{dataset}: a row has type object and additionalProperties false")
    columns = schema.get("properties", {})
    if same := only_in_case(columns):
        raise UnsupportedKeywordError(f"{dataset}: columns {same[0]} and {same[1]} differ only in case")
    raw = bool(schema.get("x-assay", {}).get("parse"))
    shapes = {}
    for column, rules in columns.items():
        check_column(f"{dataset}: column {column}", rules, raw=raw)
        shapes[column] = shape_of(f"{dataset}: column {column}", rules, raw=raw)
    across = {keyword: schema[keyword] for keyword in (*COMPOSITES, *BRANCHES) if keyword in schema}
    # a column that may be left out of a file is null in Spark, and absent in Python
    always = {name: shape for name, shape in shapes.items() if name in schema.get("required", ())}
    _check(f"{dataset}: row", across, Shape(kind="object", stored="", properties=always), depth=0)


def check_column(where: str, rules: Mapping[str, Any], *, raw: bool = False) -> None:
    """Nothing, when each keyword of one column is supported with its value.

    Args:
        where: dataset and column, for the error.
        rules: the column's schema.
        raw: the column keeps the text of a parsed layout.
    Raises:
        UnsupportedKeywordError: names the keyword and why it is refused.
    """
    _check_names(where, rules)
    _check(where, rules, shape_of(where, rules, raw=raw), depth=0)


def column_types(rules: Mapping[str, Any]) -> tuple[str, ...]:
    """The types a column allows, as a tuple even when the contract names one."""
    return types_of(rules)


def _check_names(where: str, schema: Mapping[str, Any]) -> None:
    for keyword in schema:
        if keyword not in RULES and keyword not in _ANNOTATIONS:
            raise UnsupportedKeywordError(f"{where}: keyword {keyword} is not supported")


def _check(where: str, schema: Any, shape: Shape, *, depth: int) -> None:
    """Nothing, when a schema for values of a shape is supported with all that it holds."""
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        raise UnsupportedKeywordError(f"{where}: {schema!r} is not a schema")
    if depth > DEEPEST:
        raise UnsupportedKeywordError(f"{where}: more than {DEEPEST} schemas within each other")
    _check_names(where, schema)
    for keyword, value in schema.items():
        if keyword in _ANNOTATIONS:
            continue
        problem = _plain_problem(keyword, value, shape)
        if problem:
            raise UnsupportedKeywordError(f"{where}: keyword {keyword} {problem}")
    for branch in BRANCHES:
        if branch in schema and "if" not in schema:
            raise UnsupportedKeywordError(f"{where}: keyword {branch} decides nothing without if")
    for path, inner, of in _schemas_within(where, schema, shape):
        _check(f"{where}: {path}", inner, of, depth=depth + 1)


def _schemas_within(where: str, schema: Mapping[str, Any], shape: Shape) -> Iterable[tuple[str, Any, Shape]]:
    """The schemas that a schema holds: where, the schema, and the shape of the values that it judges."""
    for keyword in ("allOf", "anyOf", "oneOf"):
        for index, each in enumerate(schema.get(keyword, ())):
            yield f"{keyword} {index}", each, shape
    for keyword in ("not", "if", *BRANCHES):
        if keyword in schema:
            yield keyword, schema[keyword], shape
    if shape.items is not None and "items" in schema:
        yield "items", schema["items"], shape.items
    if shape.kind != "object":
        return
    inner = schema.get("properties", {})
    if unknown := sorted({*inner, *schema.get("required", ())} - set(shape.properties)):
        raise UnsupportedKeywordError(
            f"{where}: keyword properties or required names {', '.join(unknown)}: not among the required properties"
            " here, and only of those do Python and Spark know alike whether they are there"
        )
    for name, each in inner.items():
        yield f"property {name}", each, shape.properties[name]
    rest = schema.get("additionalProperties", True)
    for name in sorted(set(shape.properties) - set(inner)) if isinstance(rest, dict) else ():
        yield f"additionalProperties: {name}", rest, shape.properties[name]


def _plain_problem(keyword: str, value: Any, shape: Shape) -> str | None:
    """Why a keyword cannot be judged exactly with this value, for values of the shape; None when it can."""
    if keyword in _BOUNDS:
        return _number_problem(value) or _range_problem(value, shape)
    if keyword == "multipleOf":
        return _number_problem(value) or _multiple_problem(value, shape)
    if keyword in _LENGTHS and (type(value) is not int or not 0 <= value < 2**31):
        return f"with {value!r}: must be a whole number from 0"
    if shape.kind in _MOMENTS and keyword in _TEXT_RULES:
        return f"cannot be judged: the column is stored as {shape.stored}, not as the text that came"
    if keyword == "pattern":
        return _pattern_problem(value)
    if keyword == "format":
        return _format_problem(value, shape)
    if keyword == "type":
        return _type_problem(value, shape)
    if keyword in ("enum", "const"):
        return _values_problem(keyword, value, shape)
    return _structure_problem(keyword, value)


def _structure_problem(keyword: str, value: Any) -> str | None:
    if keyword in ("allOf", "anyOf", "oneOf") and not (isinstance(value, list) and value):
        return "must be a list of schemas"
    if keyword == "uniqueItems" and not isinstance(value, bool):
        return "must be true or false"
    if keyword == "properties" and not isinstance(value, dict):
        return "must be an object of schemas"
    if keyword == "required" and not (isinstance(value, list) and all(isinstance(each, str) for each in value)):
        return "must be a list of names"
    return None


def _number_problem(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return f"with {value!r}: must be a number"
    return None


def _range_problem(bound: float, shape: Shape) -> str | None:
    """Why a bound cannot be compared with values of the shape: they could not hold it."""
    if shape.kind == "integer":
        held = math.floor(bound) > -(2**63) and math.ceil(bound) < 2**63
    elif shape.kind == "decimal":
        held = abs(Fraction(str(bound))) * 10**shape.scale < 10**shape.precision - 1
    else:
        held = shape.kind != "number" or isinstance(bound, float) or abs(bound) < 2**1023
    if not held:
        return f"with {bound!r} is beyond what {shape.stored} can hold"
    return None


def _multiple_problem(step: float, shape: Shape) -> str | None:
    if step <= 0:
        return f"with {step!r}: must be more than 0"
    if shape.kind == "integer" and (step >= 2**63 or (isinstance(step, float) and step < 1e-200)):
        return f"with {step!r} is beyond what {shape.stored} can hold"
    if shape.kind == "number" and isinstance(step, int) and step >= 2**1023:
        return f"with {step!r} is beyond what {shape.stored} can hold"
    if shape.kind == "decimal" and (shape.precision > 28 or not 1e-9 <= step < 1e9):
        return f"with {step!r}: of decimals, only those of 28 digits, in steps from 1e-9 to 1e9, are divided exactly"
    return None


def _pattern_problem(pattern: Any) -> str | None:
    if not isinstance(pattern, str):
        return "must be text"
    try:
        java_pattern(pattern)
    except PatternError as error:
        return f"with {pattern!r}: {error}"
    return None


def _format_problem(name: Any, shape: Shape) -> str | None:
    if name not in FORMATS:
        return f"with {name} is not supported; there are {', '.join(FORMATS)}"
    stored = {"date": "date", "timestamp": "date-time"}.get(shape.kind)
    if stored is not None and name != stored:
        return f"with {name} cannot be judged: the column is stored as {shape.stored}, not as the text that came"
    return None


def _type_problem(value: Any, shape: Shape) -> str | None:
    types = types_of({"type": value})
    if not types or any(each not in TYPES for each in types):
        return f"must be one or more of {TYPES}"
    if shape.kind == "decimal" and shape.scale and "integer" in types and "number" not in types:
        return f"with integer cannot be judged: whether 1.00 is one is not said of a {shape.stored}"
    return None


def _values_problem(keyword: str, value: Any, shape: Shape) -> str | None:
    if keyword == "enum" and not isinstance(value, list):
        return "must be a list of values"
    if not shape.stored:
        return "cannot be judged of a whole row: say it of its properties"
    for each in value if keyword == "enum" else [value]:
        for kind, text in _moments(each, shape):
            if kind == "timestamp" or not _is_day(text):
                return f"cannot be judged: {text} is stored as {kind}, not as the text that came"
    return None


def _moments(value: Any, shape: Shape) -> Iterator[tuple[str, str]]:
    """Each text in a value that would be compared with a date or timestamp, and with which."""
    if isinstance(value, str) and shape.kind in _MOMENTS:
        yield shape.kind, value
    elif isinstance(value, list) and shape.items is not None:
        for each in value:
            yield from _moments(each, shape.items)
    elif isinstance(value, dict):
        for name, inner in shape.properties.items():
            yield from _moments(value.get(name), inner)


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
