"""One source fails: its branch says why, what the others brought stands, and a redrive runs that branch alone."""

import datetime
import json
import urllib.request

import pytest
from laptop import DAY, assert_equals_sources

FIRST = datetime.date(2020, 5, 11)  # a Monday: a day of rates follows
BRONZE = {source: f"bronze/{source}" for source in ("fx_rates", "snowflake_orders", "salesforce_opportunities")}

pytestmark = pytest.mark.slow


def switch(laptop, fault, times):
    """Have the server that stands for Salesforce answer its next requests with a fault."""
    secret = laptop.access._client("secretsmanager").get_secret_value(SecretId="assay/local/salesforce")
    url = json.loads(secret["SecretString"])["instance_url"] + "/faults"
    body = json.dumps({"name": fault, "times": times}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 (loopback)
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        assert answer.status == 200


def ingests(progress):
    """How often each source was ingested."""
    found = {}
    for job in progress.jobs:
        if job["step"] == "ingest":
            found[job["subject"]] = max(found.get(job["subject"], 0), job["attempt"])
    return found


def test_a_field_that_is_gone_fails_one_branch_and_a_redrive_runs_that_branch(laptop):
    before = {source: laptop.version(table) for source, table in BRONZE.items()}
    gold = laptop.version("gold/kpi_daily")
    switch(laptop, "field_gone", 1_000)
    failed = laptop.run(FIRST)
    assert failed.status == "FAILED"
    assert (failed.failure.state, failed.failure.error) == ("IngestSource", "ContractViolationError")
    assert "salesforce_opportunities_bronze" in failed.failure.cause
    assert "StageName" in failed.failure.cause
    after = {source: laptop.version(table) for source, table in BRONZE.items()}
    assert {source for source in BRONZE if after[source] != before[source]} == {"fx_rates", "snowflake_orders"}
    assert laptop.version("gold/kpi_daily") == gold
    switch(laptop, "field_gone", 0)
    mended = laptop.redrive(failed)
    assert mended.status == "SUCCEEDED", mended.failure
    others = ("fx_rates", "snowflake_orders", "salesforce_accounts", "hubspot_contacts")
    assert ingests(mended) == {**dict.fromkeys(others, 1), "salesforce_opportunities": 2}
    assert_equals_sources(laptop, FIRST)


def test_what_passes_within_the_reader_s_patience_costs_no_redrive(laptop):
    for fault in ("too_many", "down", "expired", "truncated"):
        switch(laptop, fault, 1)
    ended = laptop.run(FIRST + DAY)
    assert ended.status == "SUCCEEDED", ended.failure
    assert ingests(ended)["salesforce_opportunities"] == 1
    assert_equals_sources(laptop, FIRST + DAY)
