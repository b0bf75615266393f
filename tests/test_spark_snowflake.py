"""Snowflake read by its real connector, from the stand-in that the laptop cloud runs."""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import boto3
import pytest
from moto import mock_aws
from spark_session import quiet, spark  # noqa: F401

from contracts import contract as contracts
from contracts.errors import ContractViolationError, InvalidRequestError, SourceUnavailableError
from local.home import ROOT
from local.processes import free_port, wait_for_port
from local.standins import snowflake as standin
from spark_jobs.lake import Lake
from spark_jobs.sources.snowflake import read_relation

pytestmark = quiet
ORDERS = contracts.of_source("snowflake_orders")
PASSWORD = standin.secret(0)["password"]


def at(day, hour=0):
    return datetime(2026, 7, day, hour, tzinfo=UTC)


@pytest.fixture(scope="module")
def port():
    port = free_port()
    command = [sys.executable, "-m", "local.standins.snowflake", "--port", str(port)]
    process = subprocess.Popen([*command, "--tpch", str(ROOT / "build" / "tpch")], cwd=ROOT)
    assert wait_for_port(port, 120)
    yield port
    process.kill()
    process.wait()


@pytest.fixture
def secret_arn(port, monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        client = boto3.client("secretsmanager")
        yield client.create_secret(Name="snowflake", SecretString=json.dumps(standin.secret(port)))["ARN"]


@pytest.fixture
def lake(spark):  # noqa: F811
    return Lake(spark, store=None, request=None)


def test_an_interval_gives_its_rows_and_no_others(lake, secret_arn):
    rows = read_relation(lake, ORDERS, secret_arn, at(30), at(31))
    held = rows.selectExpr("count(*)", "count(distinct order_id)", "min(_received_at)", "max(_received_at)").first()
    assert held[0] == held[1] > 0
    assert at(30) <= held[2].astimezone(UTC) <= held[3].astimezone(UTC) < at(31)
    assert set(rows.columns) == {*(field.name for field in ORDERS.fields), "_file", "_received_at"}


def test_an_interval_without_rows_gives_none(lake, secret_arn):
    assert read_relation(lake, ORDERS, secret_arn, datetime(2031, 1, 1, tzinfo=UTC), at(31).replace(year=2031)) is None


def test_neither_plan_nor_error_holds_the_secret(lake, secret_arn, capfd):
    read_relation(lake, ORDERS, secret_arn, at(30), at(31)).explain("extended")
    gone = replace(ORDERS, source={**ORDERS.source, "relation": "ANALYTICS.SALES.GONE"})
    with pytest.raises(SourceUnavailableError, match="GONE: Snowflake answered with error") as refused:
        read_relation(lake, gone, secret_arn, None, at(31))
    output = capfd.readouterr()
    for words in (output.out, output.err, str(refused.value)):
        assert str(PASSWORD) not in words


def test_a_relation_of_another_shape_is_a_violation_that_names_the_column(lake, secret_arn):
    customers = replace(ORDERS, source={**ORDERS.source, "relation": "ANALYTICS.SALES.CUSTOMERS"})
    with pytest.raises(ContractViolationError, match="order_id"):
        read_relation(lake, customers, secret_arn, None, at(31))


def test_without_a_secret_nothing_is_asked(lake):
    with pytest.raises(InvalidRequestError, match="names no secret"):
        read_relation(lake, ORDERS, None, None, at(31))
