"""A contract's row rules as native Spark columns, and its columns as a Spark schema.

Each rule is one Boolean column that is true where a row breaks it; jsonschema is the oracle (contracts/text.py judges
the head of a file with it), and the two must never differ on a row. No Python runs per row.

Source: JSON Schema 2020-12, Validation; the parse of contracts/text.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf
from pyspark.sql.types import StringType, StructField, StructType, _parse_datatype_string

from contracts.contract import RUN_COLUMNS, Contract, Field
from contracts.errors import UnsupportedKeywordError
from contracts.text import EVERY_COLUMN, INTEGER_PATTERN, NUMBER_PATTERN

LAYOUT_COLUMN = "_layout"  # the raw line, where it has not as many cells as the header
BROKEN_RULE = "_broken_rule"
_DATE = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_DATE_TIME = (
    "^[0-9]{4}-(0[1-9]|1[0-2])-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]+)?"
    "(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)


@dataclass(frozen=True, kw_only=True)
class RowRule:
    """One rule on one column: `broken` is true where a row breaks it, never null."""

    column: str
    rule: str
    expected: Any
    broken: Column


def stored_schema(contract: Contract, **extra: str) -> StructType:
    """The table's columns as Spark types; `extra` names further columns with their types."""
    columns = [*contract.columns, *extra.items()]
    return StructType([StructField(name, _parse_datatype_string(type_)) for name, type_ in columns])


def received_schema(contract: Contract) -> StructType:
    """The columns as a source gives them, without those that the pipeline adds."""
    own = {name for name, _ in RUN_COLUMNS[contract.layer]}
    return StructType([each for each in stored_schema(contract).fields if each.name not in own])


def parsed(contract: Contract, rows: DataFrame) -> DataFrame:
    """The rows with the contract's columns as values: null tokens are null, numbers are numbers.

    Other columns stay. A contract without a parse is typed already.
    """
    if contract.parse is None:
        return rows
    names = {field.name for field in contract.fields}
    others = [name for name in rows.columns if name not in names]
    return rows.select(*(value(contract, field).alias(field.name) for field in contract.fields), *others)


def without_null_tokens(contract: Contract, name: str) -> Column:
    """A raw column's text, null where a null token stands."""
    text = sf.col(name)
    if contract.parse is None:
        return text
    return sf.when(~text.isin(*contract.parse.null_tokens), text)


def value(contract: Contract, field: Field) -> Column:
    """A column's value after the parse, for rules and expectations; null also where the text is not of its type."""
    text = without_null_tokens(contract, field.name)
    if contract.parse is None or field.json_type == "string":
        return text
    return _value_of_text(field, text)


def row_rules(contract: Contract) -> tuple[RowRule, ...]:
    """Every rule of the contract, in its order: a row is reported under the first one that it breaks."""
    rules = [] if contract.parse is None else [_layout_rule()]
    for field in contract.fields:
        rules.extend(_field_rules(contract, field))
    return tuple(rules)


def with_broken_rule(rows: DataFrame, rules: Sequence[RowRule]) -> DataFrame:
    """The rows and, in `_broken_rule`, the index of the first rule that each breaks; null where it keeps all."""
    first = sf.lit(None).cast("int")
    for index, rule in reversed(list(enumerate(rules))):
        first = sf.when(rule.broken, sf.lit(index)).otherwise(first)
    return rows.withColumn(BROKEN_RULE, first)


def _layout_rule() -> RowRule:
    return RowRule(
        column=EVERY_COLUMN,
        rule="layout",
        expected="as many cells as the header",
        broken=sf.col(LAYOUT_COLUMN).isNotNull(),
    )


def _field_rules(contract: Contract, field: Field) -> Iterator[RowRule]:
    raw = contract.parse is not None
    given = without_null_tokens(contract, field.name)
    typed = value(contract, field)

    def rule(keyword: str, broken: Column) -> RowRule:
        expected = field.rules.get(keyword, "UTF-8 text")
        return RowRule(column=field.name, rule=keyword, expected=expected, broken=sf.coalesce(broken, sf.lit(False)))

    if raw and field.json_type == "string":
        # what a decoder puts for bytes that are not UTF-8; the head's check sees only the head
        yield rule("encoding", sf.col(field.name).contains("�") | sf.col(field.name).contains("\x00"))
    wrong_type = (given.isNotNull() & typed.isNull()) if raw and field.json_type != "string" else None
    if not field.nullable:
        yield rule("type", given.isNull() if wrong_type is None else given.isNull() | wrong_type)
    elif wrong_type is not None:
        yield rule("type", wrong_type)
    for keyword, bound in field.rules.items():
        broken = None if keyword == "type" else _broken(contract, field, keyword, bound, typed)
        if broken is not None:
            yield rule(keyword, broken)


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
        stored_as_text = dict(contract.columns)[field.name] == "string"
        return ~_keeps_format(bound, typed) if stored_as_text and textual else None
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


def _value_of_text(field: Field, text: Column) -> Column:
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
    return ~text.startswith("0000") & sf.coalesce(text.try_cast("date").isNotNull(), sf.lit(False))


def _whole(pattern: str) -> str:
    """The pattern, kept from matching before a line end at the end of the text, as `$` would."""
    return pattern.removesuffix("$") + r"\z"


def text_schema(columns: Sequence[str]) -> StructType:
    """A schema of nothing but text, for reading a delimited file without losing anything."""
    return StructType([StructField(name, StringType()) for name in columns])
