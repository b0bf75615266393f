"""What of a row or a result may be shown to whoever gets the page.

Personal data is what the contract's classification names. It is masked, and so is whatever may hold it and cannot be
told apart: a line that is not a row, a row of an unknown contract, a row of a delimited file whose cells may have moved
into columns that are not theirs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contracts.contract import Contract
from contracts.text import EVERY_COLUMN, parse_cell

LONGEST = 200
ROW_RULE = "row_rule_"
_NAME = re.compile(r"[A-Za-z_$*][A-Za-z0-9_$]{0,62}")
# Expectations that tell how many or how long, never what: their numbers say nothing about a person.
_COUNTING = re.compile(r"count|length|null|unique|proportion|drift|share")
_BOUNDS = {
    ("min_value", False): "at least",
    ("min_value", True): "more than",
    ("max_value", False): "at most",
    ("max_value", True): "less than",
}
_SUBJECTS = ("column", "column_A", "column_B", "column_list", "column_set")
_FREE = frozenset({"mostly", "or_equal", "ignore_row_if", "match_on", *_SUBJECTS})


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A value as it may be shown."""

    text: str
    masked: bool = False


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One column of a quarantined row; `broken` where its rule was."""

    name: str
    value: Shown
    broken: bool = False


MASKED = Shown(text="masked", masked=True)


def shown(value: Any) -> Shown:
    """A value as text of at most 200 characters; what cannot be seen, such as a line end, is spelled out."""
    return Shown(text=printable(words_of(value)))


def printable(text: str) -> str:
    """Text that cannot disturb the page: cut, with its length, and without control or direction marks."""
    kept = "".join(each if each.isprintable() else _spelled(each) for each in text[:LONGEST])
    return kept if len(text) <= LONGEST else f"{kept}… ({len(text):,} characters)"


def words_of(value: Any) -> str:
    """A JSON value as a person reads it."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str):
        return value or '""'
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return _digits(value)
    if isinstance(value, list | tuple):
        return ", ".join(map(words_of, value))
    return json.dumps(value, ensure_ascii=False, default=str)


def personal(contract: Contract) -> frozenset[str]:
    """The columns that hold personal data, also where only a part of the column does."""
    return frozenset(re.split(r"[.\[]", name)[0] for name in contract.classification["pii"])


def column_of_rule(contract: Contract | None, column: Any) -> Shown:
    """The column that a rule was broken in; masked when it is none of the contract's."""
    if column == EVERY_COLUMN:
        return Shown(text="the row")
    known = contract is not None and isinstance(column, str) and _top(column) in _columns(contract)
    return shown(column) if known or _harmless(contract) else MASKED


def name_of_rule(contract: Contract | None, rule: Any) -> Shown:
    """The name of a rule; masked when it is no name, and could be a value."""
    return shown(rule) if _harmless(contract) or (isinstance(rule, str) and _NAME.fullmatch(rule)) else MASKED


def expected_by_rule(contract: Contract | None, column: Any, rule: Any) -> Shown | None:
    """What a row rule asks, from the contract itself; None when the contract has no word on it.

    The `reason` in the quarantine table is not shown: it is text of the run, this is text of the contract.
    """
    field = _columns(contract).get(column) if contract is not None else None
    if contract is None or field is None or rule not in field.rules:
        return None
    return shown(field.rules[rule]) if column not in personal(contract) or _COUNTING.search(rule.lower()) else MASKED


def cells(contract: Contract | None, column: Any, rule: Any, row: Any) -> tuple[Cell, ...] | Shown:
    """A quarantined row by column: the broken one, then the key, then the rest; or what may be shown of a line.

    Args:
        contract: that judged the row; None when this checkout does not have it.
        column: the column whose rule the row breaks, `*` for the row itself.
        rule: the rule.
        row: the row as JSON, or the line as it was received.
    """
    values = _parsed(contract, column, rule, row)
    if values is None or contract is None:
        return shown(row) if _harmless(contract) else MASKED
    hidden = personal(contract)
    if hidden and _may_have_moved(contract, column, values):
        return MASKED
    broken = _top(column) if isinstance(column, str) else None
    order = sorted(values, key=lambda name: (name != broken, name not in contract.key))
    return tuple(
        Cell(
            name=name,
            value=MASKED if name in hidden else Shown(text=printable(_exactly(values[name]))),
            broken=name == broken,
        )
        for name in order
    )


def observed(contract: Contract | None, result: Mapping[str, Any]) -> Shown:
    """What an expectation found; counts of rows always, values of a personal column never."""
    value, name = result.get("observed"), str(result.get("expectation"))
    if name.startswith(ROW_RULE) and _is_number(value):
        return shown(value)
    if isinstance(value, Mapping) and counts_of(value) is not None:
        rows, unexpected = counts_of(value) or (0, 0)
        share = f" ({percent(unexpected / rows)})" if unexpected and rows else ""
        kept_out = f", {value['rejected']:,} rejected before" if "rejected" in value else ""
        return Shown(text=f"{unexpected:,} of {rows:,} rows unexpected{share}{kept_out}")
    if _speaks_of_personal(contract, result) and not (_COUNTING.search(name) and _is_number(value)):
        return MASKED
    return shown(value)


def expected(contract: Contract | None, result: Mapping[str, Any]) -> tuple[tuple[str, Shown | None], ...]:
    """What an expectation asks: words, and the value if there is one."""
    value, name = result.get("expected"), str(result.get("expectation"))
    if value == {} and counts_of(result.get("observed")) is not None:
        return (("every row", None),)
    hidden = _speaks_of_personal(contract, result)
    if not isinstance(value, Mapping):
        counting = _COUNTING.search(name.lower()) and _is_number(value)
        return (("", MASKED if hidden and not counting else shown(value)),)
    said: list[tuple[str, Shown | None]] = []
    for key, bound in value.items():
        if key in ("strict_min", "strict_max", "condition_parser"):
            continue
        strict = bool(value.get(f"strict_{key[:3]}"))
        words = _BOUNDS.get((key, strict), printable(str(key)).replace("_", " "))
        text = Shown(text=percent(bound)) if key == "mostly" and _is_number(bound) else shown(bound)
        if key == "row_condition":
            masked = _mentions_personal(contract, bound)
        else:
            masked = hidden and key not in _FREE and not (_COUNTING.search(name) and _is_number(bound))
        said.append((words, MASKED if masked else text))
    return tuple(said)


def counts_of(value: Any) -> tuple[int, int] | None:
    """Rows, and how many of them are unexpected, where that is what was observed."""
    if isinstance(value, Mapping) and set(value) | {"rejected"} == {"rows", "unexpected", "rejected"}:
        rows, unexpected, rejected = value["rows"], value["unexpected"], value.get("rejected", 0)
        counts = all(type(each) is int and 0 <= each < 2**63 for each in (rows, unexpected, rejected))
        if counts and unexpected <= rows:
            return rows, unexpected
    return None


def percent(share: float) -> str:
    """A share as a percentage, never rounded to all or nothing."""
    text = f"{share * 100:.4g}"
    return f"{text} %" if text not in ("100", "0") or share in (0, 1) else f"{share * 100:.8g} %"


def _parsed(contract: Contract | None, column: Any, rule: Any, row: Any) -> dict[str, Any] | None:
    """The row's columns; None for a line that is not a row of the contract."""
    if contract is None or column == EVERY_COLUMN or rule == "layout" or not isinstance(row, str):
        return None
    try:
        values = json.loads(row, parse_float=str)  # as text, which no float rounds
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) and set(values) == set(_columns(contract)) else None


def _may_have_moved(contract: Contract, column: Any, values: Mapping[str, Any]) -> bool:
    """Whether a cell of a delimited file may stand in a column that is not its own.

    It may when a cell is not of its column's type, and when the broken cell is free text: both are what a delimiter
    within a name or an address leads to.
    """
    if contract.parse is None or contract.parse.layout != "csv":
        return False
    columns = _columns(contract)
    for name, cell in values.items():
        kind, value = columns[name].json_type, parse_cell(contract, name, "" if cell is None else str(cell))
        if value is not None and isinstance(value, str) and (kind != "string" or name == column):
            return True
    return False


def _speaks_of_personal(contract: Contract | None, result: Mapping[str, Any]) -> bool:
    """Whether a result may hold values of a personal column; so it may when its contract is unknown."""
    if contract is None:
        return True
    asked = result.get("expected")
    kwargs = asked if isinstance(asked, Mapping) else {}
    named = [result.get("column"), *(kwargs.get(each) for each in _SUBJECTS)]
    subjects = {
        _top(part) for each in named for part in (each if isinstance(each, list) else str(each or "").split(", "))
    }
    return not subjects.isdisjoint(personal(contract))


def _mentions_personal(contract: Contract | None, text: Any) -> bool:
    return contract is None or any(name in str(text) for name in personal(contract))


def _harmless(contract: Contract | None) -> bool:
    return contract is not None and not personal(contract)


def _columns(contract: Contract) -> dict[str, Any]:
    return {field.name: field for field in contract.fields}


def _top(column: str) -> str:
    return re.split(r"[.\[]", str(column))[0]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _digits(value: float) -> str:
    """A number to ten significant digits, without an exponent where a person can do without."""
    if not value or not 1e-4 <= abs(value) < 1e15:
        return f"{value:.10g}"
    text = f"{value:,.{max(10 - len(str(int(abs(value)))), 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _exactly(value: Any) -> str:
    """A value as it stands in its row: nothing rounded, nothing added."""
    return value or '""' if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _spelled(character: str) -> str:
    return character.encode("unicode_escape").decode()
