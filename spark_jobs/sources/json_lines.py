r"""Files of JSON lines, every value as the text that it is: a string's own text, a number as it is written.

contracts/json_lines.py is the oracle: the two must never differ on a line. No Python runs per line. Spark's functions
each let something pass, so a line is well formed only when all of these hold:
- its bytes are UTF-8: `try_parse_json` puts U+FFFD for others;
- `try_parse_json` reads it: strict about NaN, keys that are there twice and control characters, but blind to what
  follows the value and to half surrogate pairs;
- without its strings it is one pair of braces with no bracket inside and only white space around: one flat object,
  nothing after it;
- no escape stands for half a surrogate pair, and no number is longer than any column holds.
Neither from_json nor get_json_object keeps a number as it is written (1.10 becomes 1.1), so values are cut out of the
line by a pattern, which is safe on well-formed flat lines only.

Source: Spark 4.1.1, VariantBuilder.java, JacksonParser.scala; tried on each of the cases in
tests/test_spark_json_lines.py.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from contracts.contract import Contract, Field
from contracts.strict_json import LONGEST_NUMBER
from contracts.text import parse_of
from spark_jobs.row_rules import LAYOUT_COLUMN, SHAPE_COLUMN, shape_rule_index, text_schema

LINE_COLUMN = "_line"  # the line as it stands
# Possessive, so that a line of any length costs one pass and no stack
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_SPACE = r"[ \t\r]*+"
_MEMBER = rf'{_STRING}{_SPACE}:{_SPACE}({_STRING}|[^\s,}}"]++)'
_FLAT_OBJECT = rf"^{_SPACE}\{{[^{{}}\[\]]*+\}}{_SPACE}\z"
_LONG_NUMBER = rf"[-+.0-9eE]{{{LONGEST_NUMBER + 1}}}"
_ESCAPED_BACKSLASH = r"\\\\"
_HIGH, _LOW = r"\\u[dD][89abAB][0-9a-fA-F]{2}", r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_HALF_A_PAIR = rf"{_HIGH}(?!{_LOW})|(?<!{_HIGH}){_LOW}"
_FIRST_CHARACTERS = {"string": '"', "boolean": "tf", "integer": "-0123456789", "number": "-0123456789"}


def rows_of_lines(contract: Contract, lines: DataFrame) -> DataFrame:
    """The rows of the lines, in the column `value`; blank lines are none.

    Returns:
        The contract's columns as text: null for null and for a key that is left out, the JSON itself for a value of
        another kind than the column's. `_layout`: the line where it is not a flat object of strict JSON, else null.
        `_shape`: which rule of row_rules.shape_rules the object breaks as a whole, null for none. `_line`.
    """
    line = sf.col("value")
    well_formed = sf.coalesce(_well_formed(line), sf.lit(False))
    lines = lines.where(~line.rlike(rf"^{_SPACE}\z")).select("*", well_formed.alias("_well_formed"))
    members = sf.map_from_arrays(sf.json_object_keys(line), sf.regexp_extract_all(line, sf.lit(_MEMBER), sf.lit(1)))
    # resolves escapes; it rounds numbers, and costs as much as all the rest, so it is asked for strings that have one
    texts = sf.from_json(line, text_schema([field.name for field in contract.fields]))
    lines = lines.withColumns(
        {
            "_values": sf.when(sf.col("_well_formed"), members),
            "_texts": sf.when(sf.col("_well_formed") & line.contains("\\"), texts),
        }
    )
    # in a step of their own, or each use of a value would look it up again
    lines = lines.withColumns(
        {_given(field): sf.try_element_at("_values", sf.lit(field.name)) for field in contract.fields}
    )
    readable = sf.make_valid_utf8(line)
    return lines.select(
        "*",
        *(_text(field).alias(field.name) for field in contract.fields),
        sf.when(~sf.col("_well_formed"), readable).alias(LAYOUT_COLUMN),
        readable.alias(LINE_COLUMN),
    ).withColumn(SHAPE_COLUMN, _broken_shape(contract))


def _well_formed(line: Column) -> Column:
    without_strings = sf.regexp_replace(line, _STRING, "")
    # an escaped backslash begins no escape; a blank in its place keeps what was apart, apart
    escapes = sf.regexp_replace(line, _ESCAPED_BACKSLASH, " ")
    return (
        sf.is_valid_utf8(line)
        & without_strings.rlike(_FLAT_OBJECT)
        & ~without_strings.rlike(_LONG_NUMBER)
        & sf.when(line.contains("\\u"), ~escapes.rlike(_HALF_A_PAIR)).otherwise(sf.lit(True))
        & sf.try_parse_json(line).isNotNull()
    )


def _given(field: Field) -> str:
    """The column that holds the JSON of a field's value as it is written; null where the key is left out."""
    return f"_given_{field.name}"


def _text(field: Field) -> Column:
    given = sf.col(_given(field))
    between_quotes = given.substr(sf.lit(2), sf.char_length(given) - 2)
    return (
        sf.when(given == "null", sf.lit(None).cast("string"))
        .when(~given.startswith('"'), given)
        .when(sf.col("_texts").isNull(), between_quotes)
        .otherwise(sf.col("_texts").getField(field.name))
    )


def _broken_shape(contract: Contract) -> Column:
    """The first rule that the object breaks as a whole, by its index among row_rules.shape_rules."""
    known = sf.array(*(sf.lit(field.name) for field in contract.fields))
    others = sf.size(sf.array_except(sf.map_keys("_values"), known)) > 0
    broken = sf.when(others, shape_rule_index(None, 0))
    for position, field in enumerate(contract.fields):
        given = sf.col(_given(field))
        if field.required:
            broken = broken.when(given.isNull(), shape_rule_index("required", position))
        of_kind = sf.substring(given, 1, 1).isin(*_FIRST_CHARACTERS[field.json_type]) | (given == "null")
        stands_for_null = sf.col(field.name).isin(*parse_of(contract).null_tokens)
        broken = broken.when(
            ~of_kind & ~sf.coalesce(stands_for_null, sf.lit(False)), shape_rule_index("type", position)
        )
    return sf.when(sf.col("_well_formed"), broken)
