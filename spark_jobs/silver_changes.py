"""What came into silver since gold was built: a run that ends at silver leaves gold to the next run that builds it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from contracts import contract as contracts
from spark_jobs.days import Span, merge_spans
from spark_jobs.delta_log import Commit, read_commit, with_the_same_rows
from spark_jobs.lake import Lake


@dataclass(frozen=True, kw_only=True)
class Changes:
    """Commits of other runs to a silver table that gold knows nothing of.

    Attributes:
        spans: the days that they are about; None when one of them does not say.
    """

    run_ids: frozenset[str]
    spans: list[Span] | None

    def rows(self, lake: Lake, table: str, version: int | None, column: str | None) -> DataFrame | None:
        """The rows that they brought and that stand; None when there are none."""
        found = lake.read_days(table, version, column, self.spans)
        return None if found is None else found.where(sf.col("_run_id").isin(*sorted(self.run_ids)))


def since(lake: Lake, known: int | None, table: str, version: int | None) -> Changes | None:
    """What other runs changed in a silver table since a version (None: ever); None when nothing did."""
    if version is None:
        return None
    missed = [
        commit
        for commit in _commits(lake, table, range(0 if known is None else known + 1, version + 1))
        if commit.run_id not in {None, lake.request.run_id} and commit.changes_rows
    ]
    if not missed:
        return None
    days = [_days(commit) for commit in missed]
    spans = [span for span in days if span is not None]
    return Changes(
        run_ids=frozenset(str(commit.run_id) for commit in missed),
        spans=merge_spans(spans) if len(spans) == len(days) else None,
    )


def sealed(lake: Lake, seal: str, version: int | None) -> Mapping[str, int] | None:
    """The versions of silver and gold when gold was last published whole; None when it never was.

    The table that is published last says it. A publish that was cut in half, and whose run another one replaced, has
    committed to some of the others since: nothing may be counted on from there. Nor may rows that lack a column which
    their contract has gained: None then, so that all of gold is computed anew.
    """
    newest_first = range(-1 if version is None else version, -1, -1)
    for commit in _commits(lake, seal, newest_first):  # others, such as those of a maintenance, do not rebuild gold
        if built_on := commit.note.get("built_on"):
            if any(commit.note.get("columns", {}).get(table) != names for table, names in columns(built_on).items()):
                return None
            versions = {**{table: at for table, at in built_on.items() if at is not None}, seal: commit.version}
            # a version's files may be vacuumed by now; where they were only packed anew, a later one has its rows
            return {table: with_the_same_rows(lake.store, table, at) for table, at in versions.items()}
    return None


def columns(tables: Iterable[str]) -> dict[str, list[str]]:
    """The columns of the gold tables among `tables`, as their contracts have them now."""
    gold = (contracts.of_table(table) for table in tables if table.startswith("gold/"))
    return {each.table: [name for name, _ in each.columns] for each in gold}


def restored_since(lake: Lake, known: int | None, table: str, version: int | None) -> bool:
    """Whether a silver table was restored since a version (None: ever): rows that gold was built on may be gone."""
    versions = range(0 if known is None else known + 1, 0 if version is None else version + 1)
    return any(commit.note.get("restored") for commit in _commits(lake, table, versions))


def _commits(lake: Lake, table: str, versions: range) -> Iterator[Commit]:
    for version in versions:
        commit = read_commit(lake.store, table, version)
        if commit is not None:
            yield commit


def _days(commit: Commit) -> Span | None:
    try:
        first, last = (date.fromisoformat(day) for day in commit.note["days"])
    except (KeyError, TypeError, ValueError):
        return None
    return first, last
