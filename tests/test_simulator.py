"""The failure model, played: schedules from seeds, the bugs that they must find, and the same trace for the same seed."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from local.stepfunctions import jsonata
from tests.simulator import bugs, faults
from tests.simulator.__main__ import main, report, schedules
from tests.simulator.engine import installed, quick_evaluate
from tests.simulator.plans import BASES, ENUMERATED, every_single, plan_of, possible, prepare
from tests.simulator.scenario import Plan, play

ROOT = Path(__file__).parent.parent
SEEDS = 500
jsonata_evaluate = jsonata.evaluate


@pytest.fixture(scope="module", autouse=True)
def _engine() -> Iterator[None]:
    with installed():
        prepare()
        yield


def first_violation(seeds: range) -> str:
    """The report of the first seed that breaks an invariant; empty when none does."""
    return next((report(result) for result in schedules(seeds) if result.violation is not None), "")


def test_every_invariant_holds_in_each_schedule_and_every_kind_of_fault_is_among_them() -> None:
    fired: set[str] = set()
    for result in schedules(range(SEEDS)):
        assert result.violation is None, report(result)
        fired.update(fault.kind for fault in result.faults.fired)
    assert fired == {fault.kind for basis in BASES for fault in possible(basis)}


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_invariant_holds_in_ten_thousand_schedules_and_every_fault_at_every_step_is_among_them() -> None:
    assert len(every_single()) <= 5_000
    assert first_violation(range(SEEDS, SEEDS + 10_000)) == ""


@pytest.mark.parametrize("name", sorted(bugs.BUGS))
def test_planted_bug_is_found(name: str) -> None:
    with bugs.BUGS[name]():
        assert "VIOLATION" in first_violation(range(SEEDS))


@pytest.mark.parametrize("basis", sorted(BASES))
def test_each_basis_plays_to_its_end(basis: str) -> None:
    assert len(possible(basis)) > 1_000


def test_seed_gives_one_trace_alone_in_a_batch_and_in_other_processes() -> None:
    seeds = range(20, 28)
    here = {result.plan.seed: result.trace.digest for result in schedules(seeds)}
    again = {seed: play(plan_of(seed)).trace.digest for seed in reversed(seeds)}
    assert again == here
    assert len(set(here.values())) == len(seeds)
    for hash_seed, start, count in (("1", 20, 8), ("2", 24, 1), ("3", 27, 1)):
        told = subprocess.run(
            [sys.executable, "-m", "tests.simulator", "--start", str(start), "--seeds", str(count), "--trace"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        found = dict(zip(range(start, start + count), re.findall(r"^sha256 (\w+)$", told, re.M), strict=True))
        assert found == {seed: here[seed] for seed in found}


def test_failing_seed_prints_its_trace_and_exits_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "40", "--bug", "gate_ending_in_fail"]) == 1
    told = capsys.readouterr().out
    for part in ("StartExecution", "QualityGateClosedError", "RedriveExecution", "VIOLATION"):
        assert part in told
    seed = re.findall(r"^seed (\d+): sha256", told, re.MULTILINE)[0]
    assert main(["--start", seed, "--seeds", "1"]) == 0
    assert "every invariant holds" in capsys.readouterr().out


def test_every_row_of_the_failure_model_is_played_or_covered_elsewhere() -> None:
    assert set(faults.ROWS) | faults.LATER == set(range(1, 30))
    played = {fault.kind for basis in ENUMERATED for fault in possible(basis)} | set(BASES)
    for row, ways in faults.ROWS.items():
        for way in ways:
            assert (ROOT / way).is_file() if way.startswith("tests/") else way in played, f"row {row}: {way}"


def test_shortcuts_of_the_evaluator_answer_as_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: set[str] = set()

    def both(expression: str, bindings: Mapping[str, Any]) -> Any:
        answer = quick_evaluate(expression, bindings)
        assert answer == jsonata_evaluate(expression, bindings), expression
        compared.add(expression)
        return answer

    monkeypatch.setattr(jsonata, "evaluate", both)
    for seed in range(1, 9):
        assert play(plan_of(seed)).violation is None
    assert len(compared) > 25


def test_wait_that_runs_out_fails_with_who_writes_and_one_redrive_after_that_succeeds() -> None:
    told = play(BASES["waits run out"])
    assert told.violation is None
    lines = [line for line in told.trace.text().splitlines() if "states " in line and "day-2026-07-30" in line]
    [over] = (line for line in lines if "FAILED LeaseWaitOverError" in line)
    assert "has waited since 2026-07-31T06:" in over
    assert "gold/customer_segments is written by run" in over  # the first by name that a publish asks for
    assert [line.split()[3] for line in lines if "RedriveExecution" in line] == ["day-2026-07-30"]
    assert "SUCCEEDED" in lines[-1]


def test_schedule_without_faults_needs_nobody() -> None:
    result = play(Plan(3, days=BASES["three days"].days, gap_seconds=30.0))
    assert (result.violation, result.redrives) == (None, 0)
