"""What a backfill says of its days; tests/test_day_1_end_to_end.py has one on the laptop cloud."""

import dataclasses
from datetime import UTC, date, datetime

import pytest

from ops import run
from ops.backfill import backfill, days_between
from ops.errors import OpsError

DAYS = days_between(date(2026, 2, 27), date(2026, 3, 2))
NOW = run.Progress(
    execution_arn="arn:aws:states:eu-west-1:000000000000:execution:assay-local-daily-batch:a",
    status="SUCCEEDED",
    redrive_count=0,
    started=datetime(2026, 7, 31, 6, tzinfo=UTC),
    ended=datetime(2026, 7, 31, 6, 1, tzinfo=UTC),
    steps=(),
    jobs=(),
    run_id="mine",
    output={"rows": {"bronze/fx_rates": 2, "silver/fx_rates": 60}},
    failure=None,
    redrivable_until=None,
    plan=None,
)
OTHERS = {"disposition": "ALREADY_DONE", "run_id": "other"}


def test_days_are_both_ends_and_all_between():
    assert [date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 1), date(2026, 3, 2)] == DAYS
    assert days_between(DAYS[0], DAYS[0]) == DAYS[:1]


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        pytest.param(date(2026, 3, 2), date(2026, 3, 1), "older day first", id="the-wrong-way-round"),
        pytest.param(date(2025, 1, 1), date(2026, 3, 1), "425 days", id="a-wrong-year"),
    ],
)
def test_days_that_cannot_be_meant_are_refused(first, last, words):
    with pytest.raises(OpsError, match=words):
        days_between(first, last)


@pytest.mark.parametrize(
    ("changes", "status", "goes_on"),
    [
        pytest.param({}, "SUCCEEDED", True, id="run-now"),
        pytest.param({"output": {**OTHERS, "run_status": "SUCCEEDED"}}, "ALREADY DONE", True, id="run-before"),
        pytest.param({"output": {**OTHERS, "run_status": "OPEN"}}, "NOT FINISHED", False, id="waits-for-a-redrive"),
        pytest.param({"status": "FAILED", "output": {}}, "FAILED", False, id="fails"),
    ],
)
def test_it_stops_at_the_first_day_that_does_not_stand(monkeypatch, changes, status, goes_on):
    started = []
    monkeypatch.setattr(run, "start", lambda _, day: started.append(day) or f"execution of {day}")
    answers = [NOW, dataclasses.replace(NOW, **changes), NOW, NOW]
    found = list(backfill(None, DAYS, lambda day, _: answers[DAYS.index(day)]))
    assert found[1].status == status
    assert [day.date for day in found] == started == (DAYS if goes_on else DAYS[:2])
    assert (found[0].rows, found[0].seconds, found[0].run_id) == (62, 60.0, "mine")
