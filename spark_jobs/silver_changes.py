"""What came into silver since gold was built: a run that ends at silver leaves gold to the next run that builds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from spark_jobs.days import Span, merge_spans
from spark_jobs.delta_log import Commit, read_commit
from spark_jobs.job import PUBLISH_SILVER
from spark_jobs.lake import Lake


@dataclass(frozen=True, kw_only=True)
class Changes:
    """Commits of other runs to a silver table that gold knows nothing of.

    Attributes:
        spans: the days that they are about; None when one of them does not say.
    """

    run_ids: frozenset[str]
    spans: list[Span] | None

    def rows(self, lake: Lake, table: str, version: int | None, column: str) -> DataFrame | None:
        """The rows that they brought and that stand; None when there are none."""
        found = lake.read_days(table, version, column, self.spans)
        return None if found is None else found.where(sf.col("_run_id").isin(*sorted(self.run_ids)))


def since_gold(lake: Lake, gold: str, gold_version: int | None, table: str, version: int | None) -> Changes | None:
    """What changed a silver table since the version that gold was built on; None when nothing did.

    Gold's commit says on which versions of silver it was built. One that does not is older than the runs which end at
    silver, so that only their commits can be missing from it.
    """
    if version is None:
        return None
    built_on = _built_on(lake, gold, gold_version)
    first = 0 if built_on is None else int(built_on.get(table, -1)) + 1
    missed = [
        commit
        for commit in _commits(lake, table, range(first, version + 1))
        if commit.run_id not in {None, lake.request.run_id}
        and (built_on is not None or commit.note.get("step") == PUBLISH_SILVER)
    ]
    if not missed:
        return None
    days = [_days(commit) for commit in missed]
    known = [span for span in days if span is not None]
    return Changes(
        run_ids=frozenset(str(commit.run_id) for commit in missed),
        spans=merge_spans(known) if len(known) == len(days) else None,
    )


def _built_on(lake: Lake, gold: str, version: int | None) -> Mapping[str, Any] | None:
    """From the newest commit of gold that says it; others, such as those of a maintenance, do not rebuild gold."""
    newest_first = range(-1 if version is None else version, -1, -1)
    notes = (commit.note.get("built_on") for commit in _commits(lake, gold, newest_first))
    return next(({table: at for table, at in note.items() if at is not None} for note in notes if note), None)


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
