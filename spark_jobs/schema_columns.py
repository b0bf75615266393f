"""JSON Schema's keywords as native Spark columns, each with the verdict of jsonschema.

contracts/keywords.py has refused what cannot be told exactly here. Numbers are compared as what they are: a bound moves
to the next value that the column's type holds. A decimal means what its digits say, on both sides. NaN and the
infinities are no JSON numbers, so they break `type`.

Source: jsonschema 4.25.1, _keywords.py and _utils.py (equal, uniq).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction
from functools import reduce
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as sf

from contracts.keywords import COMPOSITES
from contracts.patterns import java_pattern
from contracts.shapes import Shape, types_of
from spark_jobs.format_columns import keeps_format

# a column, or for a row its columns by name
Value = Column | Mapping[str, Column]
_NUMERIC = ("integer", "number", "decimal")
_JSON_TYPES = {"decimal": "number", "date": "string", "timestamp": "string"}


def conditions(schema: Mapping[str, Any], shape: Shape, value: Value) -> Iterator[tuple[str, Column]]:
    """Keyword and condition for each keyword that a value of the shape can break; true (not null) where it does.

    Args:
        schema: a schema that contracts/keywords.py has accepted for the shape.
        shape: how the value is kept.
        value: a column, the variable of a lambda, or for a row its columns by name.
    """
    for keyword, wanted in schema.items():
        broken = None
        if keyword in COMPOSITES:
            broken = _composite(keyword, schema, shape, value)
        elif keyword in ("properties", "additionalProperties"):
            broken = _members(keyword, schema, shape, value)
        elif isinstance(value, Mapping):
            # a row is an object, and of an object no other keyword can be broken
            broken = sf.lit(True) if keyword == "type" and "object" not in types_of(schema) else None
        elif keyword in _KEYWORDS:
            broken = _KEYWORDS[keyword](wanted, shape, value)
        if broken is not None:
            yield keyword, broken


def breaks(schema: Any, shape: Shape, value: Value) -> Column:
    """Whether a value breaks a schema: true or false, never null."""
    if isinstance(schema, bool):
        return sf.lit(not schema)
    return _any_of([broken for _, broken in conditions(schema, shape, value)])


def _any_of(broken: Sequence[Column]) -> Column:
    return sf.coalesce(reduce(Column.__or__, broken), sf.lit(False)) if broken else sf.lit(False)


def _composite(keyword: str, schema: Mapping[str, Any], shape: Shape, value: Value) -> Column:
    if keyword == "not":
        return ~breaks(schema[keyword], shape, value)
    if keyword == "if":
        branches = [breaks(schema.get(branch, True), shape, value) for branch in ("then", "else")]
        return sf.when(~breaks(schema[keyword], shape, value), branches[0]).otherwise(branches[1])
    broken = [breaks(each, shape, value) for each in schema[keyword]]
    if keyword == "allOf":
        return reduce(Column.__or__, broken)
    if keyword == "anyOf":
        return reduce(Column.__and__, broken)
    return reduce(Column.__add__, [(~each).cast("int") for each in broken]) != 1


def _members(keyword: str, schema: Mapping[str, Any], shape: Shape, value: Value) -> Column | None:
    """What `properties` or `additionalProperties` says of an object; None when nothing can break it."""
    named = schema.get("properties", {})
    if shape.kind != "object":
        return None
    rest = dict.fromkeys(set(shape.properties) - set(named), schema[keyword])
    judged = named if keyword == "properties" else rest
    broken = [
        breaks(each, shape.properties[name], value[name])  # both a row and a struct are asked by name
        for name, each in sorted(judged.items())
        if each not in (True, {})
    ]
    if not broken:
        return None
    return _any_of(broken) if isinstance(value, Mapping) else value.isNotNull() & _any_of(broken)


def _type(wanted: Any, shape: Shape, value: Column) -> Column | None:
    types = types_of({"type": wanted})
    kind = _JSON_TYPES.get(shape.kind, shape.kind)
    whole_only = kind == "number" and "number" not in types and "integer" in types
    allowed = kind in types or whole_only or (kind == "integer" and "number" in types)
    if not allowed:
        return value.isNotNull() if "null" in types else sf.lit(True)
    broken = [] if "null" in types else [value.isNull()]
    if shape.kind == "number":
        broken.append(~(sf.abs(value) < math.inf))
        if whole_only:
            broken.append(value != sf.rint(value))
    return reduce(Column.__or__, broken) if broken else None


def _bound(compare: Callable[[Column, Column], Column], *, up: bool) -> Callable[..., Column | None]:
    """A comparison with a bound that has moved up or down to a value of the column's type."""

    def broken(bound: Any, shape: Shape, value: Column) -> Column | None:
        return compare(value, _held(bound, shape, up=up)) if shape.kind in _NUMERIC else None

    return broken


def _held(bound: int | float, shape: Shape, *, up: bool) -> Column:
    if shape.kind == "integer":
        return sf.lit(math.ceil(bound) if up else math.floor(bound))
    if shape.kind == "number":
        near = float(bound)
        if up and near < bound:
            near = math.nextafter(near, math.inf)
        elif not up and near > bound:
            near = math.nextafter(near, -math.inf)
        return sf.lit(near)
    return _decimal(Decimal(str(bound)), shape, ROUND_CEILING if up else ROUND_FLOOR)


def _decimal(number: Decimal, shape: Shape, rounding: str | None = None) -> Column:
    """A number as the column's type holds it, whatever Python's decimal context is."""
    held = number.quantize(Decimal((0, (1,), -shape.scale)), rounding, Context(prec=100))
    return sf.lit(f"{held:f}").cast(shape.stored)


def _multiple(step: Any, shape: Shape, value: Column) -> Column | None:
    """Floats are divided as floats, as jsonschema does it; only where the quotient is too large is it exact there."""
    if shape.kind == "decimal":
        return value % sf.lit(Decimal(str(step))) != 0
    if shape.kind not in _NUMERIC:
        return None
    if isinstance(step, int):
        return value % sf.lit(step if shape.kind == "integer" else float(step)) != 0
    divisor = sf.lit(step)
    quotient = value.cast("double") / divisor
    uneven = quotient != sf.rint(quotient)
    if abs(step) >= 1:
        return uneven
    return sf.when(sf.abs(quotient) < math.inf, uneven).otherwise(value.cast("double") % divisor != 0)


def _text(broken: Callable[[Any, Column], Column]) -> Callable[..., Column | None]:
    return lambda wanted, shape, value: broken(wanted, value) if shape.kind == "string" else None


def _array(broken: Callable[[Any, Shape, Column], Column | None]) -> Callable[..., Column | None]:
    return lambda wanted, shape, value: broken(wanted, shape.items, value) if shape.kind == "array" else None


def _items(wanted: Any, shape: Shape, value: Column) -> Column | None:
    if wanted in (True, {}):
        return None
    return sf.exists(value, lambda item: breaks(wanted, shape, item))


def _unique(wanted: bool, shape: Shape, value: Column) -> Column | None:
    if not wanted:
        return None
    # 0.0 and -0.0 are one number
    items = sf.transform(value, lambda item: item + sf.lit(0.0)) if shape.kind == "number" else value
    return sf.size(sf.array_distinct(items)) < sf.size(value)


def _among(wanted: Sequence[Any], shape: Shape, value: Column) -> Column:
    """True where a value is none of those wanted; null for null where the values have no null."""
    nulls = None in wanted
    if shape.kind in ("array", "object"):
        equal = [_equal(each, shape, value) for each in wanted if each is not None]
        outside = ~_any_of(equal)
        return value.isNotNull() & outside if nulls else outside
    literals = [literal for each in wanted for literal in _literals(each, shape)]
    if not literals:
        return value.isNotNull() if nulls else sf.lit(True)
    outside = ~value.isin(*literals)
    return outside if nulls else value.isNull() | outside


def _equal(wanted: Any, shape: Shape, value: Column) -> Column:
    """Whether a value is the one wanted; null counts as not."""
    if wanted is None:
        return value.isNull()
    if shape.kind == "array" and shape.items is not None:
        if not isinstance(wanted, list):
            return sf.lit(False)
        parts = [_equal(each, shape.items, sf.get(value, sf.lit(index))) for index, each in enumerate(wanted)]
        return reduce(Column.__and__, parts, sf.size(value) == len(wanted))
    if shape.kind == "object":
        if not isinstance(wanted, dict) or set(wanted) != set(shape.properties):
            return sf.lit(False)
        parts = [_equal(each, shape.properties[name], value[name]) for name, each in wanted.items()]
        return reduce(Column.__and__, parts, value.isNotNull())
    literals = _literals(wanted, shape)
    return value.isin(*literals) if literals else sf.lit(False)


def _literals(wanted: Any, shape: Shape) -> list[Column]:
    """The stored values that equal a value of the contract; none when the column's type holds no such value.

    In JSON 1 equals 1.0 and true equals neither.
    """
    if shape.kind in ("string", "date"):
        return [sf.lit(wanted).cast(shape.kind)] if isinstance(wanted, str) else []
    if shape.kind == "boolean":
        return [sf.lit(wanted)] if isinstance(wanted, bool) else []
    if isinstance(wanted, bool) or not isinstance(wanted, int | float) or not math.isfinite(wanted):
        return []
    if shape.kind == "integer":
        return [sf.lit(int(wanted))] if wanted == int(wanted) and -(2**63) <= wanted < 2**63 else []
    if shape.kind == "number":
        if abs(wanted) >= 2**1024 or float(wanted) != wanted:
            return []
        # a long list is looked up in a set, where the two zeros differ
        return [sf.lit(0.0), sf.lit(-0.0)] if wanted == 0 else [sf.lit(float(wanted))]
    exact = Fraction(str(wanted)) * 10**shape.scale
    held = shape.kind == "decimal" and exact.denominator == 1 and abs(exact) < 10**shape.precision
    return [_decimal(Decimal(str(wanted)), shape)] if held else []


_KEYWORDS: Mapping[str, Callable[..., Column | None]] = {
    "type": _type,
    "enum": _among,
    "const": lambda wanted, shape, value: _among([wanted], shape, value),
    "minimum": _bound(lambda value, bound: value < bound, up=True),
    "exclusiveMinimum": _bound(lambda value, bound: value <= bound, up=False),
    "maximum": _bound(lambda value, bound: value > bound, up=False),
    "exclusiveMaximum": _bound(lambda value, bound: value >= bound, up=True),
    "multipleOf": _multiple,
    "minLength": _text(lambda wanted, value: sf.char_length(value) < sf.lit(wanted)),
    "maxLength": _text(lambda wanted, value: sf.char_length(value) > sf.lit(wanted)),
    "pattern": _text(lambda wanted, value: ~value.rlike(java_pattern(wanted))),
    "format": _text(lambda wanted, value: value.isNotNull() & ~keeps_format(wanted, value)),
    "items": _array(_items),
    "minItems": _array(lambda wanted, _, value: sf.size(value) < sf.lit(wanted)),
    "maxItems": _array(lambda wanted, _, value: sf.size(value) > sf.lit(wanted)),
    "uniqueItems": _array(_unique),
}
