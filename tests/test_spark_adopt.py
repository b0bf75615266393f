"""Candidates that become a table as they are: its rows, its log, its files' statistics, and who may read it."""

import itertools
import json
import shutil
from datetime import UTC, date, datetime
from decimal import Decimal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from hypothesis import given
from hypothesis import strategies as st
from spark_session import quiet, spark  # noqa: F401

from contracts.errors import SourceUnavailableError
from spark_jobs import delta_log
from spark_jobs.adopt import create_table, statistics
from spark_jobs.lake import PROPERTIES, ROWS_A_FILE, in_stretches
from spark_jobs.storage import FolderStore

pytestmark = quiet
ROWS = [
    (1, date(2026, 7, 1), "DE", Decimal("1.50"), datetime(2026, 7, 1, 12, tzinfo=UTC), True, None),
    (2, date(2026, 7, 2), "x" * 40, Decimal("-2.25"), datetime(2026, 7, 2, 12, tzinfo=UTC), False, "a"),
    (3, None, "FR", None, None, None, None),
]
SCHEMA = "id bigint, day date, country string, amount decimal(15,2), at timestamp, is_new boolean, note string"


@pytest.fixture
def candidates(spark, tmp_path):  # noqa: F811
    rows = spark.createDataFrame(ROWS, SCHEMA)
    rows.repartition(2).write.parquet(str(tmp_path / "candidates/r1/gold/t/1"))
    return rows


def adopted(rows, folder, transaction="r1"):
    create_table(
        FolderStore(folder), "gold/t", candidates="candidates/r1/gold/t/1", schema=rows.schema.json(),
        properties=PROPERTIES, note=json.dumps({"run_id": "r1", "rows": 3}), transaction=transaction,
    )  # fmt: skip


def test_every_reader_finds_the_rows_as_they_were_written(spark, tmp_path, candidates):  # noqa: F811
    adopted(candidates, tmp_path)
    table = str(tmp_path / "gold/t")
    wanted = sorted(candidates.collect())
    assert sorted(spark.read.format("delta").load(table).collect()) == wanted
    by_delta_rs = DeltaTable(table).to_pyarrow_table().sort_by("id").to_pylist()
    assert [row["amount"] for row in by_delta_rs] == [row["amount"] for row in wanted]
    assert [row["day"] for row in by_delta_rs] == [row["day"] for row in wanted]
    assert duckdb.sql(f"SELECT count(*) FROM '{table}/*.parquet'").fetchall() == [(3,)]  # noqa: S608


def test_the_log_is_that_of_a_commit_of_the_pipeline(tmp_path, candidates):
    adopted(candidates, tmp_path)
    store = FolderStore(tmp_path)
    commit = delta_log.read_commit(store, "gold/t", 0)
    assert (commit.transactions, commit.note["rows"], commit.changes_rows) == ({"r1"}, 3, True)
    table = DeltaTable(str(tmp_path / "gold/t"))
    assert (table.protocol().min_reader_version, table.protocol().min_writer_version) == (1, 2)
    assert table.metadata().configuration == PROPERTIES
    held = delta_log.read_snapshot(store, "gold/t", 0, "day").files
    assert {day for each in held for day in each.days} == {date(2026, 7, 1), date(2026, 7, 2)}


def test_spark_goes_on_with_the_table(spark, tmp_path, candidates):  # noqa: F811
    adopted(candidates, tmp_path)
    table = str(tmp_path / "gold/t")
    candidates.where("id = 2").write.format("delta").mode("overwrite").option(
        "replaceWhere", "day = DATE '2026-07-02'"
    ).save(table)
    spark.sql(
        f"MERGE INTO delta.`{table}` t USING (SELECT 3L AS id, 'IT' AS country) s ON t.id = s.id "
        "WHEN MATCHED THEN UPDATE SET country = s.country"
    )
    rows = spark.read.format("delta").load(table).orderBy("id").collect()
    assert [(row["id"], row["country"][:2]) for row in rows] == [(1, "DE"), (2, "xx"), (3, "IT")]


def test_the_table_is_summed_up_as_delta_would(spark, tmp_path, candidates):  # noqa: F811
    adopted(candidates, tmp_path)
    shutil.copytree(tmp_path / "gold/t", tmp_path / "other")
    summary = tmp_path / "other/_delta_log/00000000000000000000.crc"
    told = json.loads(summary.read_text())
    summary.unlink()
    logs = [
        spark._jvm.org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, str(tmp_path / name))
        for name in ("gold/t", "other")
    ]
    ours, theirs = (log.unsafeVolatileSnapshot() for log in logs)
    assert (ours.checksumOpt().isDefined(), theirs.checksumOpt().isDefined()) == (True, False)
    found = theirs.computeChecksum()
    for name in ("tableSizeBytes", "numFiles", "setTransactions", "domainMetadata", "metadata", "protocol"):
        assert getattr(ours.checksumOpt().get(), name)() == getattr(found, name)(), name
    files = [json.loads(each.json())["add"] for each in theirs.allFiles().collect()]
    told = [{name: value for name, value in each.items() if value is not None} for each in told["allFiles"]]
    assert sorted(told, key=str) == sorted(files, key=str)


def test_a_table_that_is_there_is_not_made_again(tmp_path, candidates):
    adopted(candidates, tmp_path)
    with pytest.raises(SourceUnavailableError, match="gold/t"):
        adopted(candidates, tmp_path, transaction="r2")
    assert delta_log.latest_version(FolderStore(tmp_path), "gold/t") == 0


def test_an_attempt_that_died_before_its_commit_leaves_nothing_to_be_read(tmp_path, candidates, monkeypatch):
    copies = []
    monkeypatch.setattr(
        FolderStore, "copy", lambda *told: copies.append(told) or (_ for _ in ()).throw(OSError("died"))
    )
    with pytest.raises(SourceUnavailableError):
        adopted(candidates, tmp_path)
    assert copies
    assert delta_log.latest_version(FolderStore(tmp_path), "gold/t") is None
    monkeypatch.undo()
    adopted(candidates, tmp_path)
    assert DeltaTable(str(tmp_path / "gold/t")).to_pyarrow_table().num_rows == 3


@given(
    st.lists(
        st.tuples(
            st.none() | st.integers(-(2**62), 2**62),
            st.none() | st.dates(),
            st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
        ),
        min_size=1,
    ),
    st.integers(1, 3),
)
def test_no_row_lies_outside_of_what_the_statistics_say(rows, group):
    table = pa.table(
        {name: pa.array([row[n] for row in rows], kind) for n, (name, kind) in enumerate(
            [("number", pa.int64()), ("day", pa.date32()), ("text", pa.string())]
        )}
    )  # fmt: skip
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=group)
    said = statistics(pq.read_metadata(pa.BufferReader(sink.getvalue())))
    assert said["numRecords"] == len(rows)
    for name, values in table.to_pydict().items():
        there = [value.isoformat() if isinstance(value, date) else value for value in values if value is not None]
        assert said["nullCount"][name] == len(values) - len(there)
        if name in said["minValues"]:
            assert (said["minValues"][name], said["maxValues"][name]) == (min(there), max(there))
        elif name != "text":
            assert not there


def test_a_history_lies_in_files_of_a_stretch_of_days_each(spark, tmp_path):  # noqa: F811
    count = 3 * ROWS_A_FILE
    rows = spark.range(count).selectExpr("id", "date_add(DATE '2026-01-01', int(id % 300)) AS day")
    laid_out = in_stretches(rows, "day", date(2026, 1, 1), date(2026, 10, 27), count)
    laid_out.write.parquet(str(tmp_path / "t"))
    footers = [statistics(pq.read_metadata(file)) for file in (tmp_path / "t").glob("*.parquet")]
    spans = sorted((each["minValues"]["day"], each["maxValues"]["day"]) for each in footers if each["numRecords"])
    assert len(spans) == 3
    assert all(one[1] < other[0] for one, other in itertools.pairwise(spans))
    assert sum(each["numRecords"] for each in footers) == count


def test_days_beside_the_stretch_and_none_go_to_its_ends(spark):  # noqa: F811
    rows = spark.createDataFrame([(None,), (date(1999, 1, 1),), (date(2030, 1, 1),)], "day date")
    laid_out = in_stretches(rows, "day", date(2026, 1, 1), date(2026, 1, 2), 2 * ROWS_A_FILE)
    assert sorted(len(part) for part in laid_out.rdd.glom().collect()) == [1, 2]
