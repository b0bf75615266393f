"""Whole days on the laptop cloud: what the runs of a newcomer, an analyst and another program show.

The files of whole days share one cloud and its lake; their names put them in order, and each takes later dates.
"""

import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

import boto3
import deltalake
import pytest
from laptop import DAY, assert_equals_sources, fx_file
from test_day_2_contract_broken import assert_fails_until_put_right

from local.home import Home
from ops import laptop as cloud
from ops import show
from spark_jobs.bronze_to_silver import SILVER_TABLES
from spark_jobs.gold_tables import GOLD_TABLES

FIRST = datetime.date(2020, 2, 27)  # a Thursday: a day of rates follows, then a weekend without
ASSAY = str(Path(sys.executable).with_name("assay"))


@pytest.fixture(scope="module")
def history(laptop):
    return laptop.run(FIRST)


@pytest.fixture(scope="module")
def next_day(laptop, history):
    return laptop.run(FIRST + DAY)


def test_the_first_run_loads_the_history_and_equals_the_sources(laptop, history):
    assert history.status == "SUCCEEDED", history.failure
    assert_equals_sources(laptop, FIRST)


def test_one_more_day_equals_the_sources_and_writes_only_its_own_rows(laptop, next_day):
    assert next_day.status == "SUCCEEDED", next_day.failure
    assert next_day.output["rows"]["bronze/fx_rates"] == 1
    assert next_day.output["rows"]["gold/fct_daily_revenue"] < 12
    assert_equals_sources(laptop, FIRST + DAY)


def test_the_same_day_again_changes_nothing_and_says_so(laptop, next_day):
    before = {
        path: laptop.version(path) for path in ("bronze/snowflake_orders", "silver/orders", "gold/fct_daily_revenue")
    }
    again = laptop.run(FIRST + DAY)
    assert again.status == "SUCCEEDED"
    assert next_day.run_id in show.summary(again)["message"]
    assert again.jobs == [] or again.run_id == next_day.run_id
    assert {path: laptop.version(path) for path in before} == before


def test_the_command_prints_what_programs_rely_on_and_a_weekend_needs_no_file(laptop, next_day):
    result = subprocess.run(
        [ASSAY, "run", "--date", (FIRST + 3 * DAY).isoformat(), "--json"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    printed = json.loads(result.stdout)
    assert printed["status"] == "SUCCEEDED"
    assert printed["run_id"]
    assert printed["execution_arn"].startswith("arn:aws:states:")
    assert {step["name"] for step in printed["steps"]} >= {"OpenRun", "IngestSources", "GoldGate", "CloseRun"}
    assert all(step["seconds"] >= 0 for step in printed["steps"])
    assert printed["rows"]["bronze/snowflake_orders"] > 0
    assert_equals_sources(laptop, FIRST + 3 * DAY)
    rows = laptop.rows("gold/fct_daily_revenue").to_pylist()
    weekend = [row for row in rows if row["revenue_date"] > FIRST + DAY and row["currency"] == "USD"]
    assert {row["revenue_date"] for row in weekend} == {FIRST + 2 * DAY, FIRST + 3 * DAY}
    assert {row["rate_date"] for row in weekend} == {FIRST + DAY}


@pytest.mark.slow
def test_a_backfill_reads_the_days_that_have_not_been_run(laptop, next_day):
    # a later day first, unless another test has run it
    assert laptop.run(FIRST + 3 * DAY).status == "SUCCEEDED"
    days = [FIRST, FIRST + DAY, FIRST + 2 * DAY]
    command = [ASSAY, "backfill", "--from", days[0].isoformat(), "--to", days[-1].isoformat(), "--json"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    printed = json.loads(result.stdout)
    assert [day["date"] for day in printed] == [each.isoformat() for each in days]
    assert [day["status"] for day in printed] == ["ALREADY DONE", "ALREADY DONE", "SUCCEEDED"]
    assert printed[1]["run_id"] == next_day.run_id
    # the watermark has passed it: its rows come into bronze once more, and change nothing above
    assert printed[2]["rows"] > 0
    assert_equals_sources(laptop, FIRST + 3 * DAY)


def test_a_broken_contract_fails_the_run_until_the_file_is_put_right(laptop, next_day):
    day = FIRST + 4 * DAY
    assert_fails_until_put_right(laptop, day, fx_file(day, USD="-1.1", JPY="-117.2"), ["USD", "exclusiveMinimum"])


def test_any_client_can_start_read_and_list(laptop, next_day):
    environment = cloud.environment()
    assert set(environment) == {
        "endpoint_url",
        "region",
        "access_key_id",
        "secret_access_key",
        "lake_bucket",
        "code_bucket",
        "ledger_table",
        "application_id",
        "state_machines",
    }
    keys = {
        "endpoint_url": environment["endpoint_url"],
        "region_name": environment["region"],
        "aws_access_key_id": environment["access_key_id"],
        "aws_secret_access_key": environment["secret_access_key"],
    }
    states = boto3.client("stepfunctions", **keys)
    machines = [machine["stateMachineArn"] for machine in states.list_state_machines()["stateMachines"]]
    assert environment["state_machines"]["daily_batch"] in machines
    execution = states.start_execution(
        stateMachineArn=environment["state_machines"]["daily_batch"], input=json.dumps({"data_date": FIRST.isoformat()})
    )["executionArn"]
    ended = laptop.finish(execution)
    assert ended.status == "SUCCEEDED"
    history = states.get_execution_history(executionArn=execution)["events"]
    assert history[0]["type"] == "ExecutionStarted"
    assert history[-1]["type"] == "ExecutionSucceeded"
    jobs = boto3.client("emr-serverless", **keys).list_job_runs(applicationId=environment["application_id"])["jobRuns"]
    assert {job["state"] for job in jobs} == {"SUCCESS"}
    gold = deltalake.DeltaTable(
        f"s3://{environment['lake_bucket']}/gold/fct_daily_revenue",
        storage_options={
            "AWS_ENDPOINT_URL": environment["endpoint_url"],
            "AWS_REGION": environment["region"],
            "AWS_ACCESS_KEY_ID": environment["access_key_id"],
            "AWS_SECRET_ACCESS_KEY": environment["secret_access_key"],
            "AWS_ALLOW_HTTP": "true",
        },
    )
    assert gold.to_pyarrow_table().num_rows > 500


def test_receipts_lie_where_they_are_looked_for(laptop, next_day):
    listing = laptop.access.s3.list_objects_v2(Bucket=laptop.platform.lake_bucket, Prefix=f"runs/{next_day.run_id}/")
    keys = {item["Key"].removeprefix(f"runs/{next_day.run_id}/") for item in listing["Contents"]}
    assert keys >= {
        "ingest/fx_rates/1.json",
        "ingest/snowflake_orders/1.json",
        "check_bronze/all/1.json",
        "bronze_to_silver/all/1.json",
        "check_silver/all/1.json",
        "silver_to_gold/all/1.json",
        "check_gold/all/1.json",
        "publish_gold/all/1.json",
    }


def test_the_catalog_knows_every_table(laptop, next_day):
    glue = laptop.access._client("glue")
    names = {
        database["Name"]: {table["Name"] for table in glue.get_tables(DatabaseName=database["Name"])["TableList"]}
        for database in glue.get_databases()["DatabaseList"]
    }
    assert names["assay_local_gold"] == {table.name.removeprefix("gold/") for table in GOLD_TABLES}
    assert names["assay_local_silver"] == {table.name.removeprefix("silver/") for table in SILVER_TABLES}


def test_lineage_leads_from_gold_to_the_sources(laptop, next_day):
    listing = laptop.access.s3.list_objects_v2(Bucket=laptop.platform.lake_bucket, Prefix="lineage/")
    key = next(item["Key"] for item in listing["Contents"] if next_day.run_id in item["Key"])
    body = laptop.access.s3.get_object(Bucket=laptop.platform.lake_bucket, Key=key)["Body"].read().decode()
    events = [json.loads(line) for line in body.splitlines()]
    edges = {
        (i["name"], o["name"]) for event in events for o in event.get("outputs", []) for i in event.get("inputs", [])
    }
    reached, frontier = set(), {table.name for table in GOLD_TABLES}
    while frontier:
        reached |= frontier
        frontier = {i for i, o in edges if o in frontier} - reached
    assert {"silver/orders", "silver/fx_rates", "bronze/fx_rates", "bronze/snowflake_orders"} <= reached


def test_the_key_of_tokens_is_in_nothing_that_a_run_leaves(laptop, next_day):
    """Canary: neither in the lake nor in what jobs and the JVM logged; and a contact's address is in bronze alone."""
    pages = laptop.access.s3.get_paginator("list_objects_v2").paginate(Bucket=laptop.platform.lake_bucket)
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    texts = [key for key in keys if key.split("/")[0] in ("requests", "runs", "lineage") or "_delta_log/" in key]
    found = {
        key: laptop.access.s3.get_object(Bucket=laptop.platform.lake_bucket, Key=key)["Body"].read() for key in texts
    }
    logs = [path for name in ("stdout", "stderr", "*.log") for path in Home.default().path.rglob(name)]
    found |= {str(path): path.read_bytes() for path in logs}
    assert any("bronze_to_silver" in key for key in found)
    assert any(path.name == "stderr" for path in logs)
    secret, address = laptop.pii_key.encode(), b"@example.com"
    assert [key for key, content in found.items() if secret in content] == []
    assert [key for key, content in found.items() if address in content.lower() and "bronze/" not in key] == []


def test_nothing_listens_beyond_loopback(laptop):
    listening = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout.splitlines()
    family = _family(laptop_pid())
    ours = [line for line in listening if any(f"pid={pid}," in line for pid in family)]
    assert len(ours) >= 2
    assert [
        line for line in ours if not any(a in line.split()[3] for a in ("127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"))
    ] == []


def laptop_pid():
    return Home.default().read().pid


def _family(pid):
    found, frontier = {pid}, [pid]
    while frontier:
        parent = frontier.pop()
        children = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True, check=False).stdout
        frontier += [int(child) for child in children.split()]
        found |= set(frontier)
    return found


@pytest.mark.parametrize(
    ("arguments", "variables", "sentence"),
    [
        pytest.param(["up"], {}, "up already", id="a second up"),
        pytest.param(["run", "--date", "tomorrow"], {}, "not a date", id="no date"),
        pytest.param(["explain", "nobody"], {}, "no execution 'nobody'", id="no such execution"),
        pytest.param(["redrive", "last"], {}, "cannot be redriven", id="nothing to redrive"),
        pytest.param(["env"], {"ASSAY_HOME": "/nonexistent/assay"}, "not up", id="not up"),
        pytest.param(["up"], {"ASSAY_HOME": "elsewhere"}, "is taken by another program", id="the port is taken"),
        pytest.param(["up"], {"ASSAY_HOME": "elsewhere", "JAVA_HOME": "/nonexistent"}, "Java not found", id="no Java"),
    ],
)
def test_what_a_person_can_put_right_is_one_sentence(laptop, tmp_path, arguments, variables, sentence):
    environment = os.environ | {k: str(tmp_path / v) if v == "elsewhere" else v for k, v in variables.items()}
    result = subprocess.run([ASSAY, *arguments], capture_output=True, text=True, env=environment, check=False)
    assert result.returncode == 1
    assert sentence in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
