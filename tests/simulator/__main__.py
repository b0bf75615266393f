"""Run schedules: `python -m tests.simulator --seeds 500 --start 0`; 1 when an invariant does not hold."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext

from .bugs import BUGS
from .engine import installed
from .plans import plan_of, prepare
from .scenario import Result, play

PROGRESS_SECONDS = 5.0


def schedules(seeds: Iterator[int] | range) -> Iterator[Result]:
    """The schedules of some seeds, one by one; engine.installed() must be in force."""
    return (play(plan_of(seed)) for seed in seeds)


def report(result: Result) -> str:
    """What a person needs to see of a schedule that broke an invariant."""
    return f"{result.trace.text()}{result.plan}\nVIOLATION {result.violation}\nseed {result.plan.seed}: sha256 {result.trace.digest}"


def main(argv: Sequence[str]) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--seeds", type=int, default=500, help="how many schedules")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--trace", action="store_true", help="print every schedule, not only one that fails")
    parser.add_argument("--bug", choices=sorted(BUGS), help="plant a bug first")
    options = parser.parse_args(argv)
    started = shown = time.monotonic()
    executions = redrives = count = 0
    plant = BUGS[options.bug] if options.bug else nullcontext
    with installed():
        if options.bug:
            prepare()
        with plant():
            for result in schedules(range(options.start, options.start + options.seeds)):
                count, executions, redrives = count + 1, executions + result.executions, redrives + result.redrives
                if result.violation is not None:
                    print(report(result))
                    return 1
                if options.trace:
                    print(f"{result.trace.text()}{result.plan}\nsha256 {result.trace.digest}")
                if time.monotonic() - shown > PROGRESS_SECONDS:
                    shown = time.monotonic()
                    print(
                        f"{count}/{options.seeds} schedules, {executions / (shown - started):.0f} executions a second"
                    )
    seconds = time.monotonic() - started
    print(
        f"{count} schedules, {executions} executions, {redrives} redrives in {seconds:.1f} s: "
        f"{count / seconds:.1f} schedules and {executions / seconds:.1f} executions a second; every invariant holds"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
