"""The head of a file of JSON lines, judged line by line before any Spark is paid for.

One object a line, in UTF-8, flat: its values are text, numbers, booleans and null. Lines end in a line feed, blank ones
are skipped. A null token becomes null and the text of a number a number, as in contracts/text.py; a key that may be
left out and is, means null. spark_jobs/sources/json_lines.py reads the same lines whole; the two must never differ.

Source: RFC 8259; https://jsonlines.org; JSON Schema 2020-12 with format assertion.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Any

from contracts import strict_json
from contracts.contract import Contract
from contracts.strict_json import RawNumber, StrictJsonError
from contracts.text import EVERY_COLUMN, judge_row, parse_cell, parse_of, row_judge, too_few_rows, violation

BLANK = b" \t\r"  # beside the line feed, what JSON takes for white space
_KINDS = {"string": "text", "integer": "number", "number": "number", "boolean": "boolean"}


def read_head(
    contract: Contract, key: str, data: bytes, truncated: bool, minimum_rows: int | None = None
) -> list[dict[str, Any]]:
    """The rows at the head of a file, parsed and judged.

    Args:
        contract: a contract with a parse of JSON lines.
        key: the file's object key, for the error.
        data: the first bytes of the file.
        truncated: whether the file goes on after `data`; its last line is then left out, as it may be cut.
        minimum_rows: of the whole file; the contract's unless told.
    Returns:
        One dict a row, with the keys that the line has.
    Raises:
        ContractViolationError: the first rule broken, with the line.
    """
    judge = row_judge(contract)
    rows = []
    for number, line in _lines(contract, key, data, truncated):
        row = parse_line(contract, key, number, line)
        judge_row(contract, judge, key, number, row)
        rows.append(row)
    _check_count(contract, key, len(rows), truncated, minimum_rows)
    return rows


def check_count(contract: Contract, key: str, data: bytes, truncated: bool, minimum_rows: int | None = None) -> None:
    """Nothing, when the file has rows enough; the rows are left for Spark to judge.

    Raises:
        ContractViolationError: it has too few.
    """
    rows = 0 if truncated else sum(1 for _ in _lines(contract, key, data, truncated))
    _check_count(contract, key, rows, truncated, minimum_rows)


def parse_line(contract: Contract, key: str, number: int, line: bytes) -> dict[str, Any]:
    """The row of one line.

    Raises:
        ContractViolationError: the line is not a flat object of strict JSON.
    """
    try:
        # one level: an object of values
        given = strict_json.load(line, deepest=1, raw_numbers=True)
    except StrictJsonError as error:
        raise violation(contract, key, EVERY_COLUMN, "layout", f"line {number}: {error.reason}") from error
    if not isinstance(given, dict):
        raise violation(contract, key, EVERY_COLUMN, "layout", f"line {number}: not an object")
    kinds = {field.name: _KINDS[field.json_type] for field in contract.fields}
    return {name: _value(contract, name, value, kinds.get(name)) for name, value in given.items()}


def line_of(data: bytes, wanted: str) -> int | None:
    """The first line of a file that is a given text; None when there is none."""
    for number, line in enumerate(data.removeprefix(codecs.BOM_UTF8).split(b"\n"), start=1):
        if line.decode("utf-8", errors="replace") == wanted:
            return number
    return None


def _value(contract: Contract, name: str, given: Any, kind: str | None) -> Any:
    """What a JSON value stands for; one of another kind than the column's stays, for the contract to judge."""
    if given is None:
        return None
    text = ("true" if given else "false") if isinstance(given, bool) else str(given)
    if kind is not None and text in parse_of(contract).null_tokens:
        return None
    if kind == _kind(given):
        return parse_cell(contract, name, text)
    return float(given) if isinstance(given, RawNumber) else given


def _kind(given: Any) -> str:
    if isinstance(given, bool):
        return "boolean"
    return "number" if isinstance(given, RawNumber) else "text"


def _lines(contract: Contract, key: str, data: bytes, truncated: bool) -> Iterator[tuple[int, bytes]]:
    if truncated:
        end = data.rfind(b"\n") + 1
        if not end:
            detail = "no line ends in the head of the file: not JSON lines"
            raise violation(contract, key, EVERY_COLUMN, "layout", detail)
        data = data[:end]
    for number, line in enumerate(data.removeprefix(codecs.BOM_UTF8).split(b"\n"), start=1):
        if line.strip(BLANK):
            yield number, line


def _check_count(contract: Contract, key: str, rows: int, truncated: bool, minimum_rows: int | None) -> None:
    wanted = parse_of(contract).minimum_rows if minimum_rows is None else minimum_rows
    if not truncated and rows < wanted:
        raise too_few_rows(contract, key, f"{rows} rows", wanted)
