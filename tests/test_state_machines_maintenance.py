"""Ways through the maintenance: the real definition and handlers, beside a daily batch."""

from typing import Any

import pytest
from workflow_day import FORWARD, Day, Execution, day, definition, jobs, trail  # noqa: F401

FILE = "maintenance.asl.json"
SCHEDULED = {"scheduled_time": "2026-08-02T12:00:00Z"}
LAYERS = ["maintain:bronze:0:1", "maintain:silver:0:1", "maintain:gold:0:1", "maintain:quality:0:1"]
RESTORE = {"restore": {"table": "silver/orders", "from": "20260730T060000Z-" + "0" * 32}}


def maintenance(request: dict[str, Any] | None = None, name: str = "upkeep1") -> Execution:
    return Execution(name, text=definition(file=FILE), request=SCHEDULED if request is None else request)


def test_the_layers_are_maintained_one_after_the_other(day: Day) -> None:  # noqa: F811
    outcome = maintenance().run()
    assert (outcome.status, outcome.error) == ("SUCCEEDED", None)
    assert outcome.states == ["OpenRun", "IsNewRun", "MaintainLayers", *["Maintain"] * 4, "CloseRun"]
    assert jobs(day) == LAYERS
    run = day.world.ledger.live_run(outcome.output["run_id"])
    assert (run.status, run.workflow) == ("SUCCEEDED", "maintenance")
    summary = day.world.lake.read(f"runs/{run.run_id}/run.json")
    assert summary is not None
    assert [(each["step"], each["subject"]) for each in summary["steps"]] == [
        ("maintain", layer) for layer in ("bronze", "silver", "gold", "quality")
    ]


def test_a_second_start_of_the_schedule_changes_nothing(day: Day) -> None:  # noqa: F811
    first = maintenance().run()
    second = maintenance(name="upkeep2").run()
    assert second.states == ["OpenRun", "IsNewRun", "AlreadyDone"]
    assert second.output["run_id"] == first.output["run_id"]
    assert jobs(day) == LAYERS


def test_a_redrive_maintains_the_layers_that_failed_and_those_after_them(day: Day) -> None:  # noqa: F811
    bad = {"state": "FAILED", "status": "FAILED", "error": "CommitLostError", "cause": "a stray commit"}
    day.script = lambda step, attempt: bad if (step, attempt) == ("maintain:silver", 1) else {}
    execution = maintenance()
    failed = execution.run()
    assert (failed.status, failed.error) == ("FAILED", "CommitLostError")
    assert jobs(day) == LAYERS[:2]
    outcome = execution.run()
    assert outcome.status == "SUCCEEDED"
    assert jobs(day) == [*LAYERS[:2], "maintain:silver:0:2", *LAYERS[2:]]


def test_a_killed_job_and_a_lost_callback_cost_an_attempt_and_a_heartbeat(day: Day) -> None:  # noqa: F811
    scripts: dict[tuple[str, int], dict[str, Any]] = {
        ("maintain:bronze", 1): {"state": "FAILED"},
        ("maintain:gold", 1): {"lost": True},
    }
    day.script = lambda step, attempt: dict(scripts.get((step, attempt), {}))
    execution = Execution("upkeep1", text=definition(1, FILE), request=SCHEDULED)
    assert execution.run().status == "SUCCEEDED"
    assert jobs(day) == [LAYERS[0], "maintain:bronze:0:2", *LAYERS[1:]]


def test_a_restore_runs_one_job_for_its_table(day: Day) -> None:  # noqa: F811
    outcome = maintenance(RESTORE).run()
    assert (outcome.status, outcome.error) == ("SUCCEEDED", None)
    assert outcome.states == ["OpenRun", "IsNewRun", "RestoreSilver", "CloseRun"]
    assert jobs(day) == ["restore_silver:orders:0:1"]
    [job_run_id] = day.world.emr.runs
    request = day.world.request_of(job_run_id)
    assert request["upkeep"] == {"table": "orders", "from_run": RESTORE["restore"]["from"]}
    assert request["inputs"] == {"receipts": [], "files": []}


def test_a_restore_that_was_refused_is_judged_again_when_redriven(day: Day) -> None:  # noqa: F811
    bad = {"state": "FAILED", "status": "FAILED", "error": "QualityGateClosedError", "cause": "orders_silver:expect_x"}
    day.script = lambda _, attempt: bad if attempt == 1 else {}
    execution = maintenance(RESTORE)
    refused = execution.run()
    assert (refused.status, refused.error, refused.states[-1]) == ("FAILED", "QualityGateClosedError", "RestoreSilver")
    assert execution.run().status == "SUCCEEDED"
    assert jobs(day) == ["restore_silver:orders:0:1", "restore_silver:orders:0:2"]


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param({"data_date": "2026-07-30"}, id="a-day"),
        pytest.param({"restore": {"table": "gold/kpi_daily"}}, id="a-gold-table"),
    ],
)
def test_an_input_that_asks_for_something_else_starts_nothing(day: Day, request_: dict[str, Any]) -> None:  # noqa: F811
    outcome = maintenance(request_).run()
    assert (outcome.status, outcome.error, outcome.states) == ("FAILED", "InvalidRequestError", ["OpenRun"])
    assert jobs(day) == []


def test_a_day_goes_on_beside_a_maintenance_that_failed(day: Day) -> None:  # noqa: F811
    bad = {"state": "FAILED", "status": "FAILED", "error": "CommitLostError", "cause": "a stray commit"}
    day.script = lambda step, _: bad if step == "maintain:silver" else {}
    assert maintenance().run().status == "FAILED"
    assert trail(Execution().run()) == FORWARD
