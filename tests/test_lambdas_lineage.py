import json
from typing import Any

import pytest
from lambdas_world import World

from lambdas.lineage import Places, events, ndjson
from lambdas.measurements import measurements
from lambdas.summary import shared_tables, summarise

PLACES = Places(stage="test", bucket="lake")


def receipt(step: str, subject: str = "all", **changes: Any) -> dict[str, Any]:
    return {
        "step": step,
        "subject": subject,
        "attempt": 1,
        "round": 0,
        "started_at": "2026-07-31T06:01:00Z",
        "ended_at": "2026-07-31T06:01:30Z",
        "tables": [],
        "rows": None,
        "verdict": None,
        "results": [],
        "lineage": [],
        **changes,
    }


INGEST = receipt(
    "ingest",
    "fx_rates",
    rows={"received": 7, "accepted": 5, "quarantined": 2},
    tables=[{"table": "bronze/fx_rates", "version_after": 4, "rows": 5, "path": "bronze/fx_rates"}],
    lineage=[{"output": "bronze/fx_rates", "inputs": ["landing/fx"], "columns": {"USD": ["landing/fx.USD"]}}],
)
CANDIDATES = receipt(
    "bronze_to_silver",
    tables=[{"table": "silver/fx_rates", "version_after": 0, "rows": 5, "path": "candidates/r/silver/fx_rates/1"}],
)
CHECK = receipt(
    "check_silver",
    verdict="WARN",
    results=[
        {
            "dataset": "fx_rates_silver",
            "expectation": "expect_x",
            "column": "rate",
            "severity": "warn",
            "success": False,
        }
    ],
)
PUBLISH = receipt(
    "publish_gold",
    tables=[
        {"table": "silver/fx_rates", "version_after": 8, "rows": 5, "path": "silver/fx_rates"},
        {"table": "gold/fct_daily_revenue", "version_after": 3, "rows": 2, "path": "gold/fct_daily_revenue"},
    ],
)
RECEIPTS = [INGEST, CANDIDATES, CHECK, PUBLISH]


def lines(receipts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    text, left_out = ndjson(events(World().open_run(), receipts, PLACES))
    assert left_out == 0
    return [json.loads(line) for line in text.splitlines()]


def test_run_is_the_parent_of_its_steps() -> None:
    run = World().open_run()
    whole, *steps = lines(RECEIPTS)
    parent = run.run_id.split("-")[1]
    assert whole["run"]["runId"].replace("-", "") == parent
    assert (whole["job"]["namespace"], whole["job"]["name"]) == ("assay-test", "daily_batch")
    assert [step["job"]["name"] for step in steps][:2] == [
        "daily_batch.ingest.fx_rates",
        "daily_batch.bronze_to_silver.all",
    ]
    assert {step["run"]["facets"]["parent"]["run"]["runId"] for step in steps} == {whole["run"]["runId"]}
    assert len({step["run"]["runId"] for step in steps}) == 4
    assert {event["eventType"] for event in [whole, *steps]} == {"COMPLETE"}


def test_output_tells_its_columns_version_and_rows() -> None:
    output = lines([INGEST])[1]["outputs"][0]
    assert (output["namespace"], output["name"]) == ("s3://lake", "bronze/fx_rates")
    assert output["facets"]["columnLineage"]["fields"]["USD"]["inputFields"] == [
        {"namespace": "s3://lake", "name": "landing/fx", "field": "USD", "transformations": []}
    ]
    assert output["facets"]["version"]["datasetVersion"] == "4"
    assert {"name": "USD", "type": "string"}.items() <= output["facets"]["schema"]["fields"][1].items()
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == 5


def test_check_tells_what_it_judged() -> None:
    judged = lines([CHECK])[1]["inputs"][0]
    assert judged["name"] == "silver/fx_rates"
    assertion = judged["inputFacets"]["dataQualityAssertions"]["assertions"][0]
    assert (assertion["assertion"], assertion["success"], assertion["column"]) == ("expect_x", False, "rate")


def test_lineage_of_the_same_receipts_is_the_same() -> None:
    assert lines(RECEIPTS) == lines(RECEIPTS)


def test_too_much_lineage_is_cut_and_counted() -> None:
    found = events(World().open_run(), RECEIPTS, PLACES)
    text, left_out = ndjson(found, limit_bytes=2_500)
    assert len(text) <= 2_500
    assert 1 <= len(text.splitlines()) == len(found) - left_out < len(found)
    assert json.loads(text.splitlines()[0])["job"]["name"] == "daily_batch"


def test_candidates_are_not_counted_as_tables() -> None:
    assert shared_tables(RECEIPTS) == {"bronze/fx_rates": 5, "silver/fx_rates": 5, "gold/fct_daily_revenue": 2}


def test_metrics_of_a_run() -> None:
    found = {(each.name, each.dimension, each.of): each.value for each in measurements("daily_batch", RECEIPTS, 95.5)}
    assert found == {
        ("StepSeconds", "step", "ingest.fx_rates"): 30.0,
        ("StepSeconds", "step", "bronze_to_silver.all"): 30.0,
        ("StepSeconds", "step", "check_silver.all"): 30.0,
        ("StepSeconds", "step", "publish_gold.all"): 30.0,
        ("RowsIn", "source", "fx_rates"): 7,
        ("QuarantinedRows", "source", "fx_rates"): 2,
        ("RowsOut", "table", "bronze/fx_rates"): 5,
        ("RowsOut", "table", "silver/fx_rates"): 5,
        ("RowsOut", "table", "gold/fct_daily_revenue"): 2,
        ("RunSeconds", "pipeline", "daily_batch"): 95.5,
    }


def test_summary_names_every_step_and_its_receipt() -> None:
    from datetime import UTC, datetime

    run = World().open_run()
    keys = [f"runs/{run.run_id}/{each['step']}/{each['subject']}/1.json" for each in RECEIPTS]
    summary = summarise(run, keys, RECEIPTS, datetime(2026, 7, 31, 6, 10, 12, tzinfo=UTC))
    assert (summary["status"], summary["seconds"]) == ("SUCCEEDED", 600.0)
    assert [step["receipt"] for step in summary["steps"]] == keys
    assert summary["steps"][2]["verdict"] == "WARN"


@pytest.mark.parametrize("missing", ["tables", "lineage", "results", "rows"])
def test_receipt_with_a_null_part_is_fine(missing: str) -> None:
    sparse = {**INGEST, missing: None}
    assert len(lines([sparse])) == 2
    assert measurements("daily_batch", [sparse], 1.0)
    shared_tables([sparse])
