"""What the benches on lakes in folders find: a day beside its history, and a first load beside a script."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ops import show
from ops.bench import Figures
from ops.package import ROOT

HISTORIES = (1, 100)  # days
DAY_ROUNDS, LOAD_ROUNDS = 5, 2  # after one that warms up
SCALE = 1.0
FIRST_LOAD = ("fx_rates", "snowflake_orders", "redshift_products", "redshift_part_supply", "redshift_order_lines")
_MEASURES = ("rows", "bytes", "files", "seconds")
_GOALS = {"rows": "<= 1.15", "bytes": "<= 1.15", "files": "<= 1.15", "seconds": "<= 1.3"}

Costs = Mapping[str, Mapping[str, Any]]


def measure_history() -> Figures:
    """The same day's rows onto a short history and onto a long one, and a table of its steps."""
    found = _run("ops.bench.history", str(DAY_ROUNDS), *map(str, HISTORIES))
    short, long = (found[str(count)] for count in HISTORIES)
    show.CONSOLE.print(show.rows("a day's steps and tables, by history", steps(short, long)))
    return ratios(short, long)


def ratios(short: Sequence[Costs], long: Sequence[Costs]) -> Figures:
    """What a day costs on the long history, as a multiple of what it costs on the short one: the medians of rounds."""
    return {
        f"day_history_{measure}": (
            _median_total(long, measure) / _median_total(short, measure),
            f"times, {HISTORIES[-1]} days of history to {HISTORIES[0]}",
            _GOALS[measure],
        )
        for measure in _MEASURES
    }


def steps(short: Sequence[Costs], long: Sequence[Costs]) -> list[dict[str, Any]]:
    """One record a step, or table whose files were rewritten: each measure on the short history and on the long one."""
    records = []
    for step in dict.fromkeys([*short[0], *long[0]]):
        costs = {
            name: " / ".join(
                _shown(_median([each[step] for each in rounds if step in each], name)) for rounds in (short, long)
            )
            for name in (*_MEASURES, "log_rows", "log_bytes")
        }
        records.append({"step": step, **costs})
    return records


def measure_first_load() -> Figures:
    """A first load by the jobs, beside the script; both on the same rows in the same process."""
    found = _run("ops.bench.medallion", str(SCALE), str(LOAD_ROUNDS), *FIRST_LOAD)
    ratio = statistics.median(ours / bare for ours, bare in zip(found["platform"], found["bare"], strict=True))
    return {
        "medallion_vs_bare": (ratio, "times its time", "<= 1.25"),
        "medallion_bare_seconds": (statistics.median(found["bare"]), "s", None),
        "medallion_seconds": (statistics.median(found["platform"]), "s", None),
    }


def _run(module: str, *arguments: str) -> Any:
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, env={**os.environ, "TZ": "UTC"}, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def _median_total(rounds: Sequence[Costs], measure: str) -> float:
    totals = (sum(float(cost[measure]) for cost in costs.values()) for costs in rounds)
    return statistics.median(totals)


def _median(costs: Sequence[Mapping[str, Any]], measure: str) -> float:
    return statistics.median(float(cost[measure]) for cost in costs) if costs else 0.0


def _shown(value: float) -> str:
    return f"{value:.2f}" if value % 1 else f"{value:.0f}"
