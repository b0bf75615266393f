"""What earlier runs observed is read from the audit, each run once, and only what was not refused."""

import dataclasses
from datetime import UTC, date, datetime, timedelta

import pytest

from contracts import contract as contracts
from contracts.errors import SourceUnavailableError
from spark_jobs import quality_results
from spark_jobs.history import earlier_results
from spark_jobs.request import Request
from spark_jobs.storage import FolderStore

DATASET, COUNT = "snowflake_orders_bronze", "expect_table_row_count_to_be_near_trailing"
NULLS = "expect_column_null_share_to_be_near_trailing"
DAY = date(2026, 7, 31)
CONTRACT = contracts.load(DATASET)


def ago(days):
    return DAY - timedelta(days=days)


def record(
    store, days_ago, observed, *, run=None, attempt=1, hour=6, success=True, waived=False, name=COUNT, column=None
):
    day = ago(days_ago)
    request = Request(
        run_id=run or f"run-{day}", step="check_bronze", subject="all", attempt=attempt, round=0, redrive_count=0,
        data_date=day, interval_start=None, interval_end=datetime(2026, 7, 31, tzinfo=UTC), lake=store.root, receipt_key="",
        receipts=(), files=(), secret_arn=None, input_digest="d", fail_from={},
    )  # fmt: skip
    row = {
        "run_id": request.run_id, "data_date": day, "step": request.step, "round": 0, "attempt": attempt, "dataset": DATASET,
        "version": "1-1-0", "expectation": name, "column": column, "severity": "warn", "success": success, "waived": waived,
        "verdict": "PASS", "observed": observed, "expected": "{}", "measured_at": datetime(2026, 8, 1, hour, tzinfo=UTC),
    }  # fmt: skip
    quality_results.append(store, request, [row])


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path)


def test_no_audit_is_no_history(store):
    assert earlier_results(store, [CONTRACT], DAY) == {}


def test_days_before_count_newest_first(store):
    for days_ago, observed in ((3, "30"), (1, "10"), (2, "20"), (0, "1"), (-1, "2"), (401, "3")):
        record(store, days_ago, observed)
    record(store, 1, "0.5", run="run-nulls", name=NULLS, column="comment")
    record(store, 1, "4", run="run-other", name="expect_table_row_count_to_be_between")
    assert earlier_results(store, [CONTRACT], DAY) == {
        (DATASET, COUNT, None): [10, 20, 30],
        (DATASET, NULLS, "comment"): [0.5],
    }


def test_a_run_counts_once_with_its_last_measurement(store):
    record(store, 1, "900", attempt=1, hour=6, success=False)
    record(store, 1, "10", attempt=2, hour=8)
    assert earlier_results(store, [CONTRACT], DAY) == {(DATASET, COUNT, None): [10]}


def test_what_a_gate_refused_is_not_usual_unless_somebody_waived_it(store):
    record(store, 1, "900", success=False)
    record(store, 2, "800", success=False, waived=True)
    record(store, 3, "10")
    assert earlier_results(store, [CONTRACT], DAY) == {(DATASET, COUNT, None): [800, 10]}


def test_a_contract_that_compares_with_nothing_reads_nothing(tmp_path):
    (tmp_path / "quality/results/_delta_log").mkdir(parents=True)
    (tmp_path / "quality/results/_delta_log/00000000000000000000.json").write_text("{")
    alone = dataclasses.replace(CONTRACT, expectations=())
    assert earlier_results(FolderStore(tmp_path), [alone], DAY) == {}
    with pytest.raises(SourceUnavailableError, match="quality/results: what earlier runs observed cannot be read"):
        earlier_results(FolderStore(tmp_path), [CONTRACT], DAY)
