"""Rows that a person has rejected: each is in quarantine once, the others go on, and the gates pass."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyspark.sql import functions as sf
from spark_day import DAY_2, GOLD_1, NAMES, World, first_day, gold_row, order
from spark_session import quiet, spark  # noqa: F401

from contracts import contract as contracts
from contracts.expectation_types import ROW_TYPES
from spark_jobs import delta_log, rejections
from spark_jobs.expectation_kinds import KINDS, RowWise
from spark_jobs.lake import Lake
from spark_jobs.row_rules import LAYOUT_COLUMN, text_schema

pytestmark = quiet

RUN, OLDER_RUN = "20260730T060000Z-0000", "20260730T050000Z-0000"
USD, GBP = (f"fx_rates_bronze:expect_column_values_to_not_be_null:{name}" for name in ("USD", "GBP"))
RATE = "fx_rates_silver:expect_column_values_to_be_between:rate"
PRICE = "snowflake_orders_bronze:expect_column_values_to_be_between:total_price"
ROUND_1 = {"attempt": 2, "round_": 1}
ROUND_2 = {"attempt": 3, "round_": 2}


def rejection(expectation, run_id=RUN):
    return {
        "run_id": run_id, "expectation": expectation, "reason": "the vendor will not mend it", "by": "Ada",
        "made_at": "2026-07-30T07:00:00Z",
    }  # fmt: skip


@pytest.fixture(scope="module")
def built(spark, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp("lakes") / "published"
    with pytest.MonkeyPatch.context() as patch:
        first_day(spark, folder, patch)
    return folder


@pytest.fixture
def published(built, spark, tmp_path, monkeypatch):  # noqa: F811
    return World(spark, Path(shutil.copytree(built, tmp_path / "lake")), monkeypatch)


def quarantined(world, table):
    """Rule, column, run, attempt and the original row of what stands in quarantine."""
    rows = world.rows(f"quarantine/{table}", "rule", "column", "_run_id", "_attempt", "row")
    return [(*each[:-1], json.loads(each[-1])) for each in rows]


def test_the_expectations_whose_rows_can_be_rejected_are_those_about_each_row():
    assert {name for name, kind in KINDS.items() if isinstance(kind, RowWise)} == ROW_TYPES


def test_rejected_rows_of_bronze_go_to_quarantine_and_the_others_to_gold(published):
    file = published.deliver(
        DAY_2, [{"Date": "2026-07-29", "USD": "1.2", "GBP": "0.8"}, {"Date": "2026-07-28", "GBP": "0.9"}]
    )
    _, verdicts = published.until_publish(DAY_2, [file])
    assert verdicts[0] == "FAIL"
    given = [rejection(USD)]
    keys, verdicts = published.until_publish(DAY_2, [file], **ROUND_1, rejections=given)
    assert verdicts == ["PASS", "PASS", "PASS"]
    receipt = json.loads(published.store.get(keys[0]))
    assert receipt["rows"] == {"received": 2, "accepted": 1, "quarantined": 1}
    assert receipt["rejections"] == [given[0] | {"rows": 1}]
    [(rule, column, run_id, attempt, row)] = quarantined(published, "fx_rates")
    assert (rule, column, run_id, attempt) == ("expect_column_values_to_not_be_null", "USD", RUN, 2)
    assert (row["Date"], row["USD"], row["GBP"]) == ("2026-07-28", "N/A", "0.9")
    assert published.rows("quarantine/fx_rates", "reason", "_file") == [
        ("rejected by Ada: the vendor will not mend it", file["key"])
    ]
    check = json.loads(published.store.get(f"runs/{RUN}/check_bronze/all/2.json"))
    [seen] = [each["observed"] for each in check["results"] if each["column"] == "USD"]
    assert seen == {"rows": 1, "unexpected": 0, "rejected": 1}
    assert check["rejections"] == receipt["rejections"]
    audit = published.spark.read.format("delta").load(str(published.folder / "quality/results"))
    [kept] = audit.where(f"run_id = '{RUN}' AND attempt = 2 AND column = 'USD'").select("observed").collect()
    assert json.loads(kept["observed"]) == seen
    assert published.job(DAY_2, "publish_gold", receipts=keys, **ROUND_1)["published"] is True
    gold = [*GOLD_1, gold_row(29, "GBP", 1, "0.8", 29, "10.00"), gold_row(29, "USD", 1, "1.2", 29, "100.00")]
    assert published.gold() == gold


def test_a_rejected_row_is_in_quarantine_once_however_many_rounds_there_are(published):
    """A database is read again in each round, and a second rejection changes the digest of what was written."""
    published.orders += [order(6, DAY_2, "USD", "0.50"), order(7, DAY_2, "USD", "99999999.00")]
    file = published.deliver(DAY_2, [{"Date": "2026-07-29", "USD": "1.2"}, {"Date": "2026-07-28", "GBP": "0.9"}])
    prices, all_rates = [rejection(PRICE)], [rejection(USD), rejection(GBP)]
    receipt = published.job(DAY_2, "ingest", "snowflake_orders", **ROUND_1, rejections=prices)
    assert receipt["rows"] == {"received": 4, "accepted": 2, "quarantined": 2}
    published.job(DAY_2, "ingest", "snowflake_orders", **ROUND_2, rejections=prices)
    assert [(row["order_id"], attempt) for *_, attempt, row in quarantined(published, "snowflake_orders")] == [
        (6, 3),
        (7, 3),
    ]
    published.job(DAY_2, "ingest", "fx_rates", files=[file], **ROUND_1, rejections=all_rates[:1])
    receipt = published.job(DAY_2, "ingest", "fx_rates", files=[file], **ROUND_2, rejections=all_rates)
    assert [each["rows"] for each in receipt["rejections"]] == [1, 1]
    assert [(column, row["Date"]) for _, column, *_, row in quarantined(published, "fx_rates")] == [
        ("GBP", "2026-07-29"),
        ("USD", "2026-07-28"),
    ]
    assert receipt["rows"]["accepted"] == 0


def test_an_attempt_again_changes_nothing_and_tells_the_same(published):
    file = published.deliver(DAY_2, [{"Date": "2026-07-29", "USD": "1.2"}, {"Date": "2026-07-28", "GBP": "0.9"}])
    first = published.job(DAY_2, "ingest", "fx_rates", files=[file], rejections=[rejection(USD)])
    tables = ("bronze/fx_rates", "quarantine/fx_rates")
    before = [delta_log.latest_version(published.store, table) for table in tables]
    again = published.job(DAY_2, "ingest", "fx_rates", files=[file], attempt=2, rejections=[rejection(USD)])
    assert [delta_log.latest_version(published.store, table) for table in tables] == before
    same = ("rows", "rejections", "tables", "rows_attempt")
    assert {name: again[name] for name in same} == {name: first[name] for name in same}


def test_a_job_killed_between_quarantine_and_bronze_goes_on(published, monkeypatch):
    file = published.deliver(DAY_2, [{"Date": "2026-07-29", "USD": "1.2"}, {"Date": "2026-07-28", "GBP": "0.9"}])
    append = Lake.append

    def killed_at_bronze(lake, rows, table, **how):
        if table.startswith("bronze/"):
            raise KeyboardInterrupt
        return append(lake, rows, table, **how)

    monkeypatch.setattr(Lake, "append", killed_at_bronze)
    with pytest.raises(KeyboardInterrupt):
        published.job(DAY_2, "ingest", "fx_rates", files=[file], rejections=[rejection(USD)])
    monkeypatch.setattr(Lake, "append", append)
    receipt = published.job(DAY_2, "ingest", "fx_rates", files=[file], attempt=2, rejections=[rejection(USD)])
    assert receipt["rows"] == {"received": 2, "accepted": 1, "quarantined": 1}
    assert [attempt for *_, attempt, _ in quarantined(published, "fx_rates")] == [1]


def test_a_broken_row_stays_a_violation_whatever_is_rejected(published):
    file = published.deliver(
        DAY_2, [{"Date": "2026-07-29", "USD": "-1.2"}, {"Date": "2026-07-28", "USD": "N/A", "GBP": "0.9"}]
    )
    receipt = published.job(DAY_2, "ingest", "fx_rates", files=[file], rejections=[rejection(USD)])
    assert (receipt["error"], receipt["column"]) == ("ContractViolationError", "USD")
    assert sorted(rule for rule, *_ in quarantined(published, "fx_rates")) == [
        "exclusiveMinimum",
        "expect_column_values_to_not_be_null",
    ]
    good = published.deliver(DAY_2, [{"Date": "2026-07-29", "USD": "1.2"}], received=datetime(2026, 7, 30, tzinfo=UTC))
    receipt = published.job(DAY_2, "ingest", "fx_rates", files=[good], attempt=2, rejections=[rejection(USD)])
    assert receipt["rows"] == {"received": 1, "accepted": 1, "quarantined": 0}
    # the row that was rejected is gone from the file, so from quarantine too; the violation stays as evidence
    assert [rule for rule, *_ in quarantined(published, "fx_rates")] == ["exclusiveMinimum"]


@pytest.mark.slow
def test_rejected_candidates_of_silver_go_to_quarantine_and_gold_is_built_of_the_others(published):
    file = published.deliver(DAY_2, [{"Date": "2026-07-29", "USD": "10.8", "GBP": "0.9"}])
    keys, verdicts = published.until_publish(DAY_2, [file])
    assert verdicts == ["PASS", "FAIL", "PASS"]
    given = [rejection(RATE)]
    keys = keys[:2]
    receipt = published.job(DAY_2, "bronze_to_silver", receipts=keys, **ROUND_1, rejections=given)
    keys.append(receipt["key"])
    assert receipt["rejections"] == [given[0] | {"rows": 1}]
    assert receipt["rows"] == {"received": 4, "accepted": 3, "quarantined": 1}
    check = published.job(DAY_2, "check_silver", receipts=keys, **ROUND_1)
    assert check["verdict"] == "PASS"
    assert [each["observed"] for each in check["results"] if each["column"] == "rate"][-1] == {
        "rows": 0,
        "unexpected": 0,
        "rejected": 1,
    }
    keys.append(published.job(DAY_2, "silver_to_gold", receipts=keys, **ROUND_1)["key"])
    assert published.job(DAY_2, "publish_gold", receipts=keys, **ROUND_1)["published"] is True
    # dollars are converted at the last rate before the one that was rejected
    assert published.gold() == [
        *GOLD_1,
        gold_row(29, "GBP", 1, "0.9", 29, "8.89"),
        gold_row(29, "USD", 1, "1.1", 28, "109.09"),
    ]
    published.job(DAY_2, "bronze_to_silver", receipts=keys[:2], attempt=3, round_=2, rejections=given)
    [(rule, column, run_id, _, row)] = quarantined(published, "fx_rates_silver")
    assert (rule, column, run_id) == ("expect_column_values_to_be_between", "rate", RUN)
    assert row == {
        "rate_date": "2026-07-29", "currency": "USD", "rate": 10.8, "received_at": "2026-07-29T16:00:00.000Z",
    }  # fmt: skip


def test_the_run_that_takes_another_s_place_takes_over_what_that_one_rejected(published):
    file = published.deliver(DAY_2, [{"Date": "2026-07-28", "GBP": "0.9"}])
    published.job(DAY_2, "ingest", "fx_rates", files=[file], rejections=[rejection(USD)])
    table = published.spark.read.format("delta").load(str(published.folder / "quarantine/fx_rates"))
    older = table.withColumn("_run_id", sf.lit(OLDER_RUN)).localCheckpoint()
    older.write.format("delta").mode("append").save(str(published.folder / "quarantine/fx_rates"))
    given, file = [rejection(USD, OLDER_RUN)], file | {"size": file["size"] + 1}  # else it is the very same commit
    published.job(DAY_2, "ingest", "fx_rates", files=[file], **ROUND_1, rejections=given, superseded=[OLDER_RUN])
    assert [(run_id, row["Date"]) for *_, run_id, _, row in quarantined(published, "fx_rates")] == [(RUN, "2026-07-28")]


def marked(spark, rows, given, **changes):  # noqa: F811
    """The index of the rejection that refuses each row of rates."""
    contract = contracts.load("fx_rates_bronze")
    cells = [{"Date": "2026-07-28", **dict.fromkeys(NAMES[1:], "1"), LAYOUT_COLUMN: None} | row for row in rows]
    frame = spark.createDataFrame(
        [tuple(each[name] for name in [*NAMES, LAYOUT_COLUMN]) for each in cells], text_schema([*NAMES, LAYOUT_COLUMN])
    )
    request = type("Request", (), {"data_date": DAY_2})
    found = rejections.mark(frame, contract, [rejections.Rejection(**each) for each in given], request, **changes)
    assert found.columns == [*NAMES, LAYOUT_COLUMN, rejections.REJECTED_BY]
    return [each[rejections.REJECTED_BY] for each in found.collect()]


def test_a_row_is_refused_by_the_first_rejection_that_it_falls_under(spark):  # noqa: F811
    rows = [{"USD": "N/A"}, {"GBP": "N/A"}, {"USD": "N/A", "GBP": "N/A"}, {}]
    assert marked(spark, rows, [rejection(GBP), rejection(USD)]) == [1, 0, 0, None]
    assert marked(spark, rows, [rejection(GBP), rejection(USD)], only=sf.col("GBP") != "N/A") == [1, None, None, None]


def test_what_today_s_contract_does_not_ask_refuses_nothing(spark):  # noqa: F811
    gone = rejection("fx_rates_bronze:expect_column_values_to_not_be_null:JPY")
    of_the_table = rejection("fx_rates_bronze:expect_table_row_count_to_be_between")
    assert marked(spark, [{"JPY": "N/A"}, {"USD": "N/A"}], [gone, of_the_table]) == [None, None]
