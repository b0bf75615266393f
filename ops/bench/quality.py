"""The quality gate against its opponents on TPC-H's lineitem, and what a contract adds to reading and writing it."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ops.bench import Figures, gx
from ops.package import ROOT

SCALE = 0.5
FOLDER = ROOT / "build" / "bench"


def measure() -> Figures:
    """Race ours against Great Expectations and a hand-written aggregation, interleaved in one process, and compare."""
    race = Path(__file__).with_name("race.py")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYSPARK_PYTHON": str(gx.python()), "TZ": "UTC"}
    found = subprocess.run([gx.python(), race, _lineitem()], env=environment, stdout=subprocess.PIPE, check=True)
    timed = json.loads(found.stdout)
    rows, seconds = timed["rows"], {name: statistics.median(values) for name, values in timed["seconds"].items()}
    figures: dict[str, tuple[float, str, str | None]] = {
        "quality_vs_gx": (_ratio(timed["seconds"], "gx", "ours"), "times faster", ">= 3"),
        "quality_vs_gx_no_unique": (
            _ratio(timed["seconds"], "gx_no_unique", "ours_no_unique"),
            "times faster",
            ">= 3.5",
        ),
        "quality_vs_hand": (_ratio(timed["seconds"], "ours", "hand"), "times its time", "<= 1.15"),
        "quality_vs_hand_no_unique": (
            _ratio(timed["seconds"], "ours_no_unique", "hand_no_unique"),
            "times its time",
            "<= 1.15",
        ),
        "contract_overhead": (_ratio(timed["seconds"], "copy_judged", "copy") - 1, "of read + write", "<= 0.15"),
    }
    return figures | {f"rows_a_second_{name}": (rows / each, "rows/s", None) for name, each in seconds.items()}


def _ratio(seconds: Mapping[str, Sequence[float]], one: str, other: str) -> float:
    """The median over the rounds of one's time to the other's in the same round."""
    return statistics.median(a / b for a, b in zip(seconds[one], seconds[other], strict=True))


def _lineitem() -> Path:
    """TPC-H's lineitem as one Parquet file; made on first use."""
    file = FOLDER / "lineitem.parquet"
    if not file.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        tool = str(Path(sys.executable).with_name("tpchgen-cli"))
        command = [tool, "parquet", "-s", str(SCALE), "--tables=lineitem", f"--output-dir={FOLDER}", "--quiet"]
        subprocess.run(command, check=True)
    return file
