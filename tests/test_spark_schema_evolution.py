"""A table takes the columns that its contract gains, in the commit that first writes them."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from spark_day import DAY_1, DAY_2, World
from spark_session import quiet, spark  # noqa: F401

from contracts import contract as contracts
from spark_jobs.delta_log import latest_version
from spark_jobs.job import SILVER_TO_GOLD
from spark_jobs.lake import Lake
from spark_jobs.publish import Publication, _clauses
from spark_jobs.request import parse_request
from spark_jobs.row_rules import stored_schema
from spark_jobs.storage import FolderStore
from spark_jobs.transforms.changes import REMOVED

pytestmark = quiet
TABLE = "gold/kpi_daily"
OLD, NEW = (contracts.load("kpi_daily_gold", version) for version in ("1-0-0", "1-1-0"))


def figures(day, *margin):
    return (date(2026, 7, day), 1, 1, 1, Decimal(0), Decimal("9.00"), Decimal("9.00"), *margin, "run")


@pytest.fixture
def lake(spark, tmp_path):  # noqa: F811
    """The lake of a day's publish, on which an earlier day has published under the first contract."""
    frame = spark.createDataFrame([figures(27), figures(28)], stored_schema(OLD))
    lake_of(spark, tmp_path, DAY_1).append(frame, TABLE, note={})
    return lake_of(spark, tmp_path, DAY_2)


def lake_of(spark, folder, day):  # noqa: F811
    document = World.request(World.__new__(World), day, "publish_gold", lake=str(folder))
    return Lake(spark, FolderStore(folder), parse_request(json.dumps(document).encode()))


def held(lake):
    frame = lake.spark.read.format("delta").load(lake.uri(TABLE))
    return frame.columns, sorted((row.kpi_date.day, row.margin_eur) for row in frame.collect())


def test_rows_of_before_have_null_in_the_new_column(lake):
    found = lake.read(TABLE, 0)
    assert set(found.columns) == {name for name, _ in NEW.columns}
    assert {row.margin_eur for row in found.collect()} == {None}


def test_an_append_brings_the_column(lake):
    rows = lake.spark.createDataFrame([figures(29, Decimal("1.50"))], stored_schema(NEW))
    lake.append(rows, TABLE, note={})
    columns, rows = held(lake)
    assert set(columns) == {name for name, _ in NEW.columns}
    assert rows == [(27, None), (28, None), (29, Decimal("1.50"))]
    assert latest_version(lake.store, TABLE) == 1  # one commit, for the column and the rows


def test_a_merge_brings_the_column_and_nothing_else(lake):
    schema = stored_schema(NEW, **{REMOVED: "boolean"})
    rows = [(*figures(28, Decimal("2.50")), False), (*figures(27, None), True), (*figures(30, Decimal("3.50")), False)]
    publication = Publication(table=TABLE, step=SILVER_TO_GOLD, date="kpi_date", may_remove=True)
    candidates = lake.spark.createDataFrame(rows, schema)
    lake.merge(candidates, NEW, clauses=_clauses(NEW, publication), prune="true", note={})
    columns, rows = held(lake)
    assert set(columns) == {name for name, _ in NEW.columns}
    assert rows == [(28, Decimal("2.50")), (30, Decimal("3.50"))]
    assert latest_version(lake.store, TABLE) == 1


def test_a_commit_under_the_older_contract_still_fits(lake):
    """A run that was opened before the contract was raised may end after another has widened the table."""
    test_an_append_brings_the_column(lake)
    older = lake_of(lake.spark, Path(lake.store.root), date(2026, 7, 30))
    older.append(lake.spark.createDataFrame([figures(31)], stored_schema(OLD)), TABLE, note={})
    assert held(lake)[1][-1] == (31, None)
