"""Maintenance and restore on the laptop cloud, between days, under their own roles."""

import datetime
import json
import threading

import deltalake
import pytest
from laptop import BUSINESS, DAY, assert_equals_sources
from test_day_4_every_task import denied, jvm
from typer.testing import CliRunner

from ops import main
from spark_jobs.lake import RETENTION_DAYS

FIRST = datetime.date(2021, 3, 1)  # a Monday: days of rates follow
ORDERS = "silver/orders"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cloud(laptop):
    ended = laptop.run(FIRST)
    assert ended.status == "SUCCEEDED", ended.failure
    return laptop


def assay(*words, code=0):
    result = CliRunner().invoke(main.app, [*words, "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.output)


def stray(cloud):
    """Somebody deletes rows with a tool of their own."""
    path = f"s3://{cloud.platform.lake_bucket}/{ORDERS}"
    credentials = cloud.access.credentials
    options = {
        "AWS_ENDPOINT_URL": cloud.access.endpoint_url, "AWS_ALLOW_HTTP": "true", "AWS_REGION": cloud.access.region,
        "AWS_ACCESS_KEY_ID": credentials["aws_access_key_id"], "AWS_CONDITIONAL_PUT": "etag",
        "AWS_SECRET_ACCESS_KEY": credentials["aws_secret_access_key"],
    }  # fmt: skip
    deltalake.DeltaTable(path, storage_options=options).delete("order_id % 3 = 0")


def test_a_maintenance_leaves_every_row_and_the_next_day_goes_on(cloud):
    before = {table: (cloud.version(table), cloud.business(table)) for table in BUSINESS}
    told = assay("maintain")
    assert told["status"] == "SUCCEEDED"
    steps = [step["name"] for step in told["steps"]]
    assert steps == ["OpenRun", "IsNewRun", "MaintainLayers", *["Maintain"] * 4, "CloseRun"]
    assert told["rows"] == dict.fromkeys(told["rows"], 0)
    assert set(BUSINESS) | {"bronze/fx_rates"} <= set(told["rows"])
    assert {table: cloud.business(table) for table in BUSINESS} == {table: rows for table, (_, rows) in before.items()}
    ended = cloud.run(FIRST + DAY)
    assert ended.status == "SUCCEEDED", ended.failure
    assert_equals_sources(cloud, FIRST + DAY)


def test_too_short_a_memory_is_refused_by_name(cloud):
    told = assay("maintain", "--keep-days", str(RETENTION_DAYS - 1), code=1)
    assert told["failure"]["error"] == "InvalidRequestError"
    assert told["failure"]["runbook"] == "runbooks/MaintenanceFailed.md"
    assert f"kept for {RETENTION_DAYS} days at least" in told["failure"]["cause"]


def test_a_spoilt_table_is_restored_and_a_redrive_finishes_what_lost_its_rights_or_its_spark(cloud):
    rows = cloud.business(ORDERS)
    stray(cloud)
    assert len(cloud.business(ORDERS)) < len(rows)
    with denied(cloud, "restore", after=None):
        failed = assay("restore", "silver", "--table", "orders", code=1)
    assert (failed["failure"]["state"], failed["failure"]["error"]) == ("RestoreSilver", "SparkJobFailedError")
    watcher, killed = cloud.kill_when("restore_silver", jvm)
    told = assay("redrive", failed["execution_arn"])
    watcher.join()
    assert (told["status"], len(killed)) == ("SUCCEEDED", 1)
    assert cloud.business(ORDERS) == rows
    ended = cloud.run(FIRST + 2 * DAY)
    assert ended.status == "SUCCEEDED", ended.failure
    assert_equals_sources(cloud, FIRST + 2 * DAY)


def test_a_day_and_a_maintenance_at_once_end_well(cloud):
    found = []
    thread = threading.Thread(target=lambda: found.append(cloud.run(FIRST + 3 * DAY)))
    thread.start()
    told = assay("maintain")
    thread.join()
    assert told["status"] == "SUCCEEDED"
    assert found[0].status == "SUCCEEDED", found[0].failure
    assert_equals_sources(cloud, FIRST + 3 * DAY)
