"""The audit's writer over the embedded S3: several checks append at once, and none of their rows is lost or doubled."""

import concurrent.futures
import multiprocessing
import os
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal

import deltalake
import pytest
from deltalake.exceptions import CommitFailedError

from contracts.errors import SourceUnavailableError
from local.processes import free_port, wait_for_port
from spark_jobs import quality_results
from spark_jobs.request import Request
from spark_jobs.storage import S3Store

APPENDS = 12
SERVE = "import sys; from ministack import app; sys.argv = ['ministack']; app.main()"


def request(run, attempt):
    return Request(
        run_id=f"20260731T060000Z-{run}", step="check_gold", subject="all", attempt=attempt, round=0, redrive_count=0,
        data_date=date(2026, 7, 30), interval_start=None, interval_end=datetime(2026, 7, 31, tzinfo=UTC), lake="s3://lake",
        receipt_key="", receipts=(), files=(), secret_arn=None, input_digest="d", fail_from={},
    )  # fmt: skip


def append(run, attempt, rows=2):
    """One attempt's rows, as a check writes them."""
    asked = request(run, attempt)
    row = {
        "run_id": asked.run_id, "data_date": asked.data_date, "step": asked.step, "round": 0, "attempt": attempt,
        "dataset": "fct_daily_revenue_gold", "version": "1-0-0", "column": None, "severity": "error", "success": True,
        "waived": False, "verdict": "PASS", "observed": "{}", "expected": "{}", "measured_at": datetime.now(UTC),
    }  # fmt: skip
    quality_results.append(S3Store("lake"), asked, [row | {"expectation": f"expect_{each}"} for each in range(rows)])


def append_attempts(run):
    """What one process does; the processes start on a table that is not there yet."""
    for attempt in range(1, APPENDS + 1):
        append(run, attempt)


@pytest.fixture
def lake(monkeypatch, tmp_path):
    """The embedded S3 with an empty bucket, as this process and its children see it."""
    port = free_port()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    settings = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "MINISTACK_REGION": "eu-west-1"}
    settings |= {"IOT_MTLS_ENABLED": "0", "LOG_LEVEL": "WARNING", "TMPDIR": str(tmp_path)}
    server = subprocess.Popen([sys.executable, "-c", SERVE], env=inherited | settings)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "canary-secret",
        "AWS_SESSION_TOKEN": "canary-token",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }.items():
        monkeypatch.setenv(name, value)
    try:
        assert wait_for_port(port, 30)
        store = S3Store("lake")
        store._s3.create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        yield store
    finally:
        server.terminate()
        server.wait(timeout=30)


def table(store):
    return deltalake.DeltaTable(f"{store.root}/quality/results", storage_options=store.options())


def test_writers_at_once_lose_and_double_nothing(lake):
    """Two runs, and a driver of the first that is started twice: every attempt is there once, in one commit."""
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=append_attempts, args=(run,)) for run in ("aa", "bb", "aa")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    found = table(lake)
    rows = found.to_pyarrow_table(columns=["run_id", "attempt", "expectation"]).to_pylist()
    assert sorted(tuple(row.values()) for row in rows) == [
        (f"20260731T060000Z-{run}", attempt, f"expect_{each}")
        for run in ("aa", "bb")
        for attempt in range(1, APPENDS + 1)
        for each in range(2)
    ]
    assert found.version() == 2 * APPENDS  # the first commit makes the table
    names = lake.names("quality/results/_delta_log")
    assert len([name for name in names if name.endswith(".json")]) == 2 * APPENDS + 1  # a checkpoint takes none away


def test_twins_that_find_no_table_write_once(lake):
    """The moment at which the table is made: nobody has read a version that a commit could be held against."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=6) as pool:
        for done in [pool.submit(append, "aa", 1) for _ in range(6)]:
            done.result()
    assert sorted(table(lake).to_pyarrow_table().column("expectation").to_pylist()) == ["expect_0", "expect_1"]


def test_rows_that_are_written_stay(lake):
    append("aa", 1)
    with pytest.raises(CommitFailedError, match="append-only"):
        table(lake).delete("attempt = 1")
    assert table(lake).to_pyarrow_table().num_rows == 2


def test_a_bucket_that_is_not_there_is_said_without_its_secrets(lake):
    with pytest.raises(SourceUnavailableError, match=r"quality/results: .* could not be written") as refused:
        quality_results.append(S3Store("elsewhere"), request("aa", 1), [])
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param({"rows": 3, "unexpected": 0}, '{"rows": 3, "unexpected": 0}', id="counts"),
        pytest.param(None, "null", id="nothing"),
        pytest.param([float("nan"), float("-inf"), 1.5], '["nan", "-inf", 1.5]', id="no-number-of-json"),
        pytest.param({"max_value": Decimal("0.10")}, '{"max_value": "0.10"}', id="exact"),
        pytest.param({"max_value": date(2026, 7, 30)}, '{"max_value": "2026-07-30"}', id="day"),
        pytest.param({"value_set": ["ü", "€"]}, '{"value_set": ["ü", "€"]}', id="text"),
    ],
)
def test_what_was_measured_is_written_as_json(value, text):
    assert quality_results._json(value) == text


def test_small_files_are_packed_while_checks_append_and_no_row_is_lost_or_doubled(lake, monkeypatch):
    """A file for each of the attempts becomes one; what is appended meanwhile stands, and an attempt again adds none."""
    assert not quality_results.pack(S3Store("lake"), request("0000", 1))  # no table yet
    append_attempts("0000")
    assert not quality_results.pack(S3Store("lake"), request("0000", 1))  # few files
    monkeypatch.setattr(quality_results, "FEWEST_FILES", 5)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        appending = pool.submit(append_attempts, "0001")
        for _ in range(3):
            pool.submit(quality_results.pack, S3Store("lake"), request("0002", 1)).result()
        appending.result()
    quality_results.pack(S3Store("lake"), request("0002", 1))
    append("0000", 1)
    table = deltalake.DeltaTable("s3://lake/quality/results", storage_options=S3Store("lake").options())
    assert len(table.file_uris()) == 1
    rows = table.to_pyarrow_table(columns=["run_id", "attempt", "expectation"]).to_pylist()
    assert len({tuple(row.values()) for row in rows}) == len(rows) == 2 * 2 * APPENDS
    last = next(each for each in table.history() if each["operation"] == "OPTIMIZE")
    assert '"run_id": "20260731T060000Z-0002"' in last["userMetadata"]
