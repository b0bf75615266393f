"""Runs of the maintenance: how they open, what they lock, and what their jobs are asked."""

from typing import Any

import pytest
from lambdas_world import NOW, ROLES, World

from contracts import contract as contracts
from contracts.errors import InvalidRequestError, LeaseHeldError
from lambdas.leases import tables_written
from lambdas.ledger import Run
from lambdas.upkeep import upkeep_of
from lambdas.waivers import Plea, grant

RUN = "20260730T060000Z-" + "0" * 32
SCHEDULED = "2026-08-02T12:00:00Z"


def opened(world: World, request: dict[str, Any], execution: str = "upkeep1") -> Run:
    return world.ledger.live_run(world.open_upkeep(request, execution)["run_id"])


@pytest.mark.parametrize(
    ("request_", "upkeep"),
    [
        pytest.param({}, {}, id="by-hand"),
        pytest.param({"scheduled_time": SCHEDULED}, {}, id="schedule"),
        pytest.param({"keep_days": 60}, {"keep_days": 60}, id="keep-longer"),
        pytest.param({"restore": {"table": "silver/orders"}}, {"table": "orders"}, id="restore"),
        pytest.param({"restore": {"table": "orders", "from": None}}, {"table": "orders"}, id="restore-by-name"),
        pytest.param(
            {"restore": {"table": "orders", "from": RUN}}, {"table": "orders", "from_run": RUN}, id="restore-from"
        ),
    ],
)
def test_what_an_input_asks_for(request_: dict[str, Any], upkeep: dict[str, Any]) -> None:
    assert upkeep_of(request_) == upkeep


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        pytest.param({"data_date": "2026-07-30"}, "data_date: a maintenance takes", id="a-day"),
        pytest.param({"keep_days": "60"}, "keep_days '60'", id="text"),
        pytest.param({"keep_days": True}, "keep_days True", id="truth"),
        pytest.param(
            {"restore": {"table": "bronze/fx_rates"}}, "no silver table; there are silver/accounts", id="bronze"
        ),
        pytest.param({"restore": {"table": "../silver/orders"}}, "no silver table", id="path"),
        pytest.param({"restore": {"table": "silver/none"}}, "no silver table", id="unknown"),
        pytest.param({"restore": {}}, "table None", id="no-table"),
        pytest.param({"restore": "orders"}, "a restore is", id="no-object"),
        pytest.param({"restore": {"table": "orders"}, "keep_days": 60}, "a restore is", id="both"),
        pytest.param({"restore": {"table": "orders", "to": RUN}}, "a restore is", id="unknown-word"),
        pytest.param({"restore": {"table": "orders", "from": "last"}}, "from 'last' is not a run id", id="not-a-run"),
        pytest.param({"scheduled_time": "<aws.scheduler.scheduled-time>"}, "not a date", id="not-filled-in"),
    ],
)
def test_another_input_is_refused(request_: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequestError, match=words):
        World().open_upkeep(request_)


def test_a_time_of_the_schedule_starts_one_run_and_a_start_by_hand_its_own() -> None:
    world = World()
    first = world.open_upkeep({"scheduled_time": SCHEDULED})
    assert (first["disposition"], first["work"], first["subjects"]) == (
        "OPENED",
        "maintain",
        ["bronze", "silver", "gold", "quality"],
    )
    assert first["data_date"] == "2026-08-02"
    assert world.open_upkeep({"scheduled_time": SCHEDULED})["run_id"] == first["run_id"]
    again = world.open_upkeep({"scheduled_time": SCHEDULED}, "upkeep2")
    assert (again["disposition"], again["run_id"]) == ("ALREADY_DONE", first["run_id"])
    by_hand = [world.open_upkeep({}, name) for name in ("hand1", "hand2")]
    assert [each["disposition"] for each in by_hand] == ["OPENED", "OPENED"]
    assert len({first["run_id"], *(each["run_id"] for each in by_hand)}) == 3
    assert by_hand[0]["data_date"] == NOW.date().isoformat()


def test_it_moves_no_cursor_and_claims_no_day() -> None:
    world = World()
    world.open_upkeep({"scheduled_time": "2026-07-31T12:00:00Z"})
    assert world.ledger.watermark() is None
    assert world.open_run("2026-07-31").interval_start is None


def test_nothing_takes_the_place_of_a_maintenance() -> None:
    world = World()
    run = opened(world, {})
    with pytest.raises(InvalidRequestError, match="supersedes: a maintenance takes"):
        world.open_upkeep({"supersedes": run.run_id}, "upkeep2")


@pytest.mark.parametrize("layer", ["bronze", "silver", "gold", "quality"])
def test_a_layer_is_maintained_under_the_leases_of_its_tables(layer: str) -> None:
    assert tables_written("maintain", layer) == tuple(
        sorted(each.table for each in contracts.load_all() if each.layer == layer)
    )


def test_a_restore_holds_its_table_alone() -> None:
    assert tables_written("restore_silver", "orders") == ("silver/orders",)


def test_a_run_and_a_maintenance_wait_for_each_other() -> None:
    world = World()
    day, upkeep = world.open_run(), opened(world, {})
    world.launcher().ensure(world.ask(upkeep, "maintain", "silver"))
    [maintaining] = world.emr.runs
    with pytest.raises(LeaseHeldError, match="step maintain silver"):
        world.launcher().ensure(world.ask(day, "publish_gold", "all"))
    world.launcher().ensure(world.ask(opened(world, {}, "upkeep2"), "maintain", "bronze"))  # other tables
    world.end(maintaining)
    world.finish(maintaining)
    world.launcher().ensure(world.ask(day, "publish_gold", "all", retry_count=1))
    with pytest.raises(LeaseHeldError, match="step publish_gold all"):
        world.launcher().ensure(
            world.ask(opened(world, {"restore": {"table": "orders"}}, "r"), "restore_silver", "orders")
        )


def test_its_job_is_told_what_was_asked_and_runs_as_its_own_role() -> None:
    world = World()
    asked = {"restore": {"table": "silver/orders", "from": RUN}}
    run = opened(world, asked)
    expectation = "orders_silver:expect_column_values_to_be_unique:order_id"
    plea = Plea(run_id=run.run_id, expectation=expectation, reason="known", by="Ada", hours=1, now=NOW, unique="w1")
    waiver = grant(world.ledger, plea)
    world.launcher().ensure(world.ask(run, "restore_silver", "orders"))
    [job_run_id] = world.emr.runs
    request = world.request_of(job_run_id)
    assert request["upkeep"] == {"table": "orders", "from_run": RUN}
    assert [each["id"] for each in request["waivers"]] == [waiver.waiver_id]
    assert (request["subject"], request["sources"]) == ("orders", [])
    assert request["secret_arn"].endswith("assay/test/pii-key-AbCdEf"), "accounts and contacts hold tokens"
    assert world.emr.runs[job_run_id]["request"]["executionRoleArn"] == ROLES["restore"]
    world.launcher().ensure(world.ask(opened(world, {"keep_days": 60}, "k"), "maintain", "gold"))
    assert world.request_of(list(world.emr.runs)[-1])["upkeep"] == {"keep_days": 60}
    assert list(world.emr.runs.values())[-1]["request"]["executionRoleArn"] == ROLES["maintain"]
