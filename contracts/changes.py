"""What a change of a contract does to the rows that were judged before it, as SchemaVer counts changes.

Source: https://docs.snowplow.io/docs/api-reference/iglu/common-architecture/schemaver
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from contracts.contract import Field
from contracts.keywords import BRANCHES, COMPOSITES, RULES

_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")
# what is not compared value by value
OTHERS = (
    "multipleOf",
    "uniqueItems",
    "items",
    "properties",
    "required",
    "additionalProperties",
    *COMPOSITES,
    *BRANCHES,
)
_WHOLE_DIGITS = {"int": 10, "bigint": 19}


class Level(IntEnum):
    """How much of the version a change asks to be raised."""

    ADDITION = 1
    REVISION = 2
    MODEL = 3


@dataclass(frozen=True, kw_only=True)
class Change:
    """One difference between two versions of a contract.

    Attributes:
        level: MODEL breaks all data and readers, REVISION may break some, ADDITION none.
        columns: the columns it is about; empty when it is about the whole dataset.
        what: the keyword or setting that changed.
        words: from what to what, for a person.
        wording: no row and no reader can tell, only people.
    """

    level: Level
    columns: tuple[str, ...]
    what: str
    words: str
    wording: bool = False

    @property
    def sentence(self) -> str:
        """What changed and how, without the columns."""
        return self.words if self.what == "column" else f"{self.what}: {self.words}"


def rule_changes(old: Field, new: Field) -> Iterator[Change]:
    """The changes of one column that has kept its name: what its values must keep, and how they are stored.

    A rule that asks more may refuse rows that were accepted (REVISION); one that asks less refuses none (ADDITION).
    """
    found = [
        *_type(old, new),
        *_stored_type(old, new),
        *_presence(old, new),
        *_allowed(old, new),
        *_bound(old, new, "minimum", "exclusiveMinimum", side=1),
        *_bound(old, new, "maximum", "exclusiveMaximum", side=-1),
        *_bound(old, new, "minLength", None, side=1),
        *_bound(old, new, "maxLength", None, side=-1),
        *_bound(old, new, "minItems", None, side=1),
        *_bound(old, new, "maxItems", None, side=-1),
        *_text_rule(old, new, "pattern", other=Level.REVISION),
        # no text is both a date and a date-time
        *_text_rule(old, new, "format", other=Level.MODEL),
        *other_changes((old.name,), old.rules, new.rules),
    ]
    if not found and _spelled(old.rules) != _spelled(new.rules):
        found.append(
            Change(
                level=Level.ADDITION,
                columns=(old.name,),
                what="rules",
                words="written in another way, the same values pass",
                wording=True,
            )
        )
    yield from found


def other_changes(columns: tuple[str, ...], old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """The changes of rules that are not compared value by value: one more may refuse rows, one less does not."""
    for keyword in OTHERS:
        before, after = old.get(keyword), new.get(keyword)
        if before == after and isinstance(before, bool) == isinstance(after, bool):
            continue
        words = f"{spelled(before)} is now {spelled(after)}"
        if before is None or after is None:
            yield asks(after is not None, columns, keyword, words)
        else:
            yield Change(level=Level.REVISION, columns=columns, what=keyword, words=words)


def wording_changes(columns: tuple[str, ...], old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """The changes of what is said to people about a column, or about the row when `columns` is empty."""
    said = [*old, *(name for name in new if name not in old)]
    for name in said:
        if old.get(name) != new.get(name):
            words = f"{spelled(old.get(name))} is now {spelled(new.get(name))}"
            yield Change(level=Level.ADDITION, columns=columns, what=name, words=words, wording=True)


def asks(more: bool, columns: tuple[str, ...], what: str, words: str) -> Change:
    """A change that asks more of a row than before, or less."""
    verb = "asks more" if more else "asks less"
    level = Level.REVISION if more else Level.ADDITION
    return Change(level=level, columns=columns, what=what, words=f"{verb}: {words}")


def spelled(value: Any) -> str:
    """A value as the contract file writes it; `nothing` for None."""
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)


def _type(old: Field, new: Field) -> Iterator[Change]:
    if old.json_type == new.json_type:
        return
    words = f"{old.json_type} is now {new.json_type}"
    if {old.json_type, new.json_type} == {"integer", "number"}:
        yield asks(new.json_type == "integer", (old.name,), "type", words)
    else:
        yield Change(level=Level.MODEL, columns=(old.name,), what="type", words=words)


def _stored_type(old: Field, new: Field) -> Iterator[Change]:
    """Each stored value may still fit, but Delta's type widening is off here: the table has to be rewritten."""
    if old.type != new.type:
        fits = _holds(new.type, old.type)
        words = f"{old.type} is now {new.type}" + (", which holds every value of the old type" if fits else "")
        level = Level.REVISION if fits else Level.MODEL
        yield Change(level=level, columns=(old.name,), what="stored type", words=words)


def _holds(new: str, old: str) -> bool:
    """Whether every value of one stored type is a value of another."""
    if (old, new) in {("int", "bigint"), ("int", "double")}:
        return True
    wide = _DECIMAL.fullmatch(new)
    if wide is None:
        return False
    precision, scale = int(wide[1]), int(wide[2])
    narrow = _DECIMAL.fullmatch(old)
    if narrow is not None:
        return int(narrow[2]) <= scale and int(narrow[1]) - int(narrow[2]) <= precision - scale
    return old in _WHOLE_DIGITS and _WHOLE_DIGITS[old] <= precision - scale


def _presence(old: Field, new: Field) -> Iterator[Change]:
    if old.nullable != new.nullable:
        yield asks(old.nullable, (old.name,), "null", "null is allowed" if new.nullable else "null is refused")
    if old.required != new.required:
        words = "the column must be there" if new.required else "the column may be left out"
        yield asks(new.required, (old.name,), "required", words)


def _allowed(old: Field, new: Field) -> Iterator[Change]:
    """The values that enum and const together let pass."""
    before, after = _values(old), _values(new)
    if before is None and after is None:
        return
    what = "const" if "const" in {*old.rules, *new.rules} else "enum"
    if before is None or after is None:
        listed = before if after is None else after
        words = f"{'any value' if after is None else 'only ' + _listed(listed)}"
        yield asks(after is not None, (old.name,), what, words)
        return
    gone = [value for value in before if value not in after]
    come = [value for value in after if value not in before]
    words = "; ".join([*([f"no longer {_listed(gone)}"] if gone else []), *([f"also {_listed(come)}"] if come else [])])
    if gone and len(gone) == len(before):
        yield Change(level=Level.MODEL, columns=(old.name,), what=what, words=f"no value is kept: {words}")
    elif gone or come:
        yield asks(bool(gone), (old.name,), what, words)


def _values(field: Field) -> list[tuple[bool, Any]] | None:
    """The allowed values, each with whether it is a boolean: in JSON true is not 1, but 1.0 is."""
    listed = [field.rules["enum"]] if "enum" in field.rules else []
    if "const" in field.rules:
        listed.append([field.rules["const"]])
    if not listed:
        return None
    marked = [[(isinstance(value, bool), value) for value in values] for values in listed]
    return [value for value in marked[0] if all(value in others for others in marked[1:])]


def _listed(values: list[tuple[bool, Any]] | None) -> str:
    # null is a value here
    return ", ".join(json.dumps(value, ensure_ascii=False) for _, value in values or [])


def _bound(old: Field, new: Field, inclusive: str, exclusive: str | None, *, side: int) -> Iterator[Change]:
    """A limit on one side; `side` is 1 where a larger limit asks more, -1 where a smaller one does."""
    before, after = _limit(old, inclusive, exclusive, side), _limit(new, inclusive, exclusive, side)
    if before != after:
        names = [each for each in (inclusive, exclusive) if each is not None and each in {*old.rules, *new.rules}]
        words = f"{_spelled_limit(old, names)} is now {_spelled_limit(new, names)}"
        yield asks(after > before, (old.name,), names[0], words)


def _limit(field: Field, inclusive: str, exclusive: str | None, side: int) -> tuple[float, bool]:
    """The stricter of two limits, so that a larger tuple asks more."""
    limits = [(-math.inf, False)]
    if inclusive in field.rules:
        limits.append((side * field.rules[inclusive], False))
    if exclusive is not None and exclusive in field.rules:
        limits.append((side * field.rules[exclusive], True))
    return max(limits)


def _spelled_limit(field: Field, names: list[str]) -> str:
    said = [f"{name} {spelled(field.rules[name])}" for name in names if name in field.rules]
    return " and ".join(said) or "no limit"


def _text_rule(old: Field, new: Field, keyword: str, *, other: Level) -> Iterator[Change]:
    before, after = old.rules.get(keyword), new.rules.get(keyword)
    if before == after:
        return
    words = f"{spelled(before)} is now {spelled(after)}"
    if before is None or after is None:
        yield asks(after is not None, (old.name,), keyword, words)
    else:
        yield Change(level=other, columns=(old.name,), what=keyword, words=words)


def _spelled(rules: Mapping[str, Any]) -> str:
    return json.dumps({keyword: rules[keyword] for keyword in RULES if keyword in rules}, sort_keys=True)
