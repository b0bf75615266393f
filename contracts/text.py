"""The head of a delimited text file (CSV), judged row by row before any Spark is paid for.

The parse is lossless: a null token becomes null, the text of a number column becomes a number when it is written as
JSON writes numbers, and everything else stays as it came, for the contract to judge. spark_jobs/row_rules.py compiles
the same parse and the same rules to Spark columns; the two must never differ on a row.

Source: RFC 4180 (quotes, line ends); JSON Schema 2020-12 with format assertion.
"""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.contract import Contract, ParseSpec
from contracts.errors import ContractError, ContractViolationError

NUMBER_PATTERN = r"^-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][+-]?[0-9]+)?$"
INTEGER_PATTERN = r"^-?(0|[1-9][0-9]{0,17})$"  # what a 64-bit integer holds with certainty
EVERY_COLUMN = "*"
# what a blank line may be made of: all that Unicode counts as space
BLANK = (
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
_NUMBER = re.compile(NUMBER_PATTERN)
_INTEGER = re.compile(INTEGER_PATTERN)


@dataclass(frozen=True, kw_only=True)
class Header:
    """The columns that a file's header names, whether each line ends in a delimiter, and which line it is, from 1."""

    columns: tuple[str, ...]
    trailing_empty_column: bool
    line: int


def read_head(
    contract: Contract, key: str, data: bytes, truncated: bool, minimum_rows: int | None = None
) -> list[dict[str, Any]]:
    """The rows at the head of a file, parsed and judged.

    Args:
        contract: a contract with a parse.
        key: the file's object key, for the error.
        data: the first bytes of the file.
        truncated: whether the file goes on after `data`; its last line is then left out, as it may be cut.
        minimum_rows: of the whole file; the contract's unless told.
    Returns:
        One dict a row: None where a null token stood, int or float where the contract says number, else the text.
    Raises:
        ContractViolationError: the first rule broken, with the line.
    """
    header, lines = read_lines(contract, key, data, truncated)
    rows = []
    judge = row_judge(contract)
    for line, cells in lines:
        row = {name: parse_cell(contract, name, cell) for name, cell in zip(header.columns, cells, strict=True)}
        judge_row(contract, judge, key, line, row)
        rows.append(row)
    _check_count(contract, key, len(rows), truncated, minimum_rows)
    return rows


def read_lines(
    contract: Contract, key: str, data: bytes, truncated: bool
) -> tuple[Header, Iterator[tuple[int, list[str]]]]:
    """The header, checked against the contract, and the rows as text with their line numbers.

    Raises:
        ContractViolationError: at once for what the header breaks, while iterating for a line that is not a row.
    """
    text = _decode(contract, key, data, truncated)
    lines = _records(contract, key, text)
    first = next(lines, None)
    if first is None:
        if truncated:
            raise violation(contract, key, EVERY_COLUMN, "layout", "no line ends in the head of the file: not CSV")
        raise violation(contract, key, EVERY_COLUMN, "header", "the file is empty")
    header = _header(contract, key, *first)
    return header, _rows(contract, key, header, lines)


def read_header(contract: Contract, key: str, data: bytes, truncated: bool, minimum_rows: int | None = None) -> Header:
    """The header alone, when rows follow it; the rows are left for Spark to judge.

    Raises:
        ContractViolationError: for what the header breaks, or for a file with too few rows.
    """
    header, _ = read_lines(contract, key, data, truncated)
    rows = sum(1 for line in data.splitlines() if line.strip()) - 1
    _check_count(contract, key, rows, truncated, minimum_rows)
    return header


def row_judge(contract: Contract) -> Any:
    """A jsonschema validator of the contract's rows, formats asserted."""
    # imported here, so that a Spark job which only needs the parse does not pay for it
    from contracts.judging import Draft202012Validator, FormatChecker

    return Draft202012Validator(contract.schema, format_checker=FormatChecker())


def judge_row(contract: Contract, judge: Any, key: str, line: int, row: Mapping[str, Any]) -> None:
    """Nothing, when a parsed row keeps the contract.

    Raises:
        ContractViolationError: the first rule broken.
    """
    for field in contract.fields:
        value = row.get(field.name)
        # what a decoder puts for bytes that are not UTF-8
        if field.json_type == "string" and isinstance(value, str) and ("\ufffd" in value or "\x00" in value):
            raise violation(contract, key, field.name, "encoding", f"line {line}: not UTF-8 text")
    problem = next(judge.iter_errors(row), None)
    if problem is not None:
        column = str(problem.absolute_path[0]) if problem.absolute_path else EVERY_COLUMN
        # the message quotes the value; where any column is personal it may be a person's, for cells can be shifted
        personal = any(field.pii for field in contract.fields)
        said = f"expected {problem.validator_value}" if personal else problem.message
        raise violation(contract, key, column, str(problem.validator), f"line {line}: {said}")


def line_of(contract: Contract, data: bytes, wanted: Mapping[str, str] | str) -> int | None:
    """The first line of a file that holds a row, by column, or is a given text; None when there is none.

    The row's line is only for a person to look at, so a line that cannot be decoded is skipped, not refused.
    """
    delimiter = parse_of(contract).delimiter
    names: list[str] = []
    text = data.removeprefix(codecs.BOM_UTF8).decode("utf-8", errors="replace")
    for number, given in enumerate(io.StringIO(text, newline=None), start=1):  # as a reader counts lines
        line = given.removesuffix("\n")
        cells = next(csv.reader([line], delimiter=delimiter), [])
        names = names or cells
        if line == wanted or dict(zip(names, cells, strict=False)) == wanted:
            return number
    return None


def parse_cell(contract: Contract, name: str, cell: str) -> Any:
    """The value that a cell's text stands for; text that stands for none stays text, for the contract to judge."""
    if cell in parse_of(contract).null_tokens:
        return None
    field = contract.field(name)
    if field.json_type == "integer" and _INTEGER.fullmatch(cell):
        return int(cell)
    if field.json_type == "number" and _NUMBER.fullmatch(cell):
        value = float(cell)
        return value if math.isfinite(value) else cell
    if field.json_type == "boolean" and cell in ("true", "false"):
        return cell == "true"
    return cell


def violation(contract: Contract, key: str, column: str, rule: str, detail: str) -> ContractViolationError:
    """The error for a broken rule in a file, ending in what to do next."""
    return ContractViolationError(
        contract.dataset,
        contract.version,
        column,
        rule,
        f"{key}: {detail}. Have the vendor put the file right under the same key, then redrive the execution.",
    )


def parse_of(contract: Contract) -> ParseSpec:
    """The parse that a contract of files has.

    Raises:
        ContractError: it is not a contract of files.
    """
    if contract.parse is None:
        raise ContractError(f"{contract.dataset} {contract.version}: has no parse, so it is not a contract of files")
    return contract.parse


def _decode(contract: Contract, key: str, data: bytes, truncated: bool) -> str:
    if b"\x00" in data:
        line = data[: data.index(b"\x00")].count(b"\n") + 1
        raise violation(contract, key, EVERY_COLUMN, "encoding", f"line {line} holds a NUL byte: not a text file")
    if truncated:
        data = data[: max(data.rfind(b"\n"), data.rfind(b"\r")) + 1]
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise violation(contract, key, EVERY_COLUMN, "encoding", f"line {line} is not UTF-8") from error


def _records(contract: Contract, key: str, text: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each line that is not blank."""
    csv.field_size_limit(sys.maxsize)  # else a cell of 131,073 characters is refused here, and nowhere else
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=parse_of(contract).delimiter, strict=True)
    line = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise violation(contract, key, EVERY_COLUMN, "layout", f"line {line}: {error}") from error
        if reader.line_num > line:
            raise violation(contract, key, EVERY_COLUMN, "layout", f"line {line}: a cell spans lines")
        if cells and (len(cells) > 1 or cells[0].strip(BLANK)):
            yield line, cells
        line = reader.line_num + 1


def _header(contract: Contract, key: str, line: int, cells: Sequence[str]) -> Header:
    names = list(cells)
    trailing = parse_of(contract).trailing_empty_column and names[-1] == ""
    if trailing:
        names.pop()
    known = [field.name for field in contract.fields]
    if not set(known).intersection(names):
        detail = f"line {line} names none of the {len(known)} columns: not CSV of this layout"
        raise violation(contract, key, EVERY_COLUMN, "header", detail)
    for field in contract.fields:
        if field.required and field.name not in names:
            raise violation(contract, key, field.name, "required", f"line {line}: the column is missing")
    for name in names:
        if name not in known:
            raise violation(
                contract, key, name, "additionalProperties", f"line {line}: the column is not in the contract"
            )
        if names.count(name) > 1:
            raise violation(contract, key, name, "header", f"line {line}: the column is there more than once")
    return Header(columns=tuple(names), trailing_empty_column=trailing, line=line)


def _rows(
    contract: Contract, key: str, header: Header, records: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, list[str]]]:
    width = len(header.columns) + header.trailing_empty_column
    for line, cells in records:
        if len(cells) != width:
            detail = f"line {line} has {len(cells)} cells, the header has {width}"
            raise violation(contract, key, EVERY_COLUMN, "layout", detail)
        if header.trailing_empty_column and cells.pop() != "":
            raise violation(contract, key, EVERY_COLUMN, "layout", f"line {line} goes on after the last column")
        yield line, cells


def too_few_rows(contract: Contract, key: str, found: str, wanted: int) -> ContractViolationError:
    """The error for a file that should have brought rows."""
    return violation(contract, key, EVERY_COLUMN, "minimum_rows", f"{found}, the contract wants {wanted}")


def _check_count(contract: Contract, key: str, rows: int, truncated: bool, minimum_rows: int | None) -> None:
    wanted = parse_of(contract).minimum_rows if minimum_rows is None else minimum_rows
    if not truncated and rows < wanted:
        raise too_few_rows(contract, key, f"{rows} rows after the header", wanted)
