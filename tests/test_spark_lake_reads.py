"""What the lake reads of a table at a version is what Delta reads of it, whichever way it goes."""

import json
from datetime import date, timedelta
from decimal import Decimal

import pytest
from pyspark.sql import functions as sf
from spark_day import DAY_1, World
from spark_session import quiet, spark  # noqa: F401

from contracts import contract as contracts
from spark_jobs.delta_log import latest_version, read_snapshot
from spark_jobs.lake import FILES_NAMED, Lake
from spark_jobs.request import parse_request
from spark_jobs.row_rules import stored_schema
from spark_jobs.storage import FolderStore

pytestmark = quiet
TABLE, DAY = "gold/kpi_daily", "kpi_date"
CONTRACT = contracts.of_table(TABLE)
JUNE = [(date(2026, 6, 1), date(2026, 6, 2)), (date(2026, 6, 9), None)]


@pytest.fixture
def lake(spark, tmp_path):  # noqa: F811
    document = World.request(World.__new__(World), DAY_1, "publish_gold", lake=str(tmp_path))
    return Lake(spark, FolderStore(tmp_path), parse_request(json.dumps(document).encode()))


def figures(lake, *days):
    rows = [(day, 1, 1, 1, Decimal(0), Decimal("9.00"), Decimal("9.00"), None, "run") for day in days]
    return lake.spark.createDataFrame(rows, stored_schema(CONTRACT))


def june(*days):
    return [date(2026, 6, day) for day in days]


def held(frame):
    return [] if frame is None else sorted(tuple(row) for row in frame.collect())


def assert_reads_as_delta(lake, version):
    by_delta = lake.stored(TABLE, version)
    assert held(lake.read(TABLE, version)) == held(by_delta)
    days = by_delta.where("kpi_date BETWEEN DATE'2026-06-01' AND DATE'2026-06-02' OR kpi_date >= DATE'2026-06-09'")
    assert held(lake.read_days(TABLE, version, DAY, JUNE)) == held(days)


def test_every_version_before_and_after_a_checkpoint(lake):
    for number in range(9):
        lake.append(figures(lake, *june(1 + number, 2 + number)), TABLE, note={}, transaction=f"{number}")
    lake.append(figures(lake, *june(2)), TABLE, note={}, transaction="r", replacing=f"{DAY} = DATE'2026-06-02'")
    lake.spark.sql(f"DELETE FROM delta.`{lake.uri(TABLE)}` WHERE {DAY} = DATE'2026-06-03'")  # noqa: S608
    lake.spark.sql(f"OPTIMIZE delta.`{lake.uri(TABLE)}`")
    lake.append(figures(lake, *june(30)), TABLE, note={}, transaction="last")
    last = latest_version(lake.store, TABLE)
    assert (lake.store.get(f"{TABLE}/_delta_log/_last_checkpoint") is not None, last) == (True, 12)
    for version in range(last + 1):
        assert_reads_as_delta(lake, version)
    # a version before the checkpoint is Delta's business, one after it is not
    assert [read_snapshot(lake.store, TABLE, version) is None for version in (9, 10, last)] == [True, False, False]


def test_a_day_that_no_file_holds_is_not_looked_for(lake):
    lake.append(figures(lake, *june(3, 8)), TABLE, note={})
    assert lake.read_days(TABLE, 0, DAY, [(date(2026, 6, 9), None)]) is None
    assert held(lake.read_days(TABLE, 0, DAY, [(date(2026, 6, 4), date(2026, 6, 5))])) == []


@pytest.mark.parametrize("files", [FILES_NAMED, FILES_NAMED + 1])
def test_a_table_of_many_files(lake, files):
    days = [date(2026, 5, 25) + timedelta(days=number) for number in range(files)]
    few = figures(lake, *days).repartitionById(files, sf.unix_date(DAY) % files)
    lake.append(few, TABLE, note={})
    assert len(read_snapshot(lake.store, TABLE, 0).files) == files
    assert_reads_as_delta(lake, 0)


@pytest.mark.parametrize(
    "properties",
    [
        pytest.param("PARTITIONED BY (orders)", id="partitions"),
        pytest.param("TBLPROPERTIES (delta.enableDeletionVectors = true)", id="deletion-vectors"),
        pytest.param("TBLPROPERTIES (delta.columnMapping.mode = 'name')", id="renamed-columns"),
    ],
)
def test_a_table_whose_files_are_not_its_rows_is_left_to_delta(lake, properties):
    columns = ", ".join(f"{name} {kind}" for name, kind in CONTRACT.columns)
    table = f"delta.`{lake.uri(TABLE)}`"
    lake.spark.sql(f"CREATE TABLE {table} ({columns}) USING delta {properties}")
    figures(lake, *june(1, 2, 3, 9)).write.format("delta").mode("append").save(lake.uri(TABLE))
    lake.spark.sql(f"DELETE FROM {table} WHERE {DAY} = DATE'2026-06-02'")  # noqa: S608
    version = latest_version(lake.store, TABLE)
    assert read_snapshot(lake.store, TABLE, version) is None
    assert_reads_as_delta(lake, version)
    assert len(held(lake.read(TABLE, version))) == 3


def test_no_rows_are_known_to_be_none(lake):
    schema = stored_schema(CONTRACT)
    nothing = lake.nothing(schema)
    assert (nothing.schema, nothing.count()) == (schema, 0)
    joined = figures(lake, *june(1)).join(nothing, "kpi_date", how="left_anti").union(nothing)
    plan = joined._jdf.queryExecution().optimizedPlan().toString()
    assert not any(each in plan for each in ("Join", "Union")), plan
