"""A contract's row rules as native Spark columns, and its columns as a Spark schema.

jsonschema is the oracle (contracts/text.py judges the head of a file with it), and the two must never differ on a row.
No Python runs per row.

Source: JSON Schema 2020-12, Validation; the parse of contracts/text.py.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf
from pyspark.sql.types import StringType, StructField, StructType, _parse_datatype_string

from contracts.contract import CSV, JSON_LINES, RUN_COLUMNS, Contract, Field, ParseSpec
from contracts.errors import UnsupportedKeywordError
from contracts.text import EVERY_COLUMN, INTEGER_PATTERN, NUMBER_PATTERN

LAYOUT_COLUMN = "_layout"  # the raw line, where it is not one of the layout
SHAPE_COLUMN = "_shape"  # the index of the first of shape_rules that an object of JSON breaks
_LAYOUTS = {CSV: "as many cells as the header", JSON_LINES: "one flat object of strict JSON"}
_BETWEEN_CELLS = "\x01"
_DATE = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_DATE_TIME = (
    "^[0-9]{4}-(0[1-9]|1[0-2])-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]+)?"
    "(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)


@dataclass(frozen=True, kw_only=True)
class RowRule:
    """One rule on one column, by name."""

    column: str
    rule: str
    expected: Any


@dataclass(frozen=True, kw_only=True)
class RowRules:
    """A contract's rules in order, and `first_broken`: the index of the first that a row breaks, null for none."""

    rules: tuple[RowRule, ...]
    first_broken: Column


def stored_schema(contract: Contract, **extra: str) -> StructType:
    """The table's columns as Spark types; `extra` names further columns with their types."""
    columns = [*contract.columns, *extra.items()]
    return StructType([StructField(name, _parse_datatype_string(type_)) for name, type_ in columns])


def received_schema(contract: Contract) -> StructType:
    """The columns as a source gives them, without those that the pipeline adds."""
    own = {name for name, _ in RUN_COLUMNS[contract.layer]}
    return StructType([each for each in stored_schema(contract).fields if each.name not in own])


def parsed(contract: Contract, rows: DataFrame) -> DataFrame:
    """The rows with the columns that expectations speak of as values: null tokens are null, numbers are numbers.

    Other columns stay as they are. A contract without a parse is typed already.
    """
    if contract.parse is None:
        return rows
    said = json.dumps([dict(each.kwargs) for each in contract.expectations])
    spoken_of = [field for field in contract.fields if field.name in said]
    return rows.withColumns({field.name: value(contract, field) for field in spoken_of})


def value(contract: Contract, field: Field) -> Column:
    """A column's value after the parse, for expectations; null also where the text is not of its type."""
    given = sf.col(field.name)
    return given if contract.parse is None else _value_of_text(field, _null_for_tokens(contract.parse, given))


def row_rules(contract: Contract) -> RowRules:
    """Every rule of the contract; a row is reported under the first one that it breaks.

    Columns under the same rules, such as forty currencies, are judged by one lambda over an array of them: written
    out column by column, so wide a row outgrows what the JVM compiles, and planning alone takes seconds.
    """
    rules: list[RowRule] = []
    found: list[Column] = []
    if contract.parse is not None:
        rules.append(RowRule(column=EVERY_COLUMN, rule="layout", expected=_LAYOUTS[contract.parse.layout]))
        found.append(sf.when(sf.col(LAYOUT_COLUMN).isNotNull(), sf.lit(0)))
        if contract.parse.layout == JSON_LINES:
            found.append(sf.col(SHAPE_COLUMN) + len(rules))
            rules.extend(shape_rules(contract))
    for fields in _alike(contract):
        start = len(rules)
        keywords = _conditions(contract, fields[0], sf.col(fields[0].name))
        for field in fields:
            rules.extend(
                RowRule(column=field.name, rule=keyword, expected=field.rules.get(keyword, "UTF-8 text"))
                for keyword, _ in keywords
            )
        if keywords:
            found.append(_first_broken(contract, fields, start, keywords))
    return RowRules(rules=tuple(rules), first_broken=sf.least(*found) if len(found) > 1 else found[0])


def shape_rules(contract: Contract) -> list[RowRule]:
    """What an object of JSON may break as a whole: keys that the contract has not, keys left out, kinds of values."""
    rules = [RowRule(column=EVERY_COLUMN, rule="additionalProperties", expected="the contract's columns alone")]
    for field in contract.fields:
        rules.append(RowRule(column=field.name, rule="required", expected="the key in every object"))
        rules.append(RowRule(column=field.name, rule="type", expected=field.json_type))
    return rules


def shape_rule_index(rule: str | None, position: int) -> int:
    """Where a rule on the column at a position stands in shape_rules; None is the rule on the whole object."""
    return 0 if rule is None else 1 + 2 * position + (rule == "type")


def _alike(contract: Contract) -> list[list[Field]]:
    """The columns, those under the same rules together, in the order of the first of each."""
    groups: dict[str, list[Field]] = {}
    for field in contract.fields:
        likeness = json.dumps([field.type, field.json_type, field.nullable, dict(field.rules)])
        groups.setdefault(likeness, []).append(field)
    return list(groups.values())


def _first_broken(
    contract: Contract, fields: Sequence[Field], start: int, keywords: Sequence[tuple[str, Column]]
) -> Column:
    if len(fields) == 1:
        return _first(keywords, sf.lit(start))

    def judge(text: Column, position: Column) -> Column:
        return _first(_conditions(contract, fields[0], text), position * len(keywords) + start)

    detailed = sf.array_min(sf.transform(sf.array(*(field.name for field in fields)), judge))
    suspicious = _may_break(contract, fields)
    return detailed if suspicious is None else sf.when(suspicious, detailed)


def _may_break(contract: Contract, fields: Sequence[Field]) -> Column | None:
    """A cheap condition that holds on every row with a broken rule among like columns; None when there is none.

    A lambda costs microseconds a cell. For numbers in text, one regular expression over the joined cells and the
    smallest and largest of them clear nearly every row.
    """
    field, parse = fields[0], contract.parse
    if parse is None or field.json_type not in ("integer", "number") or {"enum", "const"} & set(field.rules):
        return None
    pattern = INTEGER_PATTERN if field.json_type == "integer" else NUMBER_PATTERN
    tokens = [rf"\Q{token}\E" for token in parse.null_tokens] if field.nullable else []
    cell = "|".join([pattern.removeprefix("^").removesuffix("$"), *tokens])
    texts = sf.array(*(each.name for each in fields))
    well_formed = sf.array_join(texts, _BETWEEN_CELLS).rlike(rf"^(?:{cell})(?:{_BETWEEN_CELLS}(?:{cell}))*\z")
    # without the null tokens: each would cost an exception
    values = reduce(lambda array, token: sf.array_remove(array, token), parse.null_tokens, texts).try_cast(
        "array<double>"
    )
    suspicious = ~well_formed
    for extreme, keywords, limit in (
        (sf.array_min(values), ("minimum", "exclusiveMinimum"), -math.inf),
        (sf.array_max(values), ("maximum", "exclusiveMaximum"), math.inf),
    ):
        broken = [_COMPARISONS[each](extreme, sf.lit(field.rules[each])) for each in keywords if each in field.rules]
        # a bound also finds what is too large for a double
        suspicious = reduce(Column.__or__, broken or [extreme == limit], suspicious)
    return suspicious


def _first(conditions: Sequence[tuple[str, Column]], start: Column) -> Column:
    """The index of the first condition that holds, counted from `start`."""
    branch = sf.when(conditions[0][1], start)
    for offset, (_, broken) in enumerate(conditions[1:], start=1):
        branch = branch.when(broken, start + offset)
    return branch


def _conditions(contract: Contract, field: Field, given: Column) -> list[tuple[str, Column]]:
    """Keyword and condition that is true where a value breaks it, for each rule that a value of the column can break.

    Args:
        contract: the column's contract.
        field: the column.
        given: its value as received, or the variable of a lambda.
    """
    raw = contract.parse is not None
    conditions = []
    if raw and field.json_type == "string":
        # what a decoder puts for bytes that are not UTF-8; the head's check sees only the head
        conditions.append(("encoding", given.contains("�") | given.contains("\x00")))
    if contract.parse is not None:
        given = _null_for_tokens(contract.parse, given)
    typed = _value_of_text(field, given) if raw else given
    if not field.nullable:
        conditions.append(("type", typed.isNull()))
    elif raw and field.json_type != "string":
        conditions.append(("type", given.isNotNull() & typed.isNull()))
    for keyword, bound in field.rules.items():
        broken = None if keyword == "type" else _broken(contract, field, keyword, bound, typed)
        if broken is not None:
            conditions.append((keyword, broken))
    return conditions


def _broken(contract: Contract, field: Field, keyword: str, bound: Any, typed: Column) -> Column | None:
    """Whether a value breaks one keyword; None when no value of the column can.

    Null values break none but type, enum and const.
    """
    numeric = field.json_type in ("integer", "number")
    textual = field.json_type == "string"
    if keyword == "enum":
        return _not_among(bound, typed)
    if keyword == "const":
        return _not_among([bound], typed)
    if keyword in _COMPARISONS:
        return _COMPARISONS[keyword](typed, _number(field, bound, contract)) if numeric else None
    if keyword in ("minLength", "maxLength", "pattern") and not textual:
        return None
    if keyword == "minLength":
        return sf.char_length(typed) < sf.lit(bound)
    if keyword == "maxLength":
        return sf.char_length(typed) > sf.lit(bound)
    if keyword == "pattern":
        # (?d): only \n ends a line, as in Python; Java alone would also stop at \r and Unicode line ends
        return ~typed.rlike(f"(?d){bound}")
    if keyword == "format":
        return typed.isNotNull() & ~_keeps_format(bound, typed) if field.type == "string" and textual else None
    raise UnsupportedKeywordError(f"{contract.dataset}: column {field.name}: keyword {keyword} is not compiled")


_COMPARISONS: Mapping[str, Callable[[Column, Column], Column]] = {
    "minimum": lambda value, bound: value < bound,
    "maximum": lambda value, bound: value > bound,
    "exclusiveMinimum": lambda value, bound: value <= bound,
    "exclusiveMaximum": lambda value, bound: value >= bound,
}


def _not_among(allowed: Sequence[Any], typed: Column) -> Column:
    values = [each for each in allowed if each is not None]
    outside = ~typed.isin(*values) if values else typed.isNotNull()
    return outside if None in allowed else typed.isNull() | outside


def _number(field: Field, bound: Any, contract: Contract) -> Column:
    """The bound in the type of the values, so that 0.1 means the same to both sides."""
    if contract.parse is None and field.type.startswith("decimal"):
        return sf.lit(Decimal(str(bound)))
    return sf.lit(bound)


def _null_for_tokens(parse: ParseSpec, text: Column) -> Column:
    return sf.when(~text.isin(*parse.null_tokens), text) if parse.null_tokens else text


def _value_of_text(field: Field, text: Column) -> Column:
    if field.json_type == "string":
        return text
    if field.json_type == "integer":
        return sf.when(text.rlike(_whole(INTEGER_PATTERN)), text.try_cast("bigint"))
    if field.json_type == "number":
        number = sf.when(text.rlike(_whole(NUMBER_PATTERN)), text.try_cast("double"))
        return sf.when(sf.abs(number) < float("inf"), number)
    return sf.when(text == "true", sf.lit(True)).when(text == "false", sf.lit(False))


def _keeps_format(name: str, text: Column) -> Column:
    """Whether text keeps a format as jsonschema's FormatChecker decides it: real days only, no year 0."""
    if name == "date":
        return text.rlike(_whole(_DATE)) & _real_day(text)
    upper = sf.upper(text)
    return upper.rlike(_DATE_TIME) & _real_day(sf.substring(upper, 1, 10))


def _real_day(text: Column) -> Column:
    return ~text.startswith("0000") & text.try_cast("date").isNotNull()


def _whole(pattern: str) -> str:
    """The pattern, kept from matching before a line end at the end of the text, as `$` would."""
    return pattern.removesuffix("$") + r"\z"


def text_schema(columns: Sequence[str]) -> StructType:
    """A schema of nothing but text, for reading a delimited file without losing anything."""
    return StructType([StructField(name, StringType()) for name in columns])
