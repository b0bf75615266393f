"""Maintenance by the very job: what it does to files, what it leaves, and that no run minds it."""

import json
import os
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from spark_day import DAY_2, GOLD_2
from spark_session import quiet, spark  # noqa: F401
from test_spark_day import built, published, ready  # noqa: F401

from spark_jobs import delta_log, maintain
from spark_jobs.delta_log import File, read_commit, read_snapshot
from spark_jobs.gold_tables import SEAL
from spark_jobs.lake import RETENTION_DAYS

pytestmark = quiet
ORDERS, FACTS = "silver/orders", "gold/fct_orders"
HOW = {"run": "aaaa", "receipts": [], "files": []}


def file(size, first=None, last=None):
    return File(
        name="part.parquet", size=size, days=(date(2026, 1, first), date(2026, 1, last or first)) if first else None
    )


@pytest.mark.parametrize(
    ("files", "has_day", "action"),
    [
        pytest.param([file(10)] * 7, False, None, id="few-small-files"),
        pytest.param([file(10)] * 8, False, maintain.PACK, id="many-small-files"),
        pytest.param([file(50)] * 80, False, None, id="files-that-are-whole-stay"),
        pytest.param([file(90, day) for day in range(1, 31)], True, None, id="a-file-a-day"),
        pytest.param([file(10, day) for day in range(1, 31)], True, maintain.PACK, id="small-ones-in-order-are-packed"),
        pytest.param([file(90, 1, 31)] * 8, True, maintain.SORT, id="every-file-holds-every-day"),
        pytest.param([file(90, 1)] * 30, True, None, id="a-day-that-fills-many-files"),
        pytest.param([file(10, 1, 9)] * 7 + [file(10)], True, maintain.PACK, id="a-file-without-days"),
        pytest.param(None, True, maintain.PACK, id="a-log-that-does-not-tell"),
    ],
)
def test_what_files_call_for(files, has_day, action):
    assert maintain.plan(files, 100, has_day=has_day).action == action


def test_every_table_that_has_days_is_sorted_by_them():
    assert maintain.days_of_tables() == {
        "silver/fx_rates": "rate_date",
        "silver/orders": "order_date",
        "silver/opportunities": "created_at",
        "silver/part_supply": "valid_from",
        "silver/order_lines": "order_date",
        "silver/accounts": "updated_on",
        "silver/contacts": "updated_on",
        "gold/fct_daily_revenue": "revenue_date",
        "gold/fct_orders": "order_date",
        "gold/fct_order_lines": "order_date",
        "gold/product_performance": "quarter_start",
        "gold/kpi_daily": "kpi_date",
    }


def crumble(world, table, day, days=range(1, 13)):
    """Rewrite a table, as its runs might have left it: many small files, each with all days."""
    path = str(world.folder / table)
    rows = world.spark.read.format("delta").load(path)
    note = json.dumps({"run_id": "20260101T000000Z-crumble", "step": "test"})
    writer = rows.repartition(len(days)).write.format("delta").mode("overwrite").option("dataChange", "false")
    writer.option("userMetadata", note).save(path)


def layer(world, subject, attempt=1, **said):
    return world.job(DAY_2, "maintain", subject, attempt=attempt, **HOW, **said)


def test_small_files_are_packed_and_the_rows_stay(published, monkeypatch):  # noqa: F811
    monkeypatch.setattr(maintain, "FEWEST_SMALL_FILES", 2)
    crumble(published, ORDERS, "order_date")
    before, rows = delta_log.latest_version(published.store, ORDERS), published.rows(ORDERS)
    assert len(read_snapshot(published.store, ORDERS, before).files) > 2
    receipt = layer(published, "silver")
    assert receipt["status"] == "SUCCEEDED"
    [told] = [each for each in receipt["tables"] if each["table"] == ORDERS]
    assert (told["version_before"], told["version_after"], told["rows"]) == (before, before + 1, 0)
    commit = read_commit(published.store, ORDERS, before + 1)
    assert (commit.run_id, commit.note["step"], commit.changes_rows) == (receipt["run_id"], "maintain", False)
    assert len(read_snapshot(published.store, ORDERS, before + 1).files) == 1
    assert published.rows(ORDERS) == rows
    # again there is nothing to do
    layer(published, "silver", attempt=2)
    assert delta_log.latest_version(published.store, ORDERS) == before + 1


def test_files_that_hold_all_days_are_sorted_by_the_day(published, monkeypatch):  # noqa: F811
    monkeypatch.setattr(maintain, "MOST_FILES_A_DAY", -10)
    monkeypatch.setattr(maintain, "MERGED_FILE_BYTES", 2000)  # some rows a file
    crumble(published, FACTS, "order_date")
    rows = published.rows(FACTS)
    assert layer(published, "gold")["status"] == "SUCCEEDED"
    version = delta_log.latest_version(published.store, FACTS)
    commit = read_commit(published.store, FACTS, version)
    assert commit.note["maintenance"] == maintain.SORT
    spans = sorted(each.days for each in read_snapshot(published.store, FACTS, version, "order_date").files)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
    assert published.rows(FACTS) == rows


def test_a_table_stays_readable_by_all_readers(published, monkeypatch):  # noqa: F811
    monkeypatch.setattr(maintain, "FEWEST_SMALL_FILES", 1)
    for each in maintain.LAYERS:
        assert layer(published, each)["status"] == "SUCCEEDED"
    for each in (ORDERS, FACTS, "bronze/fx_rates"):
        last = published.spark.sql(f"DESCRIBE DETAIL delta.`{published.folder / each}`").collect()[0]
        assert (last["minReaderVersion"], last["minWriterVersion"], last["clusteringColumns"]) == (1, 2, [])
        assert last["properties"]["delta.enableDeletionVectors"] == "false"
        assert last["properties"]["delta.deletedFileRetentionDuration"] == f"interval {RETENTION_DAYS} days"


def test_a_run_under_way_publishes_on_what_was_packed_in_between(ready, built, monkeypatch):  # noqa: F811
    """Candidates are built; maintenance rewrites every table; the publish needs no other round, and gold is right."""
    monkeypatch.setattr(maintain, "FEWEST_SMALL_FILES", 2)
    for table, day in ((ORDERS, "order_date"), ("silver/fx_rates", "rate_date"), (FACTS, "order_date"), (SEAL, "x")):
        crumble(ready, table, day)
    for each in maintain.LAYERS:
        assert layer(ready, each)["status"] == "SUCCEEDED"
    assert ready.job(DAY_2, "publish_gold", receipts=built["keys"])["published"] is True
    assert ready.gold() == GOLD_2
    # nor does the next day take it for a change of silver: it touches no day, so it writes no row
    day_3 = DAY_2 + timedelta(days=1)
    for each in maintain.LAYERS:
        layer(ready, each, attempt=2)
    ready.orders = []
    keys, _ = ready.until_publish(day_3)
    written = json.loads(ready.store.get(keys[-1]))["tables"]
    assert {each["table"]: each["rows"] for each in written} == {each["table"]: 0 for each in written}


def test_less_than_what_redrives_need_is_refused(published):  # noqa: F811
    receipt = layer(published, "gold", upkeep={"keep_days": RETENTION_DAYS - 1})
    assert (receipt["status"], receipt["error"]) == ("FAILED", "InvalidRequestError")
    assert (
        f"keep_days {RETENTION_DAYS - 1}: files that left a table are kept for {RETENTION_DAYS} days"
        in receipt["cause"]
    )
    receipt = layer(published, "landing", attempt=2)
    assert (receipt["error"], receipt["cause"][:8]) == ("InvalidRequestError", "landing:")


def age(world, table, days):
    """Make a table and its files older by some days, as their dates in the log and in the folder say."""
    then = (datetime.now(UTC) - timedelta(days=days)).timestamp()
    for each in (world.folder / table).rglob("*"):
        if each.suffix == ".json":
            lines = [json.loads(line) for line in each.read_text().splitlines()]
            for line in lines:
                for action in line.values():
                    for name in ("timestamp", "deletionTimestamp"):
                        if name in action:
                            action[name] -= days * 86_400_000
            each.write_text("\n".join(map(json.dumps, lines)) + "\n")
            each.with_name(f".{each.name}.crc").unlink(missing_ok=True)
        if each.is_file():
            os.utime(each, (then, then))


@pytest.mark.parametrize(("days", "gone"), [(RETENTION_DAYS - 1, False), (RETENTION_DAYS + 1, True)])
def test_vacuum_deletes_what_left_a_table_longer_ago_than_it_must_keep(published, days, gone):  # noqa: F811
    folder = published.folder / ORDERS
    rows, first = published.rows(ORDERS), {each.name for each in folder.glob("*.parquet")}
    crumble(published, ORDERS, "order_date")
    (folder / "part-of-a-job-that-died.parquet").write_bytes(b"x")
    age(published, ORDERS, days)
    published.spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
    assert layer(published, "silver")["status"] == "SUCCEEDED"
    assert published.rows(ORDERS) == rows
    left = {each.name for each in folder.glob("*.parquet")}
    assert (not first & left, "part-of-a-job-that-died.parquet" not in left) == (gone, gone)


@pytest.mark.slow
def test_gold_is_built_on_a_sealed_version_whose_files_are_gone(published, monkeypatch):  # noqa: F811
    """No run for longer than files are kept, and maintenance every week: what was only packed anew is still there."""
    monkeypatch.setattr(maintain, "FEWEST_SMALL_FILES", 2)
    tables = [FACTS, "gold/customer_segments", SEAL, ORDERS]
    for table in tables:
        crumble(published, table, "order_date")
        age(published, table, RETENTION_DAYS + 1)
    published.spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
    for each in ("silver", "gold"):
        assert layer(published, each)["status"] == "SUCCEEDED"
    keys, verdicts = published.until_publish(DAY_2, [published.deliver(DAY_2, [{"Date": "2026-07-29", "USD": "1.2"}])])
    assert verdicts[-1] == "PASS"
    assert published.job(DAY_2, "publish_gold", receipts=keys)["published"] is True
    assert published.gold() == GOLD_2


def test_a_table_whose_log_forgot_sooner_is_not_vacuumed_at_once(published):  # noqa: F811
    path = published.folder / ORDERS
    name = "delta.deletedFileRetentionDuration"
    published.spark.sql(f"ALTER TABLE delta.`{path}` UNSET TBLPROPERTIES ('{name}')")
    (path / "part-of-a-job-that-died.parquet").write_bytes(b"x")
    age(published, ORDERS, RETENTION_DAYS + 1)
    published.spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
    for attempt in (1, 2):
        assert layer(published, "silver", attempt=attempt)["status"] == "SUCCEEDED"
        assert (path / "part-of-a-job-that-died.parquet").exists()
    version = delta_log.latest_version(published.store, ORDERS)
    properties = read_snapshot(published.store, ORDERS, version).properties
    assert properties[name] == f"interval {RETENTION_DAYS} days"
    assert int(properties[maintain.KEPT_SINCE]) == datetime.now(UTC).date().toordinal()
