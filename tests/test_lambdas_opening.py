import json
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lambdas_world import EXECUTION, World, event

from contracts.errors import InvalidRequestError
from lambdas.digests import released
from lambdas.intervals import Interval, interval_for, requested_date
from lambdas.ledger import Watermark
from lambdas.opening import Opening, open_run

MIDNIGHT = datetime(2026, 7, 31, tzinfo=UTC)


def day(number: int, month: int = 7) -> datetime:
    return datetime(2026, month, number, tzinfo=UTC)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        pytest.param(event("scheduler_input"), date(2026, 7, 30), id="schedule"),
        pytest.param({"data_date": "2026-07-30"}, date(2026, 7, 30), id="named"),
        pytest.param({"scheduled_time": "2026-03-01T06:00:00Z"}, date(2026, 2, 28), id="month-end"),
        pytest.param({"scheduled_time": "2028-03-01T06:00:00Z"}, date(2028, 2, 29), id="leap-day"),
        pytest.param(
            {"scheduled_time": "2026-07-31T00:30:00+02:00"}, date(2026, 7, 29), id="offset-before-utc-midnight"
        ),
        pytest.param({"scheduled_time": "2026-10-25T02:30:00+01:00"}, date(2026, 10, 24), id="clocks-go-back"),
        pytest.param({"data_date": "2028-02-29"}, date(2028, 2, 29), id="named-leap-day"),
    ],
)
def test_requested_date(request_: dict[str, Any], expected: date) -> None:
    assert requested_date(request_) == expected


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        pytest.param({}, "exactly one", id="empty"),
        pytest.param({"data_date": "2026-07-30", "scheduled_time": "2026-07-31T06:00:00Z"}, "exactly one", id="both"),
        pytest.param({"data_date": "2026-02-30"}, "2026-02-30", id="no-such-day"),
        pytest.param({"data_date": "yesterday"}, "yesterday", id="word"),
        pytest.param({"data_date": 20260730}, "20260730", id="number"),
        pytest.param({"scheduled_time": "2026-07-31T06:00:00"}, "no offset", id="no-offset"),
        pytest.param({"scheduled_time": "<aws.scheduler.scheduled-time>"}, "not a date", id="not-filled-in"),
    ],
)
def test_request_without_a_date_is_refused(request_: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequestError, match=words):
        requested_date(request_)


@pytest.mark.parametrize(
    ("data_date", "watermark", "expected"),
    [
        pytest.param(date(2026, 7, 30), None, Interval(start=None, end=day(31)), id="first-run-ever"),
        pytest.param(date(2026, 7, 31), day(31), Interval(start=day(31), end=day(1, 8)), id="next-day"),
        pytest.param(date(2026, 8, 2), day(31), Interval(start=day(31), end=day(3, 8)), id="after-skipped-days"),
        pytest.param(date(2026, 7, 28), day(31), Interval(start=day(28), end=day(29)), id="backfill"),
        pytest.param(date(2026, 7, 30), day(31), Interval(start=day(30), end=day(31)), id="day-at-the-watermark"),
    ],
)
def test_interval(data_date: date, watermark: datetime | None, expected: Interval) -> None:
    assert interval_for(data_date, watermark) == expected


@given(st.lists(st.integers(0, 60), min_size=1, unique=True))
def test_days_in_any_order_leave_no_gap(offsets: list[int]) -> None:
    """Whatever the order of the days, all from the first day to the end of the last is read."""
    watermark: datetime | None = None
    covered: set[int] = set()
    first = offsets[0]
    for offset in offsets:
        interval = interval_for(date.fromordinal(MIDNIGHT.toordinal() + offset), watermark)
        start = interval.start.toordinal() if interval.start else MIDNIGHT.toordinal()
        covered |= set(range(start, interval.end.toordinal()))
        watermark = max(watermark or interval.end, interval.end)
    assert covered >= set(range(MIDNIGHT.toordinal(), MIDNIGHT.toordinal() + max(first, *offsets) + 1))


def opening(
    execution: str,
    data_date: str,
    unique: str = "a" * 32,
    sources: tuple[str, ...] = ("fx_rates", "snowflake_orders"),
) -> Opening:
    return Opening(
        execution_arn=EXECUTION + execution,
        request={"data_date": data_date},
        now=datetime(2026, 7, 31, 6, 0, 12, tzinfo=UTC),
        unique=unique,
        code_digest="code1",
        released=released(),
        sources=sources,
        can_still_run=lambda _: True,
    )


def test_first_run_reads_the_whole_history() -> None:
    w = World()
    answer = open_run(w.ledger, opening("day1", "2026-07-30"))
    assert answer == {
        "disposition": "OPENED",
        "run_id": "20260731T060012Z-" + "a" * 32,
        "status": "OPEN",
        "run_status": "OPEN",
        "execution_arn": EXECUTION + "day1",
        "data_date": "2026-07-30",
        "interval": {"start": None, "end": "2026-07-31T00:00:00Z"},
        "sources": ["fx_rates", "snowflake_orders"],
    }


def test_retry_of_the_same_execution_gets_its_own_run_again() -> None:
    w = World()
    first = open_run(w.ledger, opening("day1", "2026-07-30"))
    assert open_run(w.ledger, opening("day1", "2026-07-30", unique="b" * 32)) == first


def test_second_execution_of_the_same_date_is_told_whose_it_is() -> None:
    w = World()
    first = open_run(w.ledger, opening("day1", "2026-07-30"))
    second = open_run(w.ledger, opening("again", "2026-07-30", unique="b" * 32))
    assert (second["disposition"], second["run_id"]) == ("ALREADY_DONE", first["run_id"])
    assert (second["run_status"], second["execution_arn"]) == ("OPEN", EXECUTION + "day1")
    assert len(w.store.items("pipeline#daily_batch", "interval#")) == 1
    assert w.store.get(f"execution#{EXECUTION}again", "run") is None


def test_backfill_leaves_the_watermark_alone() -> None:
    w = World()
    open_run(w.ledger, opening("day1", "2026-07-30"))
    old = open_run(w.ledger, opening("old", "2026-07-01", unique="b" * 32))
    late = open_run(w.ledger, opening("late", "2026-08-02", unique="c" * 32))
    assert old["interval"] == {"start": "2026-07-01T00:00:00Z", "end": "2026-07-02T00:00:00Z"}
    assert late["interval"] == {"start": "2026-07-31T00:00:00Z", "end": "2026-08-03T00:00:00Z"}


def test_each_day_starts_where_the_latest_one_ended() -> None:
    w = World()
    starts = [
        open_run(w.ledger, opening(date_, date_, unique=unique * 32))["interval"]["start"]
        for date_, unique in (("2026-07-30", "a"), ("2026-07-31", "b"), ("2026-08-03", "c"), ("2026-08-04", "d"))
    ]
    assert starts == [None, "2026-07-31T00:00:00Z", "2026-08-01T00:00:00Z", "2026-08-04T00:00:00Z"]


def test_a_source_that_is_added_brings_its_whole_history() -> None:
    w = World()
    open_run(w.ledger, opening("day1", "2026-07-30"))
    both = ("fx_rates", "snowflake_orders", "salesforce_accounts")
    second = open_run(w.ledger, opening("day2", "2026-07-31", unique="b" * 32, sources=both))
    third = open_run(w.ledger, opening("day3", "2026-08-01", unique="c" * 32, sources=both))
    assert starts_of(w, second) == {
        "fx_rates": "2026-07-31T00:00:00Z",
        "snowflake_orders": "2026-07-31T00:00:00Z",
        "salesforce_accounts": None,
    }
    assert set(starts_of(w, third).values()) == {"2026-08-01T00:00:00Z"}


def test_a_source_that_was_left_out_catches_up() -> None:
    w = World()
    open_run(w.ledger, opening("day1", "2026-07-29"))
    open_run(w.ledger, opening("day2", "2026-07-30", unique="b" * 32, sources=("fx_rates",)))
    old = open_run(w.ledger, opening("old", "2026-07-01", unique="c" * 32))
    back = open_run(w.ledger, opening("day3", "2026-07-31", unique="d" * 32))
    assert set(starts_of(w, old).values()) == {"2026-07-01T00:00:00Z"}
    assert starts_of(w, back) == {"fx_rates": "2026-07-31T00:00:00Z", "snowflake_orders": "2026-07-30T00:00:00Z"}


def test_a_watermark_of_before_there_were_cursors_stands_for_every_source() -> None:
    w = World()
    w.ledger.write(Watermark(opened_to="2026-07-31T00:00:00Z").create())
    run = open_run(w.ledger, opening("day2", "2026-07-31"))
    assert set(starts_of(w, run).values()) == {"2026-07-31T00:00:00Z"}


def test_a_run_that_takes_another_ones_place_reads_what_that_one_was_to_read() -> None:
    w = World()
    dead = open_run(w.ledger, opening("day1", "2026-07-30"))
    asked = replace(
        opening("instead", "2026-07-30", unique="b" * 32),
        request={"supersedes": dead["run_id"]},
        can_still_run=lambda _: False,
    )
    assert starts_of(w, open_run(w.ledger, asked)) == starts_of(w, dead) == {"fx_rates": None, "snowflake_orders": None}


def starts_of(w: World, answer: dict[str, Any]) -> dict[str, str | None]:
    run = w.ledger.run(answer["run_id"])
    assert run is not None
    assert run.starts is not None
    return {source: run.start_of(source) for source in run.starts}


def test_two_first_runs_at_once_do_not_both_take_the_history() -> None:
    w = World()
    write = w.store.write
    raced: list[dict[str, Any]] = []

    def write_after_another(*writes: Any) -> bool:
        if not raced:
            raced.append({})
            raced[0] = open_run(w.ledger, opening("other", "2026-07-31", unique="b" * 32))
        return write(*writes)

    w.store.write = write_after_another  # type: ignore[method-assign]
    mine = open_run(w.ledger, opening("day1", "2026-07-30"))
    assert raced[0]["interval"]["start"] is None
    assert mine["interval"] == {"start": "2026-07-30T00:00:00Z", "end": "2026-07-31T00:00:00Z"}


def test_answer_is_small_enough_for_a_state() -> None:
    assert len(json.dumps(open_run(World().ledger, opening("day1", "2026-07-30")))) < 1_000
