"""The benches on lakes in a folder: their arithmetic, and that they run and compare equal tables on tiny data."""

import json
import os
import subprocess
import sys

import pytest

from ops.bench import folders
from ops.package import ROOT

NOTHING = {"log_rows": 0, "log_bytes": 0}


def costs(rows, files, seconds):
    """A day of two steps, the second of which is a table whose files were rewritten."""
    return {
        "ingest": {"rows": rows, "bytes": rows * 10, "files": 0, "seconds": seconds, **NOTHING},
        "silver/orders": {"rows": 0, "bytes": 0, "files": files, "seconds": 0.0, **NOTHING},
    }


SHORT = [costs(100, 2, 1.0), costs(100, 2, 3.0), costs(100, 2, 2.0)]
LONG = [costs(110, 3, 2.2), costs(110, 3, 9.0), costs(110, 3, 2.1)]


def test_a_day_on_a_long_history_is_told_as_a_multiple_of_one_on_a_short_one():
    found = {name: value for name, (value, _, _) in folders.ratios(SHORT, LONG).items()}
    assert found == pytest.approx(
        {"day_history_rows": 1.1, "day_history_bytes": 1.1, "day_history_files": 1.5, "day_history_seconds": 1.1}
    )


def test_each_step_is_shown_on_both_histories():
    ingest, table = folders.steps(SHORT, LONG)
    assert (ingest["step"], ingest["rows"], ingest["seconds"]) == ("ingest", "100 / 110", "2 / 2.20")
    assert (table["step"], table["files"]) == ("silver/orders", "2 / 3")


def run(module, *arguments):
    command = [sys.executable, "-m", f"ops.bench.{module}", *arguments]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "TZ": "UTC"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.slow
def test_the_script_and_the_jobs_make_equal_tables():
    """The bench refuses to time them otherwise. With fewer than a hundred suppliers TPC-H has two prices of one offer."""
    found = run("medallion", "0.01", "0", *folders.FIRST_LOAD)
    assert found["bare"]
    assert found["platform"]


@pytest.mark.slow
def test_a_day_onto_another_history_reads_the_same_rows():
    found = run("history", "1", "1", "2")
    for day in found.values():
        assert sum(cost["rows"] for cost in day[0].values()) > 10_000
    ratio = folders.ratios(found["1"], found["2"])["day_history_rows"][0]
    assert ratio <= 1.15
