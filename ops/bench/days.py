"""Timings of whole days on a laptop cloud of its own."""

from __future__ import annotations

import datetime
import os
import statistics
import tempfile

from local.processes import free_port
from ops import laptop, run, show
from ops.bench import Figures, orchestration
from ops.demo import HISTORY_UNTIL
from ops.errors import OpsError
from ops.platform import platform
from ops.run import Progress

WARM_DAYS = 3


def measure() -> Figures:
    """Load the history, run the days after it, and take medians.

    Raises:
        OpsError: a run does not succeed.
    """
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"ASSAY_HOME": home, "ASSAY_PORT": str(free_port())}
        laptop.up(lambda words: show.CONSOLE.print(f"laptop cloud: {words}"))
        try:
            ended = [_run(HISTORY_UNTIL + datetime.timedelta(days=n)) for n in range(WARM_DAYS + 1)]
            histories = [run.history(platform("local"), now.execution_arn) for now in ended]
        finally:
            laptop.down()
    history, days = ended[0], ended[1:]
    return {
        "history_run_seconds": (_seconds(history), "s", None),
        "warm_day_seconds": (statistics.median(_seconds(day) for day in days), "s", None),
        "both_runs_seconds": (_seconds(history) + _seconds(days[0]), "s", "<= 150"),
        "orchestration_share": (statistics.median(_orchestration(day) for day in days), "of a warm day", None),
        "job_runs_a_day": (len(days[-1].jobs), "job runs", None),
        **orchestration.measure(days, histories[1:]),
    }


def _run(day: datetime.date) -> Progress:
    target = platform("local")
    now = run.watch(target, run.start(target, day))
    show.CONSOLE.print(f"{day}: {now.status} in {_seconds(now):.1f} s")
    if now.status != "SUCCEEDED":
        raise OpsError(f"the run of {day} ended {now.status}: {now.failure}")
    return now


def _seconds(now: Progress) -> float:
    return (now.ended - now.started).total_seconds() if now.ended else float("nan")


def _orchestration(now: Progress) -> float:
    """The share of a run in which no job run was under way."""
    busy, until = datetime.timedelta(), now.started
    for job in sorted(now.jobs, key=lambda job: job["created"]):
        busy += max(job["updated"] - max(job["created"], until), datetime.timedelta())
        until = max(until, job["updated"])
    return 1.0 - busy.total_seconds() / _seconds(now)
