"""`make bench`: every bench in turn; what is measured stays on record when a later one fails."""

from __future__ import annotations

import json

from ops import show
from ops.bench import Figures, days, folders, ingest, quality
from ops.package import ROOT


def main() -> None:
    """Run the benches, print their figures, and write them to `build/bench.json`: name to value, unit, goal."""
    figures: dict[str, tuple[float, str, str | None]] = {}
    for bench in (
        quality.measure,
        ingest.measure,
        folders.measure_first_load,
        folders.measure_history,
        days.measure,
    ):
        figures |= bench()
        report(figures)


def report(figures: Figures) -> None:
    """Print the figures and write them down."""
    records = [
        {"name": name, "value": round(value, 3), "unit": unit, "goal": goal or ""}
        for name, (value, unit, goal) in figures.items()
    ]
    show.CONSOLE.print(show.rows("bench", records))
    document = {n: {"value": value, "unit": unit, "goal": goal} for n, (value, unit, goal) in figures.items()}
    (ROOT / "build" / "bench.json").write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
