"""Which tables are made from a table, or from some of its columns.

Source: the `LINEAGE` beside each transform in spark_jobs/transforms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """How one table is made: from which tables, and each of its columns from which `table.column`; `*` is any."""

    output: str
    inputs: tuple[str, ...]
    columns: Mapping[str, Sequence[str]]


def tables_from_table(lineages: Iterable[Lineage], table: str) -> tuple[str, ...]:
    """The tables made from `table`, directly or by way of others, nearest first."""
    lineages, reached, nearest = tuple(lineages), list[str](), {table}
    while nearest:
        nearest = {each.output for each in lineages if nearest & set(each.inputs)} - set(reached)
        reached.extend(sorted(nearest))
    return tuple(reached)


def tables_from_columns(lineages: Iterable[Lineage], table: str, columns: Iterable[str]) -> tuple[str, ...]:
    """The tables that have a column made from one of `columns` of `table`, directly or by way of others, nearest first.

    A column that a transform only joins, filters or orders by is in no lineage, and counts as not used.
    """
    lineages, reached, nearest = tuple(lineages), list[tuple[str, str]](), {(table, column) for column in columns}
    while nearest:
        wanted = {f"{name}.{column}" for name, column in nearest} | {f"{name}.*" for name, _ in nearest}
        nearest = {
            (each.output, made) for each in lineages for made, sources in each.columns.items() if wanted & set(sources)
        } - set(reached)
        reached.extend(sorted(nearest))
    return tuple(dict.fromkeys(name for name, _ in reached))
