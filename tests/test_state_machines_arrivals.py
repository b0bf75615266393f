"""Ways through the workflow of files that arrive: the real definition and handlers, beside a daily batch."""

import json
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from lambdas_world import BUCKET
from workflow_day import (  # noqa: F401
    FORWARD,
    Day,
    Execution,
    day,
    definition,
    jobs,
    land_rates,
    trail,
)

from contracts import contract as contracts
from lambdas.arrival_sets import Gatherer
from lambdas.arrivals import list_landed
from lambdas.gathering import Arrived

FILE = "file_arrival.asl.json"
FX = contracts.of_source("fx_rates")
ARRIVAL = [
    "OpenRun", "IsNewRun", "ValidateContracts", "IngestSources", "CheckBronze", "BronzeGate", "BronzeToSilver",
    "CheckSilver", "SilverGate", "PublishSilver", "IsPublished", "RegisterCatalog", "EmitLineageAndMetrics", "CloseRun",
]  # fmt: skip


class Starts:
    """StartExecution, written down."""

    def __init__(self) -> None:
        self.requests: dict[str, dict[str, Any]] = {}

    def start_execution(self, *, name: str, input: str, **_: Any) -> None:  # noqa: A002
        self.requests[name] = json.loads(input)


def arrive(world: Day) -> dict[str, dict[str, Any]]:
    """Events of all that has landed come in; the executions that they start, by name."""
    starts = Starts()
    gatherer = Gatherer(
        ledger=world.world.ledger,
        s3=cast(Any, world.world.s3),
        sfn=cast(Any, starts),
        bucket=BUCKET,
        contracts=[FX],
        workflow_arn="arn:aws:states:eu-west-1:000000000000:stateMachine:x",
    )
    gatherer.gather(
        Arrived(
            bucket=BUCKET,
            key=each.key,
            etag=each.etag,
            version_id=None,
            sequencer=f"{index:04X}",
            at=datetime(2026, 7, 30, 15, tzinfo=UTC),
        )
        for index, each in enumerate(list_landed(cast(Any, world.world.s3), BUCKET, FX))
    )
    return starts.requests


def execution(name: str, request: dict[str, Any]) -> Execution:
    return Execution(name, text=definition(file=FILE), request=request)


def arrival(world: Day) -> Execution:
    [(name, request)] = arrive(world).items()
    return execution(name, request)


def test_files_that_arrived_go_to_silver_and_no_further(day: Day) -> None:  # noqa: F811
    outcome = arrival(day).run()
    assert (outcome.status, outcome.error) == ("SUCCEEDED", None)
    assert trail(outcome) == ARRIVAL
    assert jobs(day) == [
        "ingest:fx_rates:0:1",
        "check_bronze:all:0:1",
        "bronze_to_silver:all:0:1",
        "check_silver:all:0:1",
        "publish_silver:all:0:1",
    ]
    run = day.world.ledger.live_run(outcome.output["run_id"])
    assert (run.status, run.workflow, run.data_date) == ("SUCCEEDED", "file_arrival", "2026-07-30")
    given = {}
    for job_run_id, job in day.world.emr.runs.items():
        request = day.world.request_of(job_run_id)
        assert request["sources"] == ["fx_rates"]
        given[job["name"].split(":")[1]] = ["/".join(key.split("/")[2:4]) for key in request["inputs"]["receipts"]]
    assert given == {
        "ingest": [],
        "check_bronze": ["ingest/fx_rates"],
        "bronze_to_silver": ["ingest/fx_rates"],
        "check_silver": ["ingest/fx_rates", "bronze_to_silver/all"],
        "publish_silver": ["ingest/fx_rates", "bronze_to_silver/all"],
    }


def test_lineage_and_the_summary_name_the_workflow(day: Day) -> None:  # noqa: F811
    run_id = arrival(day).run().output["run_id"]
    lines = day.world.s3.objects[f"lineage/{run_id}.ndjson"].decode().splitlines()
    assert {json.loads(line)["job"]["name"].split(".")[0] for line in lines} == {"file_arrival"}
    summary = day.world.lake.read(f"runs/{run_id}/run.json")
    assert summary is not None
    assert summary["workflow"] == "file_arrival"


@pytest.mark.parametrize("layer", ["bronze", "silver"])
def test_a_closed_gate_holds_the_set_and_a_redrive_takes_it_round(day: Day, layer: str) -> None:  # noqa: F811
    bad = {1, 2}
    day.script = lambda step, attempt: {"verdict": "FAIL"} if step == f"check_{layer}" and attempt in bad else {}
    held_up = arrival(day)
    gate = f"{layer.capitalize()}Gate"
    for _ in range(2):
        held = held_up.run()
        assert (held.error, held.states[-1]) == ("QualityGateClosedError", f"HoldAt{gate}")
        assert not any("publish" in job for job in jobs(day))
    outcome = held_up.run()
    assert outcome.status == "SUCCEEDED"
    assert trail(outcome) == [f"HoldAt{gate}", *ARRIVAL[3:]]
    assert "publish_silver:all:2:1" in jobs(day)


def test_a_second_execution_of_a_set_changes_nothing(day: Day) -> None:  # noqa: F811
    [(name, request)] = arrive(day).items()
    first = execution(name, request).run()
    count = len(day.world.emr.runs)
    second = execution("by-hand", request).run()
    assert trail(second) == ["OpenRun", "IsNewRun", "AlreadyDone"]
    assert (second.output["status"], second.output["run_id"]) == ("ALREADY_DONE", first.output["run_id"])
    assert len(day.world.emr.runs) == count


def test_silver_that_moved_is_built_on_again_and_checked_again(day: Day) -> None:  # noqa: F811
    day.script = lambda step, attempt: {"published": False} if (step, attempt) == ("publish_silver", 1) else {}
    outcome = arrival(day).run()
    assert outcome.status == "SUCCEEDED"
    assert trail(outcome)[10:16] == ["IsPublished", "BronzeToSilver", "CheckSilver", "SilverGate", "PublishSilver", "IsPublished"]  # fmt: skip
    assert [job for job in jobs(day) if "publish" in job] == ["publish_silver:all:0:1", "publish_silver:all:1:2"]
    assert [job for job in jobs(day) if "ingest" in job] == ["ingest:fx_rates:0:1"]


def test_the_day_after_takes_what_did_not_arrive_and_counts_what_did(day: Day) -> None:  # noqa: F811
    """The rates of a Thursday arrived, and are in silver; the daily batch of it finds no file, and misses none."""
    assert arrival(day).run().status == "SUCCEEDED"
    of_the_set = set(day.world.emr.runs)
    outcome = Execution().run()
    assert (outcome.status, outcome.error) == ("SUCCEEDED", None)
    assert trail(outcome) == FORWARD
    [ingest] = (each for each in day.world.emr.runs.keys() - of_the_set
                if day.world.emr.runs[each]["name"].endswith(":ingest:fx_rates:0:1"))  # fmt: skip
    assert day.world.request_of(ingest)["inputs"]["files"] == []


def test_the_daily_batch_waits_for_the_run_of_a_set_that_holds_its_file(day: Day) -> None:  # noqa: F811
    """Claimed, and never started: nobody would take the file, so the day does not pass without it."""
    [(name, request)] = arrive(day).items()
    execution_of_day = Execution()
    waiting = execution_of_day.run()
    assert (waiting.status, waiting.error) == ("FAILED", "SourceUnavailableError")
    assert "the file_arrival run that is to take it has not been opened" in (waiting.cause or "")
    assert execution(name, request).run().status == "SUCCEEDED"
    assert execution_of_day.run().status == "SUCCEEDED"


def test_a_file_that_arrives_while_the_day_is_under_way_goes_beside_it(day: Day) -> None:  # noqa: F811
    """Two writers of bronze and silver, each in its turn; each takes its own file."""
    execution_of_day = Execution()
    day.script = lambda step, attempt: {"verdict": "FAIL"} if (step, attempt) == ("check_gold", 1) else {}
    assert execution_of_day.run().error == "QualityGateClosedError"
    land_rates(day, "1.2", "2026-07-31")
    [(name, request)] = arrive(day).items()  # the file of the 30th is the day's
    beside = execution(name, request).run()
    assert beside.status == "SUCCEEDED"
    files = [day.world.request_of(each)["inputs"]["files"] for each in day.world.emr.runs]
    taken = [file["key"] for each in files for file in each]
    assert taken == ["landing/fx/eurofxref-2026-07-30.csv", "landing/fx/eurofxref-2026-07-31.csv"]
    assert execution_of_day.run().status == "SUCCEEDED"
