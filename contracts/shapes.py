"""How the values of a column are kept: as what kind of JSON value they are judged, and how Spark stores them.

A stored value has one type, so a schema that rules what is stored names one type, alone or with null; an object keeps
every property (null for what is missing), for a Spark struct cannot tell a missing field from a null one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from contracts.errors import UnsupportedKeywordError

TYPES = ("string", "integer", "number", "boolean", "array", "object")
NESTED = ("array", "object")
DEEPEST = 16  # schemas within each other
_PROPERTY = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_DECIMAL = re.compile(r"decimal[(]([0-9]+),([0-9]+)[)]")
_DEFAULTS = {"string": "string", "integer": "bigint", "number": "double", "boolean": "boolean"}
_OF_FORMAT = {"date": "date", "date-time": "timestamp"}
_STORED = {
    "string": ("string",),
    "integer": ("int", "bigint", "double"),
    "number": ("double", "int", "bigint"),
    "boolean": ("boolean",),
}
_KINDS = {"int": "integer", "bigint": "integer", "double": "number"}


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How a value is kept.

    Attributes:
        kind: string, integer, number (a double), decimal, boolean, date, timestamp, array or object.
        stored: the type in the words that Spark and Glue share.
        items: the shape of an array's elements.
        properties: the shapes of an object's properties.
        precision: of a decimal, all digits.
        scale: of a decimal, those after the point.
    """

    kind: str
    stored: str
    items: Shape | None = None
    properties: Mapping[str, Shape] = field(default_factory=dict)
    precision: int = 0
    scale: int = 0


def types_of(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """The types that a schema allows, as a tuple even when it names one."""
    types = schema.get("type", ())
    return (types,) if isinstance(types, str) else tuple(types)


def json_type(where: str, schema: Mapping[str, Any]) -> str:
    """The one type beside null that a stored value has; number where integers are allowed too.

    Raises:
        UnsupportedKeywordError: there is none, more than one, or one that is not known.
    """
    types = {each for each in types_of(schema) if each != "null"}
    if types == {"integer", "number"}:
        return "number"
    if len(types) != 1 or not types <= set(TYPES):
        raise UnsupportedKeywordError(
            f"{where}: keyword type must be one of {TYPES}, alone or with null: a column is stored as one type"
        )
    return types.pop()


def shape_of(where: str, schema: Mapping[str, Any], *, raw: bool = False, depth: int = 0) -> Shape:
    """How the values of a column with this schema are kept.

    Args:
        where: dataset and column, for the error.
        schema: the column's schema.
        raw: the column keeps the text of a parsed layout, and is judged as the value that the text stands for.
        depth: how many arrays and objects it stands in.
    Raises:
        UnsupportedKeywordError: nothing that Spark stores keeps exactly these values.
    """
    if depth > DEEPEST:
        raise UnsupportedKeywordError(f"{where}: more than {DEEPEST} arrays and objects within each other")
    kind = json_type(where, schema)
    if raw:
        if kind in NESTED:
            raise UnsupportedKeywordError(f"{where}: keyword type with {kind}: a cell of text holds one plain value")
        return Shape(kind=kind, stored="string")
    declared = schema.get("x-assay", {}).get("type")
    if kind in NESTED and declared is not None:
        raise UnsupportedKeywordError(f"{where}: x-assay type {declared}: an {kind} is stored as its parts are")
    if kind == "array":
        return _array(where, schema, depth)
    if kind == "object":
        return _object(where, schema, depth)
    return _plain(where, kind, schema.get("format"), declared)


def only_in_case(names: Iterable[str]) -> tuple[str, str] | None:
    """Two names that differ in nothing but case, which Spark and Glue take for one; None when there are none."""
    seen: dict[str, str] = {}
    for name in names:
        if name.lower() in seen:
            return seen[name.lower()], name
        seen[name.lower()] = name
    return None


def _plain(where: str, kind: str, text_format: str | None, declared: str | None) -> Shape:
    stored = declared or (_OF_FORMAT.get(text_format or "") if kind == "string" else None) or _DEFAULTS[kind]
    decimal = _DECIMAL.fullmatch(stored)
    if decimal is not None and kind in ("integer", "number"):
        precision, scale = int(decimal[1]), int(decimal[2])
        if scale <= precision <= 38 and precision and (kind == "number" or scale == 0):
            return Shape(kind="decimal", stored=stored, precision=precision, scale=scale)
    if stored in _STORED[kind] or (kind == "string" and stored == _OF_FORMAT.get(text_format or "")):
        return Shape(kind=_KINDS.get(stored, stored), stored=stored)
    said = f"{kind} of format {text_format}" if text_format else kind
    raise UnsupportedKeywordError(f"{where}: x-assay type {stored} cannot store a {said}")


def _array(where: str, schema: Mapping[str, Any], depth: int) -> Shape:
    items = schema.get("items")
    if not isinstance(items, dict):
        raise UnsupportedKeywordError(f"{where}: keyword items must give the type of an array's elements")
    inner = shape_of(f"{where}: items", items, depth=depth + 1)
    return Shape(kind="array", stored=f"array<{inner.stored}>", items=inner)


def _object(where: str, schema: Mapping[str, Any], depth: int) -> Shape:
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not properties:
        raise UnsupportedKeywordError(f"{where}: keyword properties must name what an object holds")
    if schema.get("additionalProperties") is not False:
        raise UnsupportedKeywordError(f"{where}: keyword additionalProperties must be false: a struct keeps no others")
    if absent := sorted(set(properties) - set(schema.get("required", ()))):
        raise UnsupportedKeywordError(
            f"{where}: keyword required must name {', '.join(absent)}: a struct keeps null for what is missing, so let"
            " its type allow null instead"
        )
    if same := only_in_case(properties):
        raise UnsupportedKeywordError(f"{where}: keyword properties: {same[0]} and {same[1]} differ only in case")
    for name in properties:
        if not _PROPERTY.fullmatch(name):
            raise UnsupportedKeywordError(
                f"{where}: keyword properties: {name!r} is not a name that Spark and Glue keep"
            )
    shapes = {name: shape_of(f"{where}: property {name}", each, depth=depth + 1) for name, each in properties.items()}
    stored = ",".join(f"{name}:{each.stored}" for name, each in shapes.items())
    return Shape(kind="object", stored=f"struct<{stored}>", properties=shapes)
