"""Whole days on a small lake in a folder, by the very jobs: what is in the tables, and what a rerun changes."""

import json
import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from pyspark.sql import functions as sf
from spark_day import DAY_1, DAY_2, GOLD_1, GOLD_2, NAMES, RATES_2, TABLES, World, first_day, gold_row, order
from spark_session import quiet, spark  # noqa: F401

from contracts import contract as contracts
from spark_jobs import delta_log, publish

pytestmark = quiet


@pytest.fixture(scope="module")
def built(spark, tmp_path_factory):  # noqa: F811
    """Lakes to start from: `published` after the first day, `ready` with the second day's candidates."""
    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("lakes")
    first_day(spark, folder / "published", patch)
    shutil.copytree(folder / "published", folder / "ready")
    ready = World(spark, folder / "ready", patch)
    ready_keys, verdicts = ready.until_publish(DAY_2, [ready.deliver(DAY_2, RATES_2)])
    assert verdicts == ["WARN", "PASS", "PASS"]  # no pounds that day, which only warns
    patch.undo()
    return {"folder": folder, "keys": ready_keys}


@pytest.fixture
def published(built, spark, tmp_path, monkeypatch):  # noqa: F811
    return World(spark, Path(shutil.copytree(built["folder"] / "published", tmp_path / "lake")), monkeypatch)


@pytest.fixture
def ready(built, spark, tmp_path, monkeypatch):  # noqa: F811
    return World(spark, Path(shutil.copytree(built["folder"] / "ready", tmp_path / "lake")), monkeypatch)


def test_the_first_day_holds_the_whole_history(published):
    assert published.gold() == GOLD_1
    assert len(published.rows("silver/fx_rates", "rate_date", "currency")) == 4
    assert published.rows("bronze/fx_rates", "Date", "USD", "BGN", "_attempt")[0] == ("2026-07-27", "1.0", "N/A", 1)


def test_a_table_is_one_that_athena_can_read(published):
    for table in (*TABLES, "bronze/fx_rates", "bronze/snowflake_orders", "quality/results"):
        log = (published.folder / table / "_delta_log" / f"{0:020}.json").read_text()
        first = {name: action for line in log.splitlines() for name, action in json.loads(line).items()}
        protocol, properties = first["protocol"], first["metaData"]["configuration"]
        assert protocol["minReaderVersion"] == 1
        if table == "quality/results":  # by delta-rs, which has such features off and forgets no transaction
            assert protocol["minWriterVersion"] == 2
            assert properties["delta.appendOnly"] == "true"
            continue
        assert properties["delta.enableDeletionVectors"] == "false"
        assert properties["delta.columnMapping.mode"] == "none"
        assert properties["delta.setTransactionRetentionDuration"] == "interval 60 days"


def test_a_day_adds_its_rows_and_a_second_publish_changes_nothing(ready, built):
    before = ready.versions()
    first = ready.job(DAY_2, "publish_gold", receipts=built["keys"])
    assert ready.gold() == GOLD_2
    after = ready.versions()
    assert after == {table: version + 1 for table, version in before.items()}
    again = ready.job(DAY_2, "publish_gold", receipts=built["keys"], attempt=2)
    assert ready.versions() == after
    assert again["published"] is True
    assert again["tables"] == first["tables"]


def test_an_ingest_again_finds_its_commit(ready):
    before = delta_log.latest_version(ready.store, "bronze/fx_rates")
    file = ready.deliver(DAY_2, RATES_2)
    again = ready.job(DAY_2, "ingest", "fx_rates", files=[file], attempt=2)
    assert delta_log.latest_version(ready.store, "bronze/fx_rates") == before
    assert again["rows_attempt"] == 1
    assert again["rows"] == {"received": 1, "accepted": 1, "quarantined": 0}


def test_a_publish_killed_between_commits_goes_on(ready, built, monkeypatch):
    commit = publish._commit

    def killed_after_the_first(job, publication, *rest):
        if publication.table != "silver/fx_rates":
            raise KeyboardInterrupt
        return commit(job, publication, *rest)

    monkeypatch.setattr(publish, "_commit", killed_after_the_first)
    before = ready.versions()
    with pytest.raises(KeyboardInterrupt):
        ready.job(DAY_2, "publish_gold", receipts=built["keys"])
    assert ready.versions() == before | {"silver/fx_rates": before["silver/fx_rates"] + 1}
    monkeypatch.setattr(publish, "_commit", commit)
    receipt = ready.job(DAY_2, "publish_gold", receipts=built["keys"], attempt=2)
    assert receipt["published"] is True
    assert ready.versions() == {table: version + 1 for table, version in before.items()}
    assert ready.gold() == GOLD_2


def test_nothing_is_published_on_a_base_that_another_run_moved(ready, built):
    other = ready.spark.read.format("delta").load(str(ready.folder / "gold/fct_daily_revenue")).limit(1)
    other = other.withColumns({"revenue_date": sf.lit(date(2020, 1, 1)), "_run_id": sf.lit("other")})
    note = json.dumps({"run_id": "20260101T000000Z-other"})
    gold = str(ready.folder / "gold/fct_daily_revenue")
    other.write.format("delta").mode("append").option("userMetadata", note).save(gold)
    before = ready.versions()
    receipt = ready.job(DAY_2, "publish_gold", receipts=built["keys"])
    assert receipt["published"] is False
    assert ready.versions() == before
    # rebuilt on the present base, in the next round, it goes through
    keys = built["keys"][:3]
    keys.append(ready.job(DAY_2, "silver_to_gold", receipts=keys, attempt=2, round_=1)["key"])
    assert ready.job(DAY_2, "publish_gold", receipts=keys, attempt=2, round_=1)["published"] is True
    assert [row for row in ready.gold() if row[0].year == 2026] == GOLD_2


def test_broken_rows_go_to_quarantine_and_the_corrected_file_goes_through(published):
    bad = published.deliver(DAY_2, [*RATES_2, {"Date": "2026-07-30", "USD": "-1.2"}])
    receipt = published.job(DAY_2, "ingest", "fx_rates", files=[bad])
    assert receipt["status"] == "FAILED"
    assert (receipt["error"], receipt["dataset"]) == ("ContractViolationError", "fx_rates_bronze")
    assert (receipt["column"], receipt["rule"]) == ("USD", "exclusiveMinimum")
    assert "landing/fx/eurofxref-2026-07-29.csv: line 3: 1 of 2 rows break it" in receipt["cause"]
    assert delta_log.latest_version(published.store, "bronze/fx_rates") == 0
    # a retry of the same file quarantines nothing twice
    published.job(DAY_2, "ingest", "fx_rates", files=[bad], attempt=2)
    [(column, rule, reason, row)] = published.rows("quarantine/fx_rates", "column", "rule", "reason", "row")
    assert (column, rule, reason) == ("USD", "exclusiveMinimum", "USD breaks exclusiveMinimum: 0")
    assert json.loads(row)["USD"] == "-1.2"
    good = published.deliver(DAY_2, RATES_2, received=datetime(2026, 7, 30, tzinfo=UTC))
    receipt = published.job(DAY_2, "ingest", "fx_rates", files=[good], attempt=3)
    assert (receipt["rows_attempt"], receipt["rows"]["accepted"]) == (3, 1)


@pytest.mark.parametrize(
    ("content", "column", "rule"),
    [
        pytest.param(b"", "*", "header", id="empty"),
        pytest.param((",".join(NAMES) + ",\n").encode(), "*", "minimum_rows", id="header-only"),
        pytest.param((",".join(NAMES[:-1]) + ",\n").encode(), "ZAR", "required", id="missing-column"),
        pytest.param(b"<html></html>", "*", "header", id="not-csv"),
    ],
)
def test_a_file_that_is_none_fails_by_column_and_rule(published, content, column, rule):
    file = published.deliver(DAY_2, RATES_2)
    published.store.put(file["key"], content)
    receipt = published.job(DAY_2, "ingest", "fx_rates", files=[file])
    assert (receipt["error"], receipt["column"], receipt["rule"]) == ("ContractViolationError", column, rule)


def test_a_malformed_line_is_kept_whole(published):
    file = published.deliver(DAY_2, RATES_2)
    published.store.put(file["key"], published.store.get(file["key"]) + b"2026-07-28,1.1\n")
    receipt = published.job(DAY_2, "ingest", "fx_rates", files=[file])
    assert (receipt["column"], receipt["rule"]) == ("*", "layout")
    assert "line 3" in receipt["cause"]
    assert published.rows("quarantine/fx_rates", "row") == [("2026-07-28,1.1",)]


def test_a_closed_gate_opens_for_the_corrected_file_of_a_second_round(published):
    file = published.deliver(DAY_2, [{"Date": "2026-07-29", "USD": "N/A", "GBP": "0.9"}])
    orders = published.job(DAY_2, "ingest", "snowflake_orders")["key"]
    keys = [published.job(DAY_2, "ingest", "fx_rates", files=[file])["key"], orders]
    receipt = published.job(DAY_2, "check_bronze", receipts=keys)
    assert receipt["verdict"] == "FAIL"
    failed = [result for result in receipt["results"] if not result["success"]]
    assert [(result["column"], result["observed"]) for result in failed] == [("USD", {"rows": 1, "unexpected": 1})]
    mended = published.deliver(DAY_2, RATES_2, received=datetime(2026, 7, 30, 7, tzinfo=UTC))
    how = {"attempt": 2, "round_": 1}
    keys, verdicts = published.until_publish(DAY_2, [mended], **how)
    assert verdicts == ["WARN", "PASS", "PASS"]
    assert published.job(DAY_2, "publish_gold", receipts=keys, **how)["published"] is True
    assert published.gold() == GOLD_2


RATE = "fx_rates_silver:expect_column_values_to_be_between:rate"


def waiver(expectation):
    return {"id": "w1", "expectation": expectation, "reason": "the vendor confirmed it", "by": "Ada", "until": "2026-08-01T06:00:00Z"}  # fmt: skip


def audit(world, *columns):
    """Columns of the audit's rows, as Spark reads them, of the failures of the second day."""
    rows = world.spark.read.format("delta").load(str(world.folder / "quality/results"))
    return sorted(tuple(row) for row in rows.where(f"data_date = '{DAY_2}' AND NOT success").select(*columns).collect())


def test_every_result_of_a_check_is_in_the_audit_whatever_the_verdict(ready):
    rows = ready.spark.read.format("delta").load(str(ready.folder / "quality/results"))
    assert dict(rows.dtypes) == {
        "run_id": "string", "data_date": "date", "step": "string", "round": "int", "attempt": "int", "dataset": "string",
        "version": "string", "expectation": "string", "column": "string", "severity": "string", "success": "boolean",
        "waived": "boolean", "verdict": "string", "observed": "string", "expected": "string", "measured_at": "timestamp",
    }  # fmt: skip
    for day, run_id in ((DAY_1, "20260729T060000Z-0000"), (DAY_2, "20260730T060000Z-0000")):
        for step in ("check_bronze", "check_silver", "check_gold"):
            receipt = json.loads(ready.store.get(f"runs/{run_id}/{step}/all/1.json"))
            found = rows.where(f"run_id = '{run_id}' AND step = '{step}'").collect()
            assert len(found) == len(receipt["results"]) > 0
            names = ("dataset", "expectation", "column", "severity", "success", "waived")
            assert sorted(str([row[name] for name in names]) for row in found) == sorted(
                str([result[name] for name in names]) for result in receipt["results"]
            )
            assert {(row.data_date, row.verdict, row.attempt) for row in found} == {(day, receipt["verdict"], 1)}
            assert {row.measured_at.replace(tzinfo=UTC) for row in found} == {
                datetime.fromisoformat(receipt["started_at"])
            }
    assert audit(ready, "step", "verdict", "column", "severity", "observed") == [
        ("check_bronze", "WARN", "GBP", "warn", '{"rows": 1, "unexpected": 1}')
    ]


def test_the_audit_keeps_its_contract(ready):
    rows = ready.spark.read.format("delta").load(str(ready.folder / "quality/results")).collect()
    validator = Draft202012Validator(contracts.load("quality_results").schema, format_checker=FormatChecker())
    for row in rows:
        document = row.asDict() | {"data_date": str(row.data_date), "measured_at": row.measured_at.isoformat() + "Z"}
        assert list(validator.iter_errors(document)) == []
        json.loads(row.observed)
        json.loads(row.expected)


def test_a_check_done_again_adds_no_row_and_another_attempt_its_own(ready, built):
    keys = built["keys"][:2]
    before = delta_log.latest_version(ready.store, "quality/results")
    ready.job(DAY_2, "check_bronze", receipts=keys)
    assert delta_log.latest_version(ready.store, "quality/results") == before
    ready.job(DAY_2, "check_bronze", receipts=keys, attempt=2)
    assert audit(ready, "step", "attempt") == [("check_bronze", 1), ("check_bronze", 2)]


def test_a_waived_failure_passes_and_says_who_let_it(published):
    file = published.deliver(DAY_2, [{"Date": "2026-07-29", "USD": "10.8", "GBP": "0.9"}])
    keys, verdicts = published.until_publish(DAY_2, [file])
    assert verdicts == ["PASS", "FAIL", "PASS"]
    given = [waiver(RATE), waiver("fx_rates_silver:expect_column_values_to_be_between:currency")]
    receipt = published.job(DAY_2, "check_silver", receipts=keys[:3], attempt=2, round_=1, waivers=given)
    assert receipt["verdict"] == "PASS_WITH_WAIVER"
    assert receipt["waivers"] == given[:1]
    assert [(each["column"], each["success"]) for each in receipt["results"] if each["waived"]] == [("rate", False)]
    assert audit(published, "attempt", "column", "waived", "verdict") == [
        (1, "rate", False, "FAIL"),
        (2, "rate", True, "PASS_WITH_WAIVER"),
    ]


def test_a_row_that_breaks_its_contract_is_not_waived(published):
    keys = published.until_publish(DAY_2, [published.deliver(DAY_2, RATES_2)])[0][:3]
    written = next(
        each for each in json.loads(published.store.get(keys[2]))["tables"] if each["table"] == "silver/fx_rates"
    )
    path = str(published.folder / written["path"])
    rows = published.spark.read.parquet(path).withColumn("rate", -sf.col("rate")).localCheckpoint()
    rows.write.mode("overwrite").parquet(path)
    given = [waiver("fx_rates_silver:row_rule_exclusiveMinimum:rate"), waiver(RATE)]
    receipt = published.job(DAY_2, "check_silver", receipts=keys, attempt=2, waivers=given)
    assert receipt["verdict"] == "FAIL"
    failed = {each["expectation"]: each["waived"] for each in receipt["results"] if not each["success"]}
    assert failed["row_rule_exclusiveMinimum"] is False


def test_an_audit_that_cannot_be_written_fails_the_check(ready, built):
    log = ready.folder / "quality/results/_delta_log"
    shutil.rmtree(log)
    log.write_text("not a folder")
    receipt = ready.job(DAY_2, "check_bronze", receipts=built["keys"][:2], attempt=2)
    assert (receipt["status"], receipt["error"]) == ("FAILED", "SourceUnavailableError")
    assert "quality/results: what earlier runs observed cannot be read" in receipt["cause"]
    receipt = ready.job(DAY_2, "check_gold", receipts=built["keys"], attempt=2)  # which compares with nothing
    assert (receipt["status"], receipt["error"]) == ("FAILED", "SourceUnavailableError")
    assert "quality/results: the results of check_gold, attempt 2, could not be written" in receipt["cause"]


def test_silver_and_gold_gates_close_on_what_the_contracts_refuse(published):
    file = published.deliver(DAY_2, [{"Date": "2026-07-29", "USD": "10.8", "GBP": "0.0000001"}])
    _, verdicts = published.until_publish(DAY_2, [file])
    assert verdicts == ["PASS", "FAIL", "FAIL"]
    assert published.gold() == GOLD_1


def test_a_changed_order_changes_its_old_day_and_takes_the_empty_row_away(ready, built):
    ready.job(DAY_2, "publish_gold", receipts=built["keys"])
    day_3 = date(2026, 7, 30)
    # order 5 turns out to be in dollars, so no order in pounds is left on that day; no rates came in
    ready.orders = [order(5, DAY_2, "USD", "12.00", updated=day_3)]
    keys, verdicts = ready.until_publish(day_3)
    assert verdicts == ["WARN", "PASS", "PASS"]
    assert ready.job(day_3, "publish_gold", receipts=keys)["published"] is True
    assert ready.gold() == [*GOLD_1, gold_row(29, "USD", 2, "1.2", 29, "110.00")]
    assert len(ready.rows("silver/orders", "order_id")) == 5


def test_a_missing_receipt_never_passes(published):
    receipt = published.job(DAY_2, "check_bronze", receipts=["runs/none.json"])
    assert (receipt["status"], receipt["error"]) == ("FAILED", "ReceiptMissingError")
    receipt = published.job(DAY_2, "check_silver")
    assert receipt["error"] == "ReceiptMissingError"
