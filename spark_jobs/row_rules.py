"""A contract's row rules as native Spark columns, and its columns as a Spark schema.

jsonschema is the oracle (contracts/text.py judges the head of a file with it), and the two must never differ on a row.
No Python runs per row.

Source: JSON Schema 2020-12, Validation; the parse of contracts/text.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf
from pyspark.sql.types import DataType, StringType, StructField, StructType, _parse_datatype_string

from contracts.contract import CSV, JSON_LINES, RUN_COLUMNS, Contract, Field, ParseSpec
from contracts.keywords import BRANCHES, COMPOSITES
from contracts.shapes import Shape
from contracts.text import EVERY_COLUMN, INTEGER_PATTERN, NUMBER_PATTERN
from spark_jobs.schema_columns import conditions

LAYOUT_COLUMN = "_layout"  # the raw line, where it is not one of the layout
SHAPE_COLUMN = "_shape"  # the index of the first of shape_rules that an object of JSON breaks
_LAYOUTS = {CSV: "as many cells as the header", JSON_LINES: "one flat object of strict JSON"}
_BETWEEN_CELLS = "\x01"
_FEW = 16  # like columns that are judged one by one; more are judged together
_LOWEST = ("minimum", "exclusiveMinimum")
_HIGHEST = ("maximum", "exclusiveMaximum")


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
    return StructType([StructField(name, _spark_type(type_)) for name, type_ in columns])


@cache
def _spark_type(name: str) -> DataType:
    """A type from its name; the JVM reads it, which takes its time for a table of many columns."""
    return _parse_datatype_string(name)


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
    """Every rule of the contract; a row is reported under the first one that it breaks, column by column, then across.

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
                RowRule(column=field.name, rule=keyword, expected=_expected(keyword, field.rules))
                for keyword, _ in keywords
            )
        if keywords:
            found.extend(_first_broken(contract, fields, start, keywords))
    if across := _across(contract):
        found.append(_first(across, sf.lit(len(rules))))
        rules.extend(
            RowRule(column=EVERY_COLUMN, rule=keyword, expected=_expected(keyword, contract.schema))
            for keyword, _ in across
        )
    if not found:
        return RowRules(rules=(), first_broken=sf.lit(None).cast("int"))
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


def _expected(keyword: str, schema: Mapping[str, Any]) -> Any:
    if keyword == "encoding":
        return "UTF-8 text"
    if keyword == "if":
        return {each: schema[each] for each in ("if", "then", "else") if each in schema}
    return schema.get(keyword)


def _across(contract: Contract) -> list[tuple[str, Column]]:
    """Keyword and condition for each rule on the whole row, whose columns are known to be there."""
    always = [field for field in contract.fields if field.required]
    across = {keyword: wanted for keyword, wanted in contract.schema.items() if keyword in (*COMPOSITES, *BRANCHES)}
    if not across:
        return []
    shape = Shape(kind="object", stored="", properties={field.name: field.shape for field in always})
    return list(conditions(across, shape, {field.name: value(contract, field) for field in always}))


def _alike(contract: Contract) -> list[list[Field]]:
    """The columns, those under the same rules together, in the order of the first of each."""
    groups: dict[str, list[Field]] = {}
    for field in contract.fields:
        likeness = json.dumps([field.type, field.json_type, field.nullable, dict(field.rules)])
        groups.setdefault(likeness, []).append(field)
    return list(groups.values())


def _first_broken(
    contract: Contract, fields: Sequence[Field], start: int, keywords: Sequence[tuple[str, Column]]
) -> list[Column]:
    """The first broken rule among like columns: one expression a column, or one for all where they are many."""
    if len(fields) == 1:
        return [_first(keywords, sf.lit(start))]
    if contract.parse is None and len(fields) <= _FEW:
        return [
            _first(_conditions(contract, field, sf.col(field.name)), sf.lit(start + index * len(keywords)))
            for index, field in enumerate(fields)
        ]

    def judge(given: Column, position: Column) -> Column:
        return _first(_conditions(contract, fields[0], given), position * len(keywords) + start)

    together = sf.array(*(field.name for field in fields))
    detailed = sf.array_min(sf.transform(together, judge))
    suspicious = _may_break(contract, fields[0], together, len(fields))
    return [detailed if suspicious is None else sf.when(suspicious, detailed)]


def _may_break(contract: Contract, field: Field, together: Column, count: int) -> Column | None:
    """A cheap condition that holds on every row with a broken rule among like columns; None when there is none.

    A lambda costs microseconds a cell. For numbers, the smallest and largest clear nearly every row; when they are
    text, one regular expression over the joined cells tells first that they are numbers.
    """
    parse, rules = contract.parse, field.rules
    if field.shape.kind not in ("integer", "number", "decimal") or not set(rules) <= {"type", *_LOWEST, *_HIGHEST}:
        return None
    if parse is None:
        suspicious = sf.lit(False) if field.nullable else sf.size(sf.array_compact(together)) < count
        values = together
    else:
        suspicious = ~_well_formed(field, parse, together)
        # without the null tokens: each would cost an exception
        values = reduce(lambda array, token: sf.array_remove(array, token), parse.null_tokens, together).try_cast(
            "array<bigint>" if field.json_type == "integer" else "array<double>"
        )
    for extreme, keywords in ((sf.array_min(values), _LOWEST), (sf.array_max(values), _HIGHEST)):
        # that it is a finite number, too
        bounds = {"type": ["number", "null"]} | {each: rules[each] for each in keywords if each in rules}
        for _, broken in conditions(bounds, field.shape, extreme):
            suspicious = suspicious | broken
    return suspicious


def _well_formed(field: Field, parse: ParseSpec, texts: Column) -> Column:
    pattern = INTEGER_PATTERN if field.json_type == "integer" else NUMBER_PATTERN
    tokens = [rf"\Q{token}\E" for token in parse.null_tokens] if field.nullable else []
    cell = "|".join([pattern.removeprefix("^").removesuffix("$"), *tokens])
    # possessive, or Java would remember each of two thousand cells on its stack
    return sf.array_join(texts, _BETWEEN_CELLS).rlike(rf"^(?:{cell})(?:{_BETWEEN_CELLS}(?:{cell}))*+\z")


def _first(keywords: Sequence[tuple[str, Column]], start: Column) -> Column:
    """The index of the first condition that holds, counted from `start`."""
    branch = sf.when(keywords[0][1], start)
    for offset, (_, broken) in enumerate(keywords[1:], start=1):
        branch = branch.when(broken, start + offset)
    return branch


def _conditions(contract: Contract, field: Field, given: Column) -> list[tuple[str, Column]]:
    """Keyword and condition that is true where a value breaks it, for each rule that a value of the column can break.

    Args:
        contract: the column's contract.
        field: the column.
        given: its value as received, or the variable of a lambda.
    """
    if contract.parse is None:
        return list(conditions(field.rules, field.shape, given))
    found = []
    if field.json_type == "string":
        # what a decoder puts for bytes that are not UTF-8; the head's check sees only the head
        found.append(("encoding", given.contains("�") | given.contains("\x00")))
    text = _null_for_tokens(contract.parse, given)
    typed = _value_of_text(field, text)
    if not field.nullable:
        found.append(("type", typed.isNull()))
    elif field.json_type != "string":
        found.append(("type", text.isNotNull() & typed.isNull()))
    rest = {keyword: wanted for keyword, wanted in field.rules.items() if keyword != "type"}
    return [*found, *conditions(rest, field.shape, typed)]


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


def _whole(pattern: str) -> str:
    """The pattern, kept from matching before a line end at the end of the text, as `$` would."""
    return pattern.removesuffix("$") + r"\z"


def text_schema(columns: Sequence[str]) -> StructType:
    """A schema of nothing but text, for reading a delimited file without losing anything."""
    return StructType([StructField(name, StringType()) for name in columns])
