"""A step waits for another writer of its tables, and for how long is a setting of the stage."""

from datetime import timedelta

import pytest
from lambdas_world import NOW, World

from contracts.errors import LeaseHeldError, LeaseWaitOverError
from lambdas.jobs import Ask
from lambdas.ledger import Run


@pytest.fixture
def w() -> World:
    return World()


@pytest.fixture
def run(w: World) -> Run:
    return w.open_run()


def waits(w: World, ask: Ask, *, minutes: float) -> type[Exception] | None:
    """What an ask made so long after the first meets."""
    try:
        w.launcher(now=NOW + timedelta(minutes=minutes)).ensure(ask)
    except (LeaseHeldError, LeaseWaitOverError) as error:
        return type(error)
    return None


def test_wait_for_another_writer_is_over_after_the_setting_and_begins_anew_with_a_redrive(w: World, run: Run) -> None:
    second = w.open_run("2026-07-31", "day2")
    w.launcher().ensure(w.ask(run))
    found = [
        waits(w, w.ask(second, redrive_count=redrive, retry_count=retry), minutes=minutes)
        for redrive, retry, minutes in ((0, 0, 5), (0, 1, 7), (0, 2, 244.9), (0, 3, 245), (1, 0, 300), (1, 1, 539))
    ]
    assert found == [LeaseHeldError] * 3 + [LeaseWaitOverError] + [LeaseHeldError] * 2
    with pytest.raises(
        LeaseWaitOverError,
        match=rf"ingest:fx_rates:0:1 has waited since 2026-07-31T11:00:12Z, .*lease_wait_minutes of 240: "
        rf"bronze/fx_rates is written by run {run.run_id}, .*00job001.* Redrive this execution",
    ):
        w.launcher(now=NOW + timedelta(minutes=540)).ensure(w.ask(second, redrive_count=1, retry_count=2))
    w.end("00job001")
    assert waits(w, w.ask(second, redrive_count=2), minutes=541) is None
    assert [each["name"].split(":")[0] for each in w.emr.runs.values()] == [run.run_id, second.run_id]


def test_step_that_has_got_its_lease_has_all_the_time_again_for_the_next_wait(w: World, run: Run) -> None:
    second = w.open_run("2026-07-31", "day2")
    w.launcher().ensure(w.ask(run))
    assert waits(w, w.ask(second), minutes=0) is LeaseHeldError
    w.end("00job001")
    assert waits(w, w.ask(second, retry_count=1), minutes=200) is None
    w.emr.runs["00job002"]["state"] = "CANCELLING"
    assert waits(w, w.ask(second, retry_count=2), minutes=300) is LeaseHeldError
    assert waits(w, w.ask(second, retry_count=3), minutes=539) is LeaseHeldError
    assert waits(w, w.ask(second, retry_count=4), minutes=540) is LeaseWaitOverError


def test_ask_left_over_from_before_a_redrive_does_not_touch_the_wait(w: World, run: Run) -> None:
    second = w.open_run("2026-07-31", "day2")
    w.launcher().ensure(w.ask(run))
    stale, launcher = w.ask(second, retry_count=7), w.launcher(now=NOW)
    assert waits(w, w.ask(second, redrive_count=1), minutes=10) is LeaseHeldError
    launcher._wait(stale, LeaseHeldError("told before the redrive"))
    record = w.ledger.step(second.run_id, "ingest", "fx_rates")
    assert record is not None
    assert (record.waits_since, record.waits_under) == ("2026-07-31T06:10:12Z", 1)
