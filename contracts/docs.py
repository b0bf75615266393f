"""The contracts as a static site for people: an index, and a page for each version of each dataset.

Every page stands alone: no script, no font, no style sheet or picture from elsewhere. Jinja2 is imported when pages are
made, so the archives that Lambda and Spark run never need it.

Source: contracts/templates.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from contracts.changes import Change, Level
from contracts.contract import RUN_COLUMNS, Contract, Field
from contracts.diff import diff, needed, raised
from contracts.downstream import Lineage, tables_from_columns, tables_from_table

LAYERS = ("bronze", "silver", "gold", "quality")
_RUN_COLUMN_WORDS = {
    "_run_id": "the run that wrote the row",
    "_attempt": "the job run's attempt within the run",
    "_source": "the source it came from",
    "_ingested_at": "when it was ingested, UTC",
    "_file": "the file it came from; null for a database",
    "_received_at": "when the file was put there, or the cursor of a database, UTC",
}
_RULE_WORDS = {
    "const": "always",
    "enum": "one of",
    "minimum": "at least",
    "exclusiveMinimum": "more than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
    "minLength": "length at least",
    "maxLength": "length at most",
    "pattern": "matches",
    "format": "in the format",
    "multipleOf": "a multiple of",
    "minItems": "items at least",
    "maxItems": "items at most",
    "uniqueItems": "no item twice",
    "items": "each item",
    "properties": "each part",
    "allOf": "all of",
    "anyOf": "at least one of",
    "oneOf": "exactly one of",
    "not": "not",
    "if": "if",
    "then": "then",
    "else": "else",
}


@dataclass(frozen=True, kw_only=True)
class Step:
    """One version in a dataset's history: what it raised, what its changes needed, and the changes."""

    version: str
    before: str
    raised: Level | None
    needed: Level | None
    changes: tuple[Change, ...]


def site(versions: Iterable[Contract], lineages: Sequence[Lineage], released: Collection[str]) -> dict[str, str]:
    """The pages of the site: path, such as `orders_silver/1-0-0.html`, to HTML.

    Args:
        versions: every version of every dataset, those of one dataset together and oldest first.
        lineages: how the tables are made from each other.
        released: the versions that never change any more, as `<dataset>/<version>`.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    templates = Environment(
        loader=PackageLoader("contracts"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.globals.update(rule_words=rule_words, shown=shown, released=frozenset(released))
    datasets: dict[str, list[Contract]] = {}
    for contract in versions:
        datasets.setdefault(contract.dataset, []).append(contract)
    latest = [each[-1] for each in datasets.values()]
    pages_of = {each.table: f"{each.dataset}/{each.version}.html" for each in latest}
    pages = {
        "index.html": templates.get_template("index.html.j2").render(
            root="",
            layers=[(layer, [each for each in latest if each.layer == layer]) for layer in LAYERS],
            count=sum(map(len, datasets.values())),
            datasets=datasets,
            pages_of=pages_of,
            downstream={each.table: tables_from_table(lineages, each.table) for each in latest},
        )
    }
    page = templates.get_template("contract.html.j2")
    for dataset, all_versions in datasets.items():
        for index, contract in enumerate(all_versions):
            pages[f"{dataset}/{contract.version}.html"] = page.render(
                root="../",
                contract=contract,
                latest=all_versions[-1],
                first=all_versions[0].version,
                history=history(all_versions[: index + 1]),
                run_columns=[(name, kind, _RUN_COLUMN_WORDS[name]) for name, kind in RUN_COLUMNS[contract.layer]],
                used_by={
                    field.name: tables_from_columns(lineages, contract.table, [field.name]) for field in contract.fields
                },
                downstream=tables_from_table(lineages, contract.table),
                pages_of=pages_of,
            )
    return pages


def history(versions: Sequence[Contract]) -> tuple[Step, ...]:
    """What each version changed of the one before it, newest first."""
    steps = []
    for old, new in pairwise(versions):
        changes = diff(old, new)
        step = Step(
            version=new.version,
            before=old.version,
            raised=raised(old.version, new.version),
            needed=needed(changes),
            changes=changes,
        )
        steps.append(step)
    return tuple(reversed(steps))


def rule_words(field: Field) -> list[tuple[str, str]]:
    """What a column's values must keep, beside their type: words, and the value as it is written."""
    return [(_RULE_WORDS[keyword], shown(bound)) for keyword, bound in field.rules.items() if keyword in _RULE_WORDS]


def shown(value: Any) -> str:
    """A value of a contract as text for a person."""
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, str):
        return value or '""'
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value))
    if isinstance(value, dict):
        return "run." + str(value["$run"]) if set(value) == {"$run"} else json.dumps(value, ensure_ascii=False)
    return str(value)
