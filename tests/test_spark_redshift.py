"""Redshift read by its real driver, from the stand-in that the laptop cloud runs."""
# ruff: noqa: F811  # fixtures that are imported are asked for by their names

import json
import time
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

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
from spark_day import World
from spark_session import quiet, spark  # noqa: F401
from standin_server import port, server  # noqa: F401

from contracts import contract as contracts
from contracts.errors import ContractViolationError, InvalidRequestError, SourceUnavailableError
from local.home import ROOT
from local.processes import free_port
from local.standins import redshift as standin
from local.standins import tpch
from local.standins.redshift_door import without_unknown
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
def lake(spark):
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
    differing = f"SELECT {columns} FROM {{}} EXCEPT ALL SELECT {columns} FROM {{}}"  # noqa: S608
    for one, other in (("received", table), (table, "received")):
        assert sources.execute(differing.format(one, other)).fetchall() == []


def test_an_interval_gives_its_rows_and_no_others(lake, secret_arn, sources):
    rows = read_table(lake, LINES, secret_arn, at(30), at(31))
    held = rows.agg(sf.count("*"), sf.min("_received_at"), sf.max("_received_at")).first()
    wanted = sources.execute(
        "SELECT count(*) FROM order_lines WHERE updated_at >= '2026-07-30' AND updated_at < '2026-07-31'"
    ).fetchone()
    assert held[0] == wanted[0] > 0
    assert at(30) <= held[1].astimezone(UTC) <= held[2].astimezone(UTC) < at(31)
    assert rows.where("_file IS NOT NULL OR _received_at <> updated_at").count() == 0


def test_an_interval_without_rows_gives_none(lake, secret_arn):
    assert read_table(lake, PRODUCTS, secret_arn, at(30), at(31)) is None


def test_the_query_is_pushed_down_with_columns_and_interval(lake, secret_arn):
    rows = read_table(lake, LINES, secret_arn, at(1), END)
    plan = rows._jdf.queryExecution().executedPlan().toString()
    assert query_of(LINES, at(1), END) in plan
    assert "numPartitions=1" in plan


def test_neither_plan_nor_log_nor_error_holds_the_secret(lake, port, secrets, password, capfd):
    password(CANARY)
    held = {**standin.secret(port), "password": CANARY}
    arn = secrets.create_secret(Name="canary", SecretString=json.dumps(held))["ARN"]
    rows = read_table(lake, PRODUCTS, arn, None, END)
    rows.explain("extended")
    said = [rows._jdf.queryExecution().toString(), str(rows), str(login_of(held))]
    said += [each.toJSON() for each in (rows._jdf.queryExecution().logical(), rows._jdf.queryExecution().analyzed())]
    assert rows.count() == 20_000
    password("another")
    with pytest.raises(Exception, match="password authentication failed") as task_failed:
        rows.collect()
    with pytest.raises(SourceUnavailableError, match=r"did not let us in \(SQL state 28P01\)") as refused:
        read_table(lake, PRODUCTS, arn, None, END)
    output = capfd.readouterr()
    for words in (*said, output.out, output.err, str(refused.value), str(task_failed.value)):
        assert CANARY not in words
    assert "another" not in output.out + output.err + str(refused.value)


def test_a_secret_that_was_just_rotated_is_read_again(lake, port, secrets, secret_arn, password, monkeypatch):
    read = redshift.signed_in.__globals__["_current"]
    asked = []

    def rotated_after_the_first_read(arn):
        held = read(arn)
        if not asked:
            secrets.put_secret_value(SecretId=arn, SecretString=json.dumps({**held, "password": "new"}))
        asked.append(arn)
        return held

    password("new")
    monkeypatch.setitem(redshift.signed_in.__globals__, "_current", rotated_after_the_first_read)
    assert read_table(lake, PRODUCTS, secret_arn, None, END).count() == 20_000
    assert len(asked) == 2


def test_a_database_that_is_down_is_named(lake, secrets):
    held = standin.secret(free_port())
    arn = secrets.create_secret(Name="down", SecretString=json.dumps(held))["ARN"]
    with pytest.raises(
        SourceUnavailableError, match=r"^redshift_products .*Redshift did not answer.*SQL state 08001.*redrive"
    ):
        read_table(lake, PRODUCTS, arn, None, END)


def without(contract, name):
    return replace(contract, fields=tuple(field for field in contract.fields if field.name != name))


def stored_as(contract, name, stored):
    fields = tuple(replace(field, type=stored) if field.name == name else field for field in contract.fields)
    return replace(contract, fields=fields)


def over(contract, relation):
    return replace(contract, source={**contract.source, "relation": relation})


@pytest.mark.parametrize(
    ("contract", "error", "words"),
    [
        pytest.param(
            over(PRODUCTS, "sales.part_supply"),
            ContractViolationError,
            "column name breaks rule required",
            id="missing",
        ),
        pytest.param(
            without(SUPPLY, "supply_cost"), ContractViolationError, "supply_cost breaks rule additional", id="unknown"
        ),
        pytest.param(
            stored_as(SUPPLY, "supply_cost", "decimal(15,1)"),
            ContractViolationError,
            r"supply_cost breaks rule type: sales.part_supply: its type is decimal\(15,2\)",
            id="type",
        ),
        pytest.param(
            over(PRODUCTS, "sales.gone"),
            SourceUnavailableError,
            r"\(sales.gone\): .*42P01: there is no such",
            id="gone",
        ),
        pytest.param(
            over(PRODUCTS, "pg_catalog.pg_authid"), SourceUnavailableError, "42501: the user may not", id="forbidden"
        ),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_clear_cause(lake, secret_arn, contract, error, words):
    with pytest.raises(error, match=words):
        read_table(lake, contract, secret_arn, None, END)


def test_without_a_secret_nothing_is_asked(lake):
    with pytest.raises(InvalidRequestError, match="names no secret"):
        read_table(lake, PRODUCTS, None, None, END)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        pytest.param({"host": ""}, "has no host", id="no-host"),
        pytest.param({"dbname": "sales?ssl=false"}, "is not one", id="parameters-in-the-name"),
        pytest.param({"host": "a/b"}, "is not one", id="path-in-the-host"),
        pytest.param({"port": "5439;x"}, "is not one", id="port"),
    ],
)
def test_a_secret_that_names_no_database_is_refused(lake, secrets, said, words):
    arn = secrets.create_secret(Name="bad", SecretString=json.dumps({**standin.secret(1), **said}))["ARN"]
    with pytest.raises(SourceUnavailableError, match=f"{words}.*have its secret put right") as refused:
        read_table(lake, PRODUCTS, arn, None, END)
    assert standin.PASSWORD not in str(refused.value)


def test_only_loopback_goes_without_tls():
    here, away = standin.secret(5439), {**standin.secret(5439), "host": "cluster.abc.eu-west-1.redshift.amazonaws.com"}
    assert login_of(here).properties["ssl"] == "false"
    assert (login_of(away).properties["ssl"], login_of(away).properties["sslmode"]) == ("true", "verify-full")


@pytest.mark.parametrize(
    ("lowest", "highest", "most", "count"),
    [
        pytest.param(1, 10, 3, 3, id="even"),
        pytest.param(1, 2, 8, 2, id="fewer-values-than-partitions"),
        pytest.param(-5, 5, 4, 4, id="below-zero"),
        pytest.param(7, 7, 4, 1, id="one-value"),
        pytest.param(None, None, 4, 1, id="no-value"),
        pytest.param(1, 10, 1, 1, id="one-partition"),
    ],
)
def test_every_row_is_in_exactly_one_range_whatever_came_meanwhile(lowest, highest, most, count):
    conditions = ranges("order", Extent(rows=1, lowest=lowest, highest=highest), most)
    assert len(conditions) == count
    met = " + ".join(f"CAST(coalesce({each}, FALSE) AS INTEGER)" for each in conditions)
    rows = f'SELECT {met} FROM (SELECT * FROM range(-20, 20) t("order") UNION ALL SELECT NULL)'  # noqa: S608
    assert {each for (each,) in duckdb.sql(rows).fetchall()} == {1}


@pytest.mark.parametrize(
    ("wanted", "given", "kept"),
    [
        pytest.param(LongType(), IntegerType(), True, id="int-in-bigint"),
        pytest.param(IntegerType(), LongType(), False, id="bigint-in-int"),
        pytest.param(LongType(), DecimalType(18, 0), True, id="numeric-in-bigint"),
        pytest.param(LongType(), DecimalType(19, 0), False, id="numeric-beyond-bigint"),
        pytest.param(DecimalType(15, 2), DecimalType(15, 2), True, id="same-decimal"),
        pytest.param(DecimalType(15, 2), DecimalType(15, 3), False, id="more-places"),
        pytest.param(DecimalType(15, 2), DecimalType(16, 2), False, id="more-digits"),
        pytest.param(DecimalType(15, 2), IntegerType(), True, id="int-in-decimal"),
        pytest.param(DecimalType(15, 2), DoubleType(), False, id="double-in-decimal"),
        pytest.param(DoubleType(), IntegerType(), True, id="int-in-double"),
        pytest.param(DoubleType(), LongType(), False, id="bigint-in-double"),
        pytest.param(TimestampType(), TimestampNTZType(), True, id="timestamp-without-zone"),
        pytest.param(TimestampType(), DateType(), False, id="date-in-timestamp"),
        pytest.param(StringType(), StringType(), True, id="text"),
        pytest.param(StringType(), IntegerType(), False, id="int-in-text"),
    ],
)
def test_a_type_is_taken_only_where_every_value_is_kept(wanted, given, kept):
    assert holds(wanted, given) is kept


@pytest.fixture
def world(spark, tmp_path, monkeypatch):
    return World(spark, tmp_path, monkeypatch)


def ingested(world, arn, day, **how):
    """The receipt of an ingest of the products, by the very job."""
    said = {"secret_arn": arn, "sources": ["redshift_products"], **how}
    return world.job(day, "ingest", "redshift_products", **said)


def test_a_secret_rotated_while_tasks_read_costs_nothing_and_doubles_nothing(
    world, port, secrets, secret_arn, password, monkeypatch
):
    read, reads = redshift.read_table, []

    def then_rotated(*arguments):
        rows = read(*arguments)
        if not reads:
            password("rotated")
            held = {**standin.secret(port), "password": "rotated"}
            secrets.put_secret_value(SecretId=secret_arn, SecretString=json.dumps(held))
        reads.append(rows)
        return rows

    monkeypatch.setattr(redshift, "read_table", then_rotated)
    receipt = ingested(world, secret_arn, date(2026, 7, 28), history=True)
    assert (receipt["status"], receipt["rows"]) == (
        "SUCCEEDED",
        {"received": 20_000, "accepted": 20_000, "quarantined": 0},
    )
    assert len(reads) == 2
    assert len(world.rows("bronze/redshift_products", "product_id")) == 20_000


def test_days_bring_what_changed_and_a_database_that_breaks_off_leaves_bronze_as_it_was(world, secrets, monkeypatch):
    with server(standin) as (port, process):
        arn = secrets.create_secret(Name="own", SecretString=json.dumps(standin.secret(port)))["ARN"]
        first = ingested(world, arn, date(2026, 7, 28), history=True)
        again = ingested(world, arn, date(2026, 7, 28), history=True, attempt=2)
        assert first["rows"] == again["rows"] == {"received": 20_000, "accepted": 20_000, "quarantined": 0}
        assert first["tables"] == again["tables"]
        quiet_day = ingested(world, arn, date(2026, 7, 29))
        assert (quiet_day["status"], quiet_day["rows"]["received"]) == ("SUCCEEDED", 0)

        change = "UPDATE sales.products SET retail_price = 1.25, updated_at = '2026-07-30 10:00' WHERE product_id = 7"
        standin.psql(port, change)
        corrected = ingested(world, arn, date(2026, 7, 30))
        assert corrected["rows"] == {"received": 1, "accepted": 1, "quarantined": 0}
        (row,) = (
            world.spark.read.format("delta")
            .load(f"{world.folder}/bronze/redshift_products")
            .where("retail_price = 1.25")
            .collect()
        )
        assert (row["product_id"], row["_source"], row["_file"]) == (7, "redshift_products", None)

        standin.psql(port, "UPDATE sales.products SET updated_at = '2026-07-31 10:00' WHERE product_id < 9")
        read = redshift.read_table

        def then_killed(*arguments):
            rows = read(*arguments)
            process.kill()
            process.wait()
            return rows

        monkeypatch.setattr(redshift, "read_table", then_killed)
        broken = ingested(world, arn, date(2026, 7, 31))
    assert (broken["status"], broken["error"]) == ("FAILED", "SourceUnavailableError")
    assert "Redshift did not answer, or broke off (SQL state 08" in broken["cause"]
    assert len(world.rows("bronze/redshift_products", "product_id")) == 20_001


def test_a_row_that_breaks_the_contract_fails_the_ingest_and_lies_in_quarantine(world, secrets):
    with server(standin) as (port, _):
        arn = secrets.create_secret(Name="own", SecretString=json.dumps(standin.secret(port)))["ARN"]
        change = "UPDATE sales.products SET size = 0, updated_at = '2026-07-30 10:00' WHERE product_id = 7"
        standin.psql(port, change)
        receipt = ingested(world, arn, date(2026, 7, 30))
    assert (receipt["status"], receipt["error"], receipt["column"], receipt["rule"]) == (
        "FAILED",
        "ContractViolationError",
        "size",
        "minimum",
    )
    (row,) = world.rows("quarantine/redshift_products", "row")
    assert json.loads(row[0])["product_id"] == 7


def test_a_stand_in_that_is_killed_leaves_neither_process_nor_folder():
    before = set(Path("/tmp").glob("assay-redshift-*"))  # noqa: S108
    with server(standin):
        (folder,) = set(Path("/tmp").glob("assay-redshift-*")) - before  # noqa: S108
        postgres = int((folder / "data" / "postmaster.pid").read_text().split()[0])
    deadline = time.monotonic() + 10
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not folder.exists()
    status = Path(f"/proc/{postgres}/status")
    assert not status.exists() or "State:\tZ" in status.read_text()


def test_the_door_leaves_out_what_postgres_does_not_know_and_no_more():
    said = b"\0\3\0\0user\0assay\0driver_version\0x\0database\0sales\0client_protocol_version\0" + b"3\0\0"
    assert without_unknown(said) == b"\0\3\0\0user\0assay\0database\0sales\0\0"
