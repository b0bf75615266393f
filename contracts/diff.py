"""Two versions of a contract compared: changes classed as SchemaVer does, and whether the version was raised enough.

MODEL: no old row, or no reader, can follow. REVISION: some may not. ADDITION: every row that the old version accepted
is accepted by the new one. A rule that asks less is an ADDITION, as in SchemaVer: values that were refused may now
come, so the tables downstream that use the column are named beside every change.

Source: https://docs.snowplow.io/docs/api-reference/iglu/common-architecture/schemaver
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from contracts.changes import Change, Level, asks, other_changes, rule_changes, spelled, wording_changes
from contracts.contract import Contract, Expectation, Field
from contracts.errors import ContractError
from contracts.keywords import BRANCHES, COMPOSITES, RULES

_THRESHOLDS = ("min_value", "max_value")
_PEOPLE = ("title", "description", "examples", "$comment")


def diff(old: Contract, new: Contract) -> tuple[Change, ...]:
    """The changes from one version of a dataset to another: those of the dataset, then column by column.

    Raises:
        ContractError: they are contracts of different datasets.
    """
    if old.dataset != new.dataset:
        raise ContractError(f"{old.dataset} and {new.dataset}: only versions of one dataset can be compared")
    return (
        *_settings(old, new),
        *_source(old, new),
        *_parse(old, new),
        *_columns(old, new),
        *other_changes((), _across(old), _across(new)),
        *_classification(old, new),
        *_expectations(old.expectations, new.expectations),
        *wording_changes((), _said(old.schema) | {"owner": old.owner}, _said(new.schema) | {"owner": new.owner}),
    )


def needed(changes: Iterable[Change]) -> Level | None:
    """The level that the changes together ask for; None for no change."""
    return max((change.level for change in changes), default=None)


def raised(old: str, new: str) -> Level | None:
    """What was raised from one version such as 1-0-0 to another; None when the other is not later."""
    before, after = _numbers(old), _numbers(new)
    if after <= before:
        return None
    place = next(index for index, (left, right) in enumerate(zip(before, after, strict=True)) if left != right)
    return (Level.MODEL, Level.REVISION, Level.ADDITION)[place]


def smallest(old: str, level: Level) -> str:
    """The next version after `old` that raises `level`, such as 1-1-0."""
    model, revision, addition = _numbers(old)
    after = {
        Level.MODEL: (model + 1, 0, 0),
        Level.REVISION: (model, revision + 1, 0),
        Level.ADDITION: (model, revision, addition + 1),
    }
    return "-".join(map(str, after[level]))


def shortfall(old: Contract, new: Contract, changes: Sequence[Change]) -> str | None:
    """A sentence that says why the version was not raised enough for the changes; None when it was."""
    level, given = needed(changes), raised(old.version, new.version)
    if level is None or (given is not None and given >= level):
        return None
    worst = next(change for change in changes if change.level is level)
    about = f"column {', '.join(worst.columns)} " if worst.columns else ""
    how = f"is only {_article(given)}" if given else "is not a later version"
    return (
        f"{old.dataset} {new.version}: after {old.version} it {how}, but {_article(level)} is needed"
        f" ({about}{worst.sentence}); name it {smallest(old.version, level)}"
    )


def _article(level: Level) -> str:
    return f"an {level.name}" if level is Level.ADDITION else f"a {level.name}"


def _numbers(version: str) -> tuple[int, int, int]:
    model, revision, addition = map(int, version.split("-"))
    return model, revision, addition


def _settings(old: Contract, new: Contract) -> Iterator[Change]:
    for what in ("layer", "table", "key"):
        before, after = getattr(old, what), getattr(new, what)
        if before != after:
            words = f"{spelled(before)} is now {spelled(after)}"
            yield Change(level=Level.MODEL, columns=(), what=what, words=words)
    if old.tolerance != new.tolerance:
        yield asks(
            new.tolerance < old.tolerance,
            (),
            "tolerance",
            f"{old.tolerance:g} of a batch's rows may be refused, now {new.tolerance:g}",
        )


def _source(old: Contract, new: Contract) -> Iterator[Change]:
    before, after = dict(old.source or {}), dict(new.source or {})
    for name in sorted({*before, *after}):
        if name == "expected" and None in (before.get(name), after.get(name)):
            words = "some days must bring a file" if name in after else "no day must bring a file"
            yield asks(name in after, (), "source expected", words)
        elif before.get(name) != after.get(name):
            # under another name or of another kind it is another source, with a history of its own
            level = Level.MODEL if name in ("name", "kind") else Level.REVISION
            words = f"{spelled(before.get(name))} is now {spelled(after.get(name))}"
            yield Change(level=level, columns=(), what=f"source {name}", words=words)


def _parse(old: Contract, new: Contract) -> Iterator[Change]:
    if old.parse is None or new.parse is None:
        if old.parse is not new.parse:
            words = "files of text are no longer parsed" if new.parse is None else "files of text are now parsed"
            yield Change(level=Level.MODEL, columns=(), what="parse", words=words)
        return
    before, after = asdict(old.parse), asdict(new.parse)
    for name in before:
        if before[name] == after[name]:
            continue
        what, words = f"parse {name}", f"{spelled(before[name])} is now {spelled(after[name])}"
        if name in ("layout", "delimiter"):
            yield Change(level=Level.MODEL, columns=(), what=what, words=words)
        elif name == "null_tokens":
            # one token more turns text into null, one less turns null into text: either may be refused
            same = set(before[name]) == set(after[name])
            level = Level.ADDITION if same else Level.REVISION
            yield Change(level=level, columns=(), what=what, words=words, wording=same)
        elif name == "trailing_empty_column":
            # where it is allowed it may still be missing
            yield asks(before[name], (), what, words)
        else:
            yield asks(after[name] > before[name], (), what, words)


def _columns(old: Contract, new: Contract) -> Iterator[Change]:
    before, after = _by_name(old), _by_name(new)
    for name, field in before.items():
        if name not in after:
            yield Change(level=Level.MODEL, columns=(name,), what="column", words="removed")
            continue
        yield from rule_changes(field, after[name])
        yield from wording_changes((name,), *_said_of_column(old, new, name))
    for name, field in after.items():
        if name not in before:
            level = Level.MODEL if field.required else Level.ADDITION
            words = f"added, {'required' if field.required else 'optional'}, {field.type}"
            yield Change(level=level, columns=(name,), what="column", words=words)
    kept = [name for name in before if name in after]
    if kept != [name for name in after if name in before]:
        words = "in another order: readers by position get other columns"
        yield Change(level=Level.REVISION, columns=(), what="columns", words=words)


def _by_name(contract: Contract) -> dict[str, Field]:
    return {field.name: field for field in contract.fields}


def _said_of_column(old: Contract, new: Contract, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What each contract says of a column beside its rules; the declared type only where the stored one is the same."""
    skipped = {*RULES} if old.field(name).type == new.field(name).type else {*RULES, "x-assay"}
    before, after = (
        {each: value for each, value in contract.schema["properties"][name].items() if each not in skipped}
        for contract in (old, new)
    )
    return before, after


def _across(contract: Contract) -> Mapping[str, Any]:
    """The rules on the whole row."""
    return {keyword: contract.schema[keyword] for keyword in (*COMPOSITES, *BRANCHES) if keyword in contract.schema}


def _said(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {name: schema.get(name) for name in _PEOPLE}


def _classification(old: Contract, new: Contract) -> Iterator[Change]:
    before, after = _by_name(old), _by_name(new)
    for name in before:
        if name in after and before[name].pii != after[name].pii:
            words = "personal data: readers may lose it" if after[name].pii else "no longer personal data"
            yield asks(after[name].pii, (name,), "pii", words)


def _expectations(old: Sequence[Expectation], new: Sequence[Expectation]) -> Iterator[Change]:
    before, after = _alike(old), _alike(new)
    for likeness in [*before, *(each for each in after if each not in before)]:
        gone, come = before.get(likeness, []), after.get(likeness, [])
        for left, right in zip(gone, come, strict=False):
            yield from _expectation(left, right)
        for each in gone[len(come) :]:
            yield asks(False, _columns_of(each), f"expectation {each.type}", f"removed, {each.severity}")
        for each in come[len(gone) :]:
            yield asks(True, _columns_of(each), f"expectation {each.type}", f"added, {each.severity}")


def _alike(expectations: Sequence[Expectation]) -> dict[str, list[Expectation]]:
    """Expectations that say the same but for their thresholds and severity."""
    groups: dict[str, list[Expectation]] = {}
    for each in expectations:
        kwargs = {name: value for name, value in each.kwargs.items() if name not in _THRESHOLDS}
        groups.setdefault(json.dumps([each.type, kwargs], sort_keys=True), []).append(each)
    return groups


def _expectation(old: Expectation, new: Expectation) -> Iterator[Change]:
    columns, what = _columns_of(old), f"expectation {old.type}"
    if old.severity != new.severity:
        yield asks(new.severity == "error", columns, what, f"{old.severity} is now {new.severity}")
    if old.mostly != new.mostly:
        words = f"{old.mostly:g} of the values must keep it, now {new.mostly:g}"
        yield asks(new.mostly > old.mostly, columns, what, words)
    for side, name in ((1, "min_value"), (-1, "max_value")):
        before, after = old.kwargs.get(name), new.kwargs.get(name)
        if before == after:
            continue
        words = f"{name} {spelled(before)} is now {spelled(after)}"
        if isinstance(before, int | float) and isinstance(after, int | float):
            yield asks(side * after > side * before, columns, what, words)
        elif before is None or after is None:
            yield asks(after is not None, columns, what, words)
        else:
            yield Change(level=Level.REVISION, columns=columns, what=what, words=words)


def _columns_of(expectation: Expectation) -> tuple[str, ...]:
    column = expectation.kwargs.get("column")
    return tuple(expectation.kwargs.get("column_list") or ([column] if column else []))
