from datetime import UTC, datetime
from typing import Any

import pytest
from lambdas_world import Crash, Faults, World, event

from contracts.errors import LeaseHeldError
from lambdas.cancelling import cancel_step, still_so

STOPPED = datetime.fromtimestamp(1785478221.881, UTC)


def description(**changes: Any) -> dict[str, Any]:
    return {"status": "ABORTED", "redriveCount": 0, "stopDate": STOPPED, **changes}


@pytest.mark.parametrize(
    ("detail", "described", "expected"),
    [
        pytest.param({}, description(), True, id="stopped"),
        pytest.param({"status": "TIMED_OUT"}, description(status="TIMED_OUT"), True, id="timed-out"),
        pytest.param({"status": "FAILED"}, description(status="FAILED"), False, id="failed-siblings-finish"),
        pytest.param({"status": "SUCCEEDED"}, description(status="SUCCEEDED"), False, id="succeeded"),
        pytest.param({}, description(status="RUNNING", redriveCount=1), False, id="redriven-meanwhile"),
        pytest.param({}, description(redriveCount=1), False, id="redriven-and-stopped-again"),
        pytest.param({"redriveCount": None}, description(), True, id="event-without-a-count"),
        pytest.param(
            {"redriveCount": None},
            description(stopDate=datetime(2026, 8, 1, tzinfo=UTC)),
            False,
            id="event-without-a-count-of-an-earlier-stop",
        ),
    ],
)
def test_only_what_is_still_so_cancels(detail: dict[str, Any], described: dict[str, Any], expected: bool) -> None:
    assert still_so(event("execution_status_change", **detail)["detail"], described) is expected


def cancel(w: World) -> str:
    run = w.open_run()
    return cancel_step(w.settler(), w.ledger.steps(run.run_id)[0], lambda: True)


def test_live_job_run_is_cancelled() -> None:
    w = World()
    w.launcher().ensure(w.ask(w.open_run()))
    assert cancel(w) == "CANCELLED"
    assert w.emr.runs["00job001"]["state"] == "CANCELLING"


@pytest.mark.parametrize("state", ["SUCCESS", "FAILED", "CANCELLED"])
def test_job_run_that_has_ended_is_left_as_it_is(state: str) -> None:
    w = World()
    w.launcher().ensure(w.ask(w.open_run()))
    w.end("00job001", state)
    assert cancel(w) == "ENDED"
    assert w.emr.runs["00job001"]["state"] == state


def die_around_start(w: World, *, after: bool) -> None:
    counted = World()
    faults = Faults()
    counted.launcher(faults).ensure(counted.ask(counted.open_run()))
    at = faults.calls.index("start_job_run") + 1
    with pytest.raises(Crash):
        w.launcher(Faults(at=at, after=after)).ensure(w.ask(w.open_run()))


def test_job_run_that_nobody_wrote_down_is_found_and_cancelled() -> None:
    w = World()
    die_around_start(w, after=True)
    assert cancel(w) == "CANCELLED"
    assert w.emr.runs["00job001"]["state"] == "CANCELLING"


def test_intent_without_a_job_run_is_given_up_and_frees_its_lease() -> None:
    w = World()
    die_around_start(w, after=False)
    assert cancel(w) == "GIVEN_UP"
    lease = w.ledger.lease("bronze/fx_rates")
    assert lease is not None
    assert not lease.held
    assert w.launcher().ensure(w.ask(w.open_run(), redrive_count=1)) == "START"
    assert [run["name"][-4:] for run in w.emr.runs.values()] == [":0:2"]


def test_job_run_started_while_its_execution_was_stopped_is_cancelled_by_its_starter() -> None:
    w = World()
    start = w.emr.start_job_run

    def stop_meanwhile(**request: Any) -> dict[str, str]:
        assert cancel(w) == "GIVEN_UP"
        return start(**request)

    w.emr.start_job_run = stop_meanwhile  # type: ignore[method-assign]
    with pytest.raises(LeaseHeldError):
        w.launcher().ensure(w.ask(w.open_run()))
    assert w.emr.runs["00job001"]["state"] == "CANCELLING"


def test_job_run_that_a_redrive_adopts_meanwhile_is_left_to_it() -> None:
    w = World()
    run = w.open_run()
    w.launcher().ensure(w.ask(run))
    asked: list[bool] = []

    def is_still_so() -> bool:
        asked.append(not asked)
        if len(asked) == 1:  # looked at, then redriven before anything is written
            assert w.launcher().ensure(w.ask(run, redrive_count=1)) == "ADOPT"
        return asked[-1]

    assert cancel_step(w.settler(), w.ledger.steps(run.run_id)[0], is_still_so) == "REDRIVEN"
    assert w.emr.runs["00job001"]["state"] == "SUBMITTED"
    assert w.sfn.open == {"token-2"}


def test_redrive_waits_for_the_end_of_what_is_about_to_be_cancelled() -> None:
    w = World()
    run = w.open_run()
    w.launcher().ensure(w.ask(run))
    cancel_job_run = w.emr.cancel_job_run

    def redrive_meanwhile(**request: str) -> dict[str, Any]:
        with pytest.raises(LeaseHeldError):
            w.launcher().ensure(w.ask(run, redrive_count=1))
        return cancel_job_run(**request)

    w.emr.cancel_job_run = redrive_meanwhile  # type: ignore[method-assign]
    assert cancel(w) == "CANCELLED"
    w.end("00job001", "CANCELLED")
    assert w.launcher().ensure(w.ask(run, redrive_count=1)) == "START"
    step = w.ledger.step(run.run_id, "ingest", "fx_rates")
    assert step is not None
    assert (step.attempt, step.stopped) == (2, False)


def test_job_run_of_an_intent_that_was_followed_up_meanwhile_is_cancelled() -> None:
    w = World()
    die_around_start(w, after=False)
    run = w.open_run()
    started: list[str] = []

    def is_still_so() -> bool:  # a last Lambda of the stopped execution starts the job run
        if not started:
            started.append(w.launcher().ensure(w.ask(run)))
        return True

    assert cancel_step(w.settler(), w.ledger.steps(run.run_id)[0], is_still_so) == "CANCELLED"
    assert w.emr.runs["00job001"]["state"] == "CANCELLING"
