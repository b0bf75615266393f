"""A run whose execution is dead is superseded: its day and its files pass on once, and it writes nothing more."""

import importlib
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from lambdas_world import BUCKET, EXECUTION, NOW, World

from contracts import contract as contracts
from contracts.errors import InvalidRequestError, RunSupersededError
from lambdas.arrivals import claim, held_by_others, list_landed
from lambdas.digests import released
from lambdas.ledger import SUCCEEDED, SUPERSEDED, Run
from lambdas.opening import Opening, open_run

FX = contracts.of_source("fx_rates")


def ended(_: str) -> bool:
    return False


def supersede(
    w: World, run_id: str, execution: str = "second", can_still_run: Callable[[str], bool] = ended, **more: Any
) -> dict[str, Any]:
    opening = Opening(
        execution_arn=EXECUTION + execution,
        request={"supersedes": run_id, **more},
        now=NOW,
        unique=execution.encode().hex().ljust(32, "0"),
        code_digest="code2",
        released=released(),
        sources=("fx_rates", "snowflake_orders"),
        can_still_run=can_still_run,
    )
    return open_run(w.ledger, opening)


def run_of(w: World, run_id: str) -> Run:
    found = w.ledger.run(run_id)
    assert found is not None
    return found


def test_successor_has_the_day_and_the_interval() -> None:
    w = World()
    w.open_run("2026-07-29", "before")
    old = w.open_run("2026-07-30")
    w.open_run("2026-07-31", "after")
    answer = supersede(w, old.run_id)
    assert (answer["disposition"], answer["data_date"]) == ("OPENED", "2026-07-30")
    assert answer["interval"] == {"start": old.interval_start, "end": old.interval_end}
    new, dead = run_of(w, answer["run_id"]), run_of(w, old.run_id)
    assert (dead.status, dead.superseded_by, new.supersedes) == (SUPERSEDED, new.run_id, old.run_id)
    again = w.ledger.interval_claim("2026-07-30")
    assert again is not None
    assert again.run_id == new.run_id
    watermark = w.ledger.watermark()
    assert watermark is not None
    assert watermark.opened_to == "2026-08-01T00:00:00Z"


def test_asking_again_changes_nothing_and_a_second_successor_is_told_of_the_first() -> None:
    w = World()
    old = w.open_run()
    first = supersede(w, old.run_id)
    assert supersede(w, old.run_id) == first
    late = supersede(w, old.run_id, "third")
    assert (late["disposition"], late["run_id"]) == ("ALREADY_DONE", first["run_id"])
    assert w.ledger.run_of(EXECUTION + "third") is None


def test_of_two_at_once_one_takes_over() -> None:
    w = World()
    old = w.open_run()
    write, raced = w.store.write, []

    def write_after_another(*writes: Any) -> bool:
        if not raced:
            raced.append({})
            raced[0] = supersede(w, old.run_id, "third")
        return write(*writes)

    w.store.write = write_after_another  # type: ignore[method-assign]
    answer = supersede(w, old.run_id)
    assert (answer["disposition"], answer["run_id"]) == ("ALREADY_DONE", raced[0]["run_id"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"can_still_run": lambda _: True}, "while its execution runs: stop arn:aws", id="execution-runs"),
        pytest.param({"data_date": "2026-07-30"}, "names a run and nothing else", id="a-date-too"),
        pytest.param({"run_id": "20260731T060012Z-none"}, "not in the ledger", id="no-such-run"),
    ],
)
def test_what_cannot_be_superseded(change: dict[str, Any], words: str) -> None:
    w = World()
    arguments = {"run_id": w.open_run().run_id, **change}
    with pytest.raises(InvalidRequestError, match=words):
        supersede(w, **arguments)
    assert w.ledger.run_of(EXECUTION + "second") is None


def test_a_run_that_succeeded_stands() -> None:
    w = World()
    old = w.open_run()
    w.ledger.change(old, status=SUCCEEDED)
    with pytest.raises(InvalidRequestError, match="is SUCCEEDED and cannot be superseded"):
        supersede(w, old.run_id)


def test_a_run_that_succeeds_meanwhile_stands() -> None:
    w = World()
    old = w.open_run()

    def closes(_: str) -> bool:
        w.ledger.change(run_of(w, old.run_id), status=SUCCEEDED)
        return False

    with pytest.raises(InvalidRequestError, match="SUCCEEDED"):
        supersede(w, old.run_id, can_still_run=closes)
    assert run_of(w, old.run_id).superseded_by is None


def test_files_pass_on_to_the_successor_and_to_no_other_run() -> None:
    w = World()
    first = w.open_run()
    w.land("eurofxref-2026-07-30.csv")
    files = list_landed(w.s3, BUCKET, FX)  # type: ignore[arg-type]
    assert claim(w.ledger, FX, files, first) == files
    second = run_of(w, supersede(w, first.run_id)["run_id"])
    third = run_of(w, supersede(w, second.run_id, "third")["run_id"])  # the second died before it claimed anything
    other = w.open_run("2026-07-31", "other")
    assert claim(w.ledger, FX, files, other) == []
    thursday = date(2026, 7, 30)
    assert held_by_others(w.ledger, FX, third, thursday, thursday).taken == []
    assert claim(w.ledger, FX, files, third) == files
    assert claim(w.ledger, FX, files, first) == []


@pytest.mark.parametrize(
    ("function", "event"),
    [
        ("validate_contracts", {}),
        ("hold_at_gate", {"layer": "bronze", "round": 0, "redrive_count": 1, "check": {}}),
        ("emit_lineage_and_metrics", {"receipts": []}),
        ("close_run", {"receipts": []}),
    ],
)
def test_a_superseded_run_goes_no_further(
    function: str, event: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    w = World()
    old = w.open_run()
    new = supersede(w, old.run_id)
    module = importlib.import_module(f"lambdas.{function}")
    monkeypatch.setattr(module.runtime, "settings", lambda _: None)
    monkeypatch.setattr(module.runtime, "ledger", lambda: w.ledger)
    with pytest.raises(RunSupersededError, match=str(new["run_id"])):
        module.lambda_handler({"run_id": old.run_id, **event}, object())


def test_a_superseded_run_starts_no_job() -> None:
    w = World()
    old = w.open_run()
    supersede(w, old.run_id)
    with pytest.raises(RunSupersededError, match="leave this one as it is"):
        w.launcher().ensure(w.ask(old))
    assert w.emr.runs == {}
