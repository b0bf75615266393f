"""A large read by way of S3. Postgres knows no UNLOAD, so a function stands for it that writes what Redshift would."""
# ruff: noqa: F811  # fixtures that are imported are asked for by their names

import json
import re
from datetime import date

import boto3
import duckdb
import pytest
from moto import mock_aws
from spark_day import World
from spark_session import quiet, spark  # noqa: F401
from standin_server import port  # noqa: F401
from test_spark_redshift import LINES

from contracts.errors import SourceUnavailableError
from local.home import ROOT
from local.standins import redshift as standin
from local.standins import tpch
from spark_jobs.sources import redshift, unload

pytestmark = quiet
ROLE = "arn:aws:iam::111111111111:role/assay-dev-redshift-unload"
STATEMENT = re.compile(
    r"UNLOAD \('(?P<query>(?:[^']|'')*)'\) TO '(?P<target>[^']*)' IAM_ROLE '(?P<role>[^']*)'"
    r" FORMAT AS PARQUET MANIFEST VERBOSE ALLOWOVERWRITE"
)


@pytest.fixture
def arn(port, monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    held = {**standin.secret(port), "unload_role_arn": ROLE}
    with mock_aws():
        secrets = boto3.client("secretsmanager")
        yield secrets.create_secret(Name="redshift", SecretString=json.dumps(held))["ARN"]


class Unloading:
    """What stands for Redshift's UNLOAD: two files, one without rows, and a verbose manifest."""

    def __init__(self, world):
        self.world, self.statements, self.lost = world, [], 0
        self.database = duckdb.connect()
        self.database.execute("CREATE SCHEMA sales")
        folder = tpch.generate(ROOT / "build" / "tpch")
        for table, (query, _) in standin.TABLES.items():
            self.database.execute(f"CREATE VIEW sales.{table} AS {query.format(folder=folder)}")

    def execute(self, _session, statement):
        said = STATEMENT.fullmatch(statement)
        assert said is not None, statement
        self.statements.append(said)
        query, key = said["query"].replace("''", "'"), said["target"].removeprefix(f"{self.world.folder}/")
        (self.world.folder / key).mkdir(parents=True, exist_ok=True)
        entries = []
        for number, condition in enumerate(("order_id % 2 = 0", "order_id % 2 = 1", "FALSE")):
            file = f"{said['target']}{number:04}_part_00.parquet"
            rows = f"SELECT * FROM ({query}) WHERE {condition}"  # noqa: S608
            (count,) = self.database.execute(f"COPY ({rows}) TO '{file}' (FORMAT parquet)").fetchone()
            entries.append({"url": file, "meta": {"content_length": 1, "record_count": count + self.lost}})
        manifest = {"entries": entries, "meta": {"record_count": 0}, "schema": {"elements": []}}
        self.world.store.put(f"{key}manifest", json.dumps(manifest).encode())


@pytest.fixture
def world(spark, tmp_path, monkeypatch):
    return World(spark, tmp_path, monkeypatch)


@pytest.fixture
def unloading(world, monkeypatch):
    found = Unloading(world)
    monkeypatch.setattr(redshift, "UNLOAD_ROWS", 1_000)
    monkeypatch.setattr(redshift.Session, "execute", lambda session, statement: found.execute(session, statement))
    return found


def ingested(world, arn, day, **how):
    said = {"secret_arn": arn, "sources": ["redshift_order_lines"], **how}
    return world.job(day, "ingest", "redshift_order_lines", **said)


def test_what_is_large_goes_by_way_of_s3_and_what_is_small_does_not(world, arn, unloading):
    receipt = ingested(world, arn, date(2026, 7, 28), history=True)
    rows = receipt["rows"]["received"]
    assert (receipt["status"], len(unloading.statements)) == ("SUCCEEDED", 1)
    said = unloading.statements[0]
    assert said["role"] == ROLE
    assert said["target"] == f"{world.folder}/unload/20260729T060000Z-0000/redshift_order_lines/1/"
    bronze = world.spark.read.format("delta").load(f"{world.folder}/bronze/redshift_order_lines")
    names = [field.name for field in LINES.fields]
    received = bronze.select(*names).withColumn("updated_at", bronze.updated_at.cast("timestamp_ntz")).toArrow()  # noqa: F841
    columns, wanted = ", ".join(names), "SELECT * FROM sales.order_lines WHERE updated_at < '2026-07-29'"
    found = unloading.database.execute(
        f"SELECT {columns} FROM received EXCEPT ALL SELECT {columns} FROM ({wanted})"  # noqa: S608
    ).fetchall()
    assert found == []
    assert unloading.database.execute(f"SELECT count(*) FROM ({wanted})").fetchone() == (rows,)  # noqa: S608

    small = ingested(world, arn, date(2026, 7, 29))
    assert 0 < small["rows"]["received"] <= 1_000
    assert len(unloading.statements) == 1


def test_files_that_hold_other_rows_than_the_manifest_tells_are_refused(world, arn, unloading):
    unloading.lost = 1
    receipt = ingested(world, arn, date(2026, 7, 28), history=True)
    assert (receipt["status"], receipt["error"]) == ("FAILED", "SourceUnavailableError")
    assert "the manifest in unload/20260729T060000Z-0000/redshift_order_lines/1/ tells of" in receipt["cause"]
    assert not (world.folder / "bronze").exists()


def test_the_statement_quotes_the_query_and_names_no_secret():
    statement = unload.statement_of("SELECT \"a\" FROM t WHERE x < TIMESTAMP '2026-07-30'", "s3://lake/unload/r/", ROLE)
    assert statement == (
        "UNLOAD ('SELECT \"a\" FROM t WHERE x < TIMESTAMP ''2026-07-30''') TO 's3://lake/unload/r/'"  # noqa: S608
        f" IAM_ROLE '{ROLE}' FORMAT AS PARQUET MANIFEST VERBOSE ALLOWOVERWRITE"
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"{", "is not a verbose manifest", id="not-json"),
        pytest.param(b'{"entries": [{"url": "s3://lake/unload/r/0"}]}', "is not a verbose manifest", id="not-verbose"),
        pytest.param(
            b'{"entries": [{"url": "s3://other/x", "meta": {"record_count": 1}}]}',
            "which is not its own file",
            id="elsewhere",
        ),
    ],
)
def test_a_manifest_that_cannot_be_trusted_is_refused(content, words):
    with pytest.raises(SourceUnavailableError, match=words):
        unload.read_manifest(LINES, content, "s3://lake/unload/r/")


def test_only_files_with_rows_are_read():
    entries = [{"url": f"s3://lake/unload/r/{n}", "meta": {"content_length": 9, "record_count": n}} for n in (0, 2, 3)]
    files, rows = unload.read_manifest(LINES, json.dumps({"entries": entries}).encode(), "s3://lake/unload/r/")
    assert (files, rows) == (["s3://lake/unload/r/2", "s3://lake/unload/r/3"], 5)


@pytest.mark.parametrize("role", ["", "arn:aws:iam::1:role/x", f"{ROLE}' FORMAT CSV --", f"{ROLE}, {ROLE}", "default"])
def test_what_is_no_role_reaches_no_statement(role):
    asked = []
    with pytest.raises(SourceUnavailableError, match="unload_role_arn in its secret is not a role's ARN"):
        unload.unloaded(None, LINES, asked.append, "SELECT 1", role)
    assert asked == []
