r"""Lines of delimited text (CSV), every cell as the text that it is.

contracts/text.py is the oracle: the two must never differ on a line. Spark's own parser cuts a line into cells as
Python's does, but takes a cell whose quotes are broken (`"x`, `"x"y`) for text. So a line that has a quote must also
keep a pattern: each cell unquoted, or quoted from its first character to its last with each quote within doubled.

Source: RFC 4180; Python's csv.reader with strict=True; tried on each of the cases in tests/test_spark_csv_lines.py.
"""

from __future__ import annotations

import re

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from contracts.contract import Contract
from contracts.text import BLANK, Header, parse_of
from spark_jobs.row_rules import LAYOUT_COLUMN

_LINE, _CELLS, _TRAILING = "_line", "_cells", "_trailing"
_SPECIAL_IN_CLASS = "\\^-[]&"


def rows_of_lines(contract: Contract, header: Header, lines: DataFrame) -> DataFrame:
    """The rows of the lines, in the column `value`; blank lines are none.

    Returns:
        The contract's columns as text, null where the file leaves a column out. `_layout`: the line where it is not a
        row of the header's cells, else null.
    """
    delimiter = parse_of(contract).delimiter
    columns = [*header.columns, *([_TRAILING] if header.trailing_empty_column else [])]
    line = sf.col(_LINE)
    # a decoder's character for bytes that are not UTF-8, which the rules then find
    lines = lines.select(sf.make_valid_utf8("value").alias(_LINE)).where(~_is_blank(line, delimiter))
    options = {
        "sep": delimiter, "quote": '"', "escape": '"', "mode": "PERMISSIVE", "columnNameOfCorruptRecord": LAYOUT_COLUMN,
        "maxCharsPerColumn": "-1",
    }  # fmt: skip
    schema = ", ".join(f"`{name}` STRING" for name in [*columns, LAYOUT_COLUMN])
    # in a step of its own, or each column would parse the line again
    parsed = lines.withColumn(_CELLS, sf.from_csv(line, schema, options))
    cells = sf.col(_CELLS)
    malformed = cells[LAYOUT_COLUMN].isNotNull() | (line.contains('"') & ~line.rlike(_well_quoted(delimiter)))
    if header.trailing_empty_column:
        malformed |= cells[_TRAILING].isNotNull() & (cells[_TRAILING] != "")
    return parsed.select(
        *(_cell(cells, field.name, header) for field in contract.fields), sf.when(malformed, line).alias(LAYOUT_COLUMN)
    )


def _well_quoted(delimiter: str) -> str:
    """The pattern of a line whose quotes stand where they may; possessive, so that any length costs one pass."""
    within = re.escape(delimiter) if delimiter in _SPECIAL_IN_CLASS else delimiter
    cell = rf'(?:"[^"]*+(?:""[^"]*+)*+"|(?!")[^{within}]*+)'
    return rf"\A{cell}(?:{re.escape(delimiter)}{cell})*+\z"


def _is_blank(line: Column, delimiter: str) -> Column:
    """Whether a line is one cell of nothing but space."""
    unquoted = sf.btrim(line, sf.lit(BLANK.replace(delimiter, ""))) == ""
    return unquoted | (line.startswith('"') & line.rlike(rf'\A"[{BLANK}]*+"\z'))


def _cell(cells: Column, name: str, header: Header) -> Column:
    """A column's text; null where the file leaves the column out."""
    given = sf.coalesce(cells[name], sf.lit("")) if name in header.columns else sf.lit(None).cast("string")
    return given.alias(name)
