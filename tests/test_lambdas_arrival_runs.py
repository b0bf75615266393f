"""Who takes a file that arrives, the daily run or the run of its set, and how the latter opens."""

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from lambdas_world import Faults, World
from landing import FIVE, FX, Landing, arrived, etag_of, opening, taken

from contracts.errors import InvalidRequestError
from lambdas.arrival_sets import Gatherer
from lambdas.arrivals import held_by_others
from lambdas.gathering import set_name
from lambdas.ledger import OPEN, SUCCEEDED
from lambdas.opening import open_run
from lambdas.records import GATHERING


def test_the_daily_run_leaves_what_arrived_and_the_set_leaves_the_rest() -> None:
    landing = Landing()
    for each in (FIVE[0], FIVE[4]):
        landing.put(each)
    landing.gatherer().gather([FIVE[0]])
    day = landing.world.open_run()
    assert [each.key for each in taken(landing.world, day)] == [FIVE[4].key]
    landing.run_all()
    assert [key for key, _ in landing.ingested] == [FIVE[0].key]
    assert [each.key for each in taken(landing.world, day)] == [FIVE[4].key]


@pytest.mark.parametrize("status", [OPEN, SUCCEEDED])
def test_an_event_after_the_daily_run_took_the_file_starts_nothing(status: str) -> None:
    landing = Landing()
    landing.put(FIVE[0])
    day = landing.world.open_run()
    assert len(taken(landing.world, day)) == 1
    landing.world.ledger.change(day, status=status)
    landing.gatherer().gather([FIVE[0]])
    assert landing.executions.inputs == {}


def test_a_file_put_right_waits_for_the_daily_run_and_is_a_new_arrival_after_it() -> None:
    landing = Landing()
    landing.put(FIVE[1])
    day = landing.world.open_run()
    taken(landing.world, day)
    landing.put(FIVE[2])
    landing.gatherer().gather([FIVE[2]])
    assert landing.executions.inputs == {}
    assert [each.etag for each in taken(landing.world, day)] == [FIVE[2].etag]
    landing.world.ledger.change(day, status=SUCCEEDED)
    landing.put(FIVE[3])
    landing.gatherer().gather([FIVE[3]])
    landing.run_all()
    assert landing.ingested == [(FIVE[3].key, FIVE[3].etag)]


def test_a_late_event_of_a_version_that_the_daily_run_never_saw_starts_nothing() -> None:
    landing = Landing()
    landing.put(FIVE[2])
    day = landing.world.open_run()
    taken(landing.world, day)
    landing.world.ledger.change(day, status=SUCCEEDED)
    landing.gatherer().gather([FIVE[1]])  # older than what the run listed; its claim has no sequencer to tell
    assert landing.executions.inputs == {}


@pytest.mark.parametrize("first", ["day", "set"])
def test_a_race_for_a_file_has_one_winner(first: str) -> None:
    """One asks while the other is about to write."""
    landing = Landing()
    landing.put(FIVE[0])
    day = landing.world.open_run()
    write, done, taken_by_day = landing.world.store.write, [], []

    def raced(other: Callable[[], Any]) -> Callable[..., bool]:
        def write_after_the_other(*writes: Any) -> bool:
            if not done:
                done.append(True)
                other()
            return write(*writes)

        return write_after_the_other

    def ask() -> None:
        taken_by_day[:] = taken(landing.world, day)

    def gather() -> None:
        landing.gatherer().gather([FIVE[0]])

    slow, quick = (ask, gather) if first == "set" else (gather, ask)
    landing.world.store.write = raced(quick)  # type: ignore[method-assign]
    slow()
    landing.world.store.write = write  # type: ignore[method-assign]
    landing.run_all()
    assert len(taken_by_day) + len(landing.ingested) == 1
    assert len(landing.ingested) == (first == "set")


def test_a_file_counts_as_taken_once_the_run_of_its_set_is_open() -> None:
    landing, thursday = Landing(), date(2026, 7, 30)
    file = etag_of(arrived("eurofxref-2026-07-30.csv"))
    landing.put(file)
    landing.gatherer().gather([file])
    day = landing.world.open_run()
    before = held_by_others(landing.world.ledger, FX, day, thursday, thursday)
    assert (before.taken, before.waiting) == ([], [file.key])
    landing.run_all()
    after = held_by_others(landing.world.ledger, FX, day, thursday, thursday)
    assert (after.taken, after.waiting) == ([file.key], [])


def test_a_set_has_one_run_and_the_days_know_nothing_of_it() -> None:
    landing = Landing()
    landing.gatherer().gather([FIVE[0], FIVE[4]])
    [name] = landing.executions.inputs
    run = landing.open(name)
    assert (run.workflow, run.arrival_set, run.sources) == ("file_arrival", name, ["fx_rates"])
    assert (run.data_date, run.interval_start, run.interval_end) == (
        "2026-07-30",
        "2026-07-30T00:00:00Z",
        "2026-07-31T00:00:00Z",
    )
    ledger = landing.world.ledger
    assert ledger.watermark() is None
    assert ledger.interval_claim("2026-07-30") is None
    assert landing.open(name) == run  # asked again
    second = opening(json.loads(landing.executions.inputs[name]), "by-hand")
    answer = open_run(ledger, second)
    assert (answer["disposition"], answer["run_id"]) == ("ALREADY_DONE", run.run_id)
    assert answer["sources"] == ["fx_rates"]


def test_a_run_of_a_set_can_be_superseded_in_its_own_workflow_only() -> None:
    landing = Landing()
    landing.put(FIVE[0])
    landing.gatherer().gather([FIVE[0]])
    [name] = landing.executions.inputs
    dead = landing.open(name)
    request = {"supersedes": dead.run_id}
    ledger = landing.world.ledger
    with pytest.raises(InvalidRequestError, match="is of file_arrival"):
        open_run(ledger, opening(request, "daily", workflow="daily_batch", alive=False))
    answer = open_run(ledger, opening(request, "again", alive=False))
    successor = ledger.live_run(answer["run_id"])
    assert (answer["disposition"], successor.arrival_set, answer["sources"]) == ("OPENED", name, ["fx_rates"])
    assert [each.key for each in taken(landing.world, successor)] == [FIVE[0].key]


@pytest.mark.parametrize(
    ("request_", "workflow", "words"),
    [
        pytest.param({"data_date": "2026-07-30"}, "file_arrival", "no set of arrivals", id="no-set"),
        pytest.param({"arrival_set": "arrivals-0"}, "file_arrival", "no set of arrivals", id="unknown-set"),
        pytest.param(
            {"arrival_set": "arrivals-0", "data_date": "2026-07-30"}, "daily_batch", "file_arrival", id="daily"
        ),
    ],
)
def test_an_input_that_names_no_set_is_refused(request_: dict[str, Any], workflow: str, words: str) -> None:
    with pytest.raises(InvalidRequestError, match=words):
        open_run(World().ledger, opening(request_, "x", workflow))


def test_a_set_that_is_still_gathering_has_no_run() -> None:
    landing = Landing()
    faults = Faults(at=1_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Gatherer, "_start", lambda *_: None)
        landing.gatherer(faults).gather([FIVE[0]])
    name = set_name([FIVE[0]])
    found = landing.world.ledger.arrival_set(name)
    assert found is not None
    assert found.status == GATHERING
    with pytest.raises(InvalidRequestError, match="no set of arrivals ready"):
        open_run(landing.world.ledger, opening({"arrival_set": name}, "early"))
