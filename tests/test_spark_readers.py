"""Every table that the jobs write can be read by Athena, Trino, delta-rs and DuckDB, and is what Glue says it is."""

import datetime
import shutil
from collections import Counter

import delta_readers
import deltalake
import pyarrow.parquet as pq
import pytest
from delta.tables import DeltaTable
from spark_day import DAY_2, RATES_2, first_day
from spark_session import quiet, spark  # noqa: F401

from contracts import contract as contracts
from lambdas.catalog import table_input

pytestmark = quiet


@pytest.fixture(scope="module")
def lake(spark, tmp_path_factory):  # noqa: F811
    """A lake after a first load and a day that merges, appends, publishes and puts rows into quarantine."""
    with pytest.MonkeyPatch.context() as patch:
        world = first_day(spark, tmp_path_factory.mktemp("lake"), patch)
        keys, _ = world.until_publish(DAY_2, [world.deliver(DAY_2, RATES_2)])
        assert world.job(DAY_2, "publish_gold", receipts=keys)["published"] is True
        broken = world.deliver(DAY_2 + datetime.timedelta(days=1), [{"Date": "2026-07-30", "USD": "-1"}])
        refused = world.job(DAY_2 + datetime.timedelta(days=1), "ingest", "fx_rates", files=[broken])
        assert refused["status"] == "FAILED"
    return world.folder


def tables(folder):
    return sorted(log.parent for log in folder.rglob("_delta_log"))


def shared(folder):
    """Contract and folder of each table that the catalog would hold."""
    known = {contract.table: contract for contract in contracts.load_all()}
    return [(known[name], path) for path in tables(folder) if (name := str(path.relative_to(folder))) in known]


def test_no_table_has_what_a_reader_could_not_read(lake):
    found = {str(path.relative_to(lake)): deltalake.DeltaTable(str(path)) for path in tables(lake)}
    layers = {name.split("/")[0] for name in found}
    assert layers == {"bronze", "silver", "gold", "quarantine", "quality"}, "candidates are plain Parquet"
    assert {name: delta_readers.hindrances(table) for name, table in found.items()} == {name: [] for name in found}
    operations = Counter(each["operation"] for table in found.values() for each in table.history())
    assert operations["MERGE"] > 0, "a merge is among what was looked at"


def test_glue_says_of_each_table_what_its_log_says(lake):
    looked_at = shared(lake)
    assert len(looked_at) >= 8
    for contract, path in looked_at:
        table, said = deltalake.DeltaTable(str(path)), table_input(contract, "lake")
        assert [(each["Name"], each["Type"]) for each in said["StorageDescriptor"]["Columns"]] == delta_readers.columns(
            table
        ), contract.table
        assert [each["Name"] for each in said["PartitionKeys"]] == table.metadata().partition_columns
        assert said["StorageDescriptor"]["Location"] == f"s3://lake/{path.relative_to(lake)}"


@pytest.mark.parametrize("name", ["bronze/fx_rates", "silver/orders", "gold/kpi_daily"])
def test_a_new_column_and_maintenance_leave_a_table_readable(spark, lake, tmp_path, name):  # noqa: F811
    path, contract = tmp_path / "table", contracts.of_table(name)
    shutil.copytree(lake / name, path)
    row = spark.read.format("delta").load(str(path)).limit(1).selectExpr("*", "1L AS added_later")
    row.write.format("delta").mode("append").option("mergeSchema", "true").save(str(path))
    table = DeltaTable.forPath(spark, str(path))
    if contract.layer == "bronze":  # it keeps statistics of the run's columns alone
        table.optimize().executeCompaction()
    else:
        table.optimize().executeZOrderBy(contract.key[0])
    table.delete("added_later = 1")
    # as many tasks as it may list folders with, 10,000 by default
    spark.conf.set("spark.sql.sources.parallelPartitionDiscovery.parallelism", "2")
    table.vacuum(720)
    found = deltalake.DeltaTable(str(path))
    assert {"OPTIMIZE", "DELETE", "VACUUM END"} <= {each["operation"] for each in found.history()}
    assert delta_readers.hindrances(found) == []
    assert delta_readers.columns(found)[-1] == ("added_later", "bigint")
    assert found.to_pyarrow_table().num_rows == spark.read.format("delta").load(str(path)).count() > 0


@pytest.mark.parametrize(
    ("properties", "word"),
    [
        ({"delta.enableDeletionVectors": "true"}, "deletionVectors"),
        ({"delta.columnMapping.mode": "name"}, "column mapping"),
        ({"delta.checkpointPolicy": "v2"}, "v2Checkpoint"),
    ],
)
def test_a_table_that_others_could_not_read_is_found(spark, tmp_path, properties, word):  # noqa: F811
    spark.range(3).write.format("delta").options(**properties).save(str(tmp_path / "table"))
    assert word in " ".join(delta_readers.hindrances(deltalake.DeltaTable(str(tmp_path / "table"))))


@pytest.mark.slow
def test_duckdb_s_own_reader_sees_the_very_rows(lake, tmp_path):
    locations = [str(path) for path in tables(lake)]
    for location, path in delta_readers.duckdb(tmp_path, locations).items():
        ours = deltalake.DeltaTable(location).to_pyarrow_table()
        theirs = pq.read_table(path)
        assert theirs.column_names == ours.column_names, location
        assert rows(theirs) == rows(ours), location


def rows(table):
    return Counter(str(sorted(row.items())) for row in table.to_pylist())
