"""Redshift read by its real driver, from the stand-in that the laptop cloud runs."""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import boto3
import duckdb
import pytest
from moto import mock_aws
from pyspark.sql import functions as sf
from pyspark.sql.types import (
    DateType,
    DecimalType,
    DoubleType,
    IntegerType,
    LongType,
    StringType,
    TimestampNTZType,
    TimestampType,
)
from spark_session import quiet, spark  # noqa: F401

from contracts import contract as contracts
from contracts.errors import ContractViolationError, InvalidRequestError, SourceUnavailableError
from local.home import ROOT
from local.processes import free_port, wait_for_port
from local.standins import redshift as standin
from local.standins import tpch
from spark_jobs.lake import Lake
from spark_jobs.row_rules import received_schema
from spark_jobs.sources import redshift
from spark_jobs.sources.redshift import Extent, login_of, query_of, ranges, read_table
from spark_jobs.sources.sql_types import holds

pytestmark = quiet
LINES = contracts.of_source("redshift_order_lines")
PRODUCTS = contracts.of_source("redshift_products")
SUPPLY = contracts.of_source("redshift_part_supply")
END = datetime(2026, 9, 1, tzinfo=UTC)
CANARY = "canary-Pa55'word"


def at(day, hour=0):
    return datetime(2026, 7, day, hour, tzinfo=UTC)


@pytest.fixture(scope="module")
def port():
    port = free_port()
    command = [sys.executable, "-m", "local.standins.redshift", "--port", str(port)]
    process = subprocess.Popen([*command, "--tpch", str(ROOT / "build" / "tpch")], cwd=ROOT)
    assert wait_for_port(port, 120)
    yield port
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def sources():
    """The sources' own rows, in DuckDB."""
    folder, connection = tpch.generate(ROOT / "build" / "tpch"), duckdb.connect()
    for table, (query, _) in standin.TABLES.items():
        connection.execute(f"CREATE VIEW {table} AS {query.format(folder=folder)}")
    return connection


@pytest.fixture
def secrets(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        yield boto3.client("secretsmanager")


@pytest.fixture
def secret_arn(port, secrets):
    return secrets.create_secret(Name="redshift", SecretString=json.dumps(standin.secret(port)))["ARN"]


@pytest.fixture
def password(port):
    """Sets the reader's password in the database; it is the old one again when the test is over."""

    held = [standin.PASSWORD]

    def change(new):
        statement = f"ALTER ROLE {standin.READER} PASSWORD $${new}$$"
        standin.psql(port, statement, user=standin.READER, password=held[0])
        held[0] = new

    yield change
    change(standin.PASSWORD)


@pytest.fixture
def lake(spark):  # noqa: F811
    return Lake(spark, store=None, request=None)


@pytest.mark.parametrize(
    ("contract", "table", "partitions"),
    [
        pytest.param(PRODUCTS, "products", 1, id="products"),
        pytest.param(SUPPLY, "part_supply", 1, id="part-supply"),
        pytest.param(LINES, "order_lines", 7, id="order-lines-in-ranges"),
    ],
)
def test_the_whole_history_is_the_sources_own_rows_each_once(lake, secret_arn, sources, contract, table, partitions):
    rows = read_table(lake, contract, secret_arn, None, END)
    assert rows.rdd.getNumPartitions() == partitions
    names = [field.name for field in contract.fields]
    assert rows.select(*names).schema == received_schema(contract)
    received = rows.toArrow()  # noqa: F841 (DuckDB finds it by its name)
    columns = ", ".join(f"CAST({name} AS VARCHAR) AS {name}" for name in names if name != "updated_at")
    columns += ", CAST(epoch_us(updated_at) AS VARCHAR) AS updated_at"
    differing = f"SELECT {columns} FROM {{}} EXCEPT ALL SELECT {columns} FROM {{}}"
    for one, other in (("received", table), (table, "received")):
        assert sources.execute(differing.format(one, other)).fetchall() == []
