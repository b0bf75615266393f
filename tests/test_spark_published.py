"""Which rows of bronze were published, and which commits change rows: told from receipts and logs alone."""

import json

import pytest

from contracts.errors import ReceiptMissingError
from spark_jobs import delta_log, published
from spark_jobs.delta_log import read_commit, read_commits, with_the_same_rows
from spark_jobs.published import Taken, taken
from spark_jobs.storage import FolderStore

TABLE, SOURCE = "silver/orders", "snowflake_orders"
RUN, OTHER = "20260730T060000Z-0000", "20260731T060000Z-0000"


class Lake(FolderStore):
    def receipt(self, run_id, step, subject, attempt, **said):
        document = {"status": "SUCCEEDED", "attempt": attempt, "round": 0, "tables": [], **said}
        self.put(f"runs/{run_id}/{step}/{subject}/{attempt}.json", json.dumps(document).encode())

    def ingest(self, run_id, attempt, round_=0, rows_attempt=None, **said):
        self.receipt(run_id, "ingest", SOURCE, attempt, round=round_, rows_attempt=rows_attempt or attempt, **said)

    def publish(self, run_id, attempt=1, round_=0, step="publish_gold", **said):
        said = {"published": True, "tables": [{"table": TABLE}], **said}
        self.receipt(run_id, step, "all", attempt, round=round_, **said)

    def commit(self, version, *actions, run_id=RUN, step="publish_gold", round_=0, **note):
        said = json.dumps({"run_id": run_id, "step": step, "round": round_, **note})
        info = {"commitInfo": {"timestamp": 1_785_400_000_000 + version, "userMetadata": said}}
        lines = map(json.dumps, (info, *actions))
        self.put(f"{TABLE}/_delta_log/{version:020}.json", "\n".join(lines).encode())


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path)


def found(lake, *run_ids):
    return taken(lake, TABLE, SOURCE, run_ids or (RUN,), read_commits(lake, TABLE))


def test_a_run_that_published_took_the_rows_that_its_ingest_names(lake):
    lake.ingest(RUN, 2, rows_attempt=1)  # a retry that found the commit of the first attempt
    lake.publish(RUN)
    assert found(lake) == [Taken(run_id=RUN, attempt=1)]


@pytest.mark.parametrize(
    "publish",
    [
        pytest.param(None, id="held"),
        pytest.param({"published": False}, id="base-moved"),
        pytest.param({"status": "FAILED"}, id="failed"),
        pytest.param({"tables": [{"table": "silver/fx_rates"}]}, id="other-table"),
    ],
)
def test_a_run_that_did_not_publish_the_table_took_nothing(lake, publish):
    lake.ingest(RUN, 1)
    if publish is not None:
        lake.publish(RUN, **publish)
    assert found(lake) == []


@pytest.mark.parametrize(
    ("round_", "attempts"),
    [pytest.param(0, [1], id="first"), pytest.param(1, [3], id="second"), pytest.param(2, [3], id="later")],
)
def test_a_round_publishes_the_last_ingest_before_it(lake, round_, attempts):
    lake.ingest(RUN, 1)
    lake.ingest(RUN, 2, round_=1, status="FAILED")
    lake.ingest(RUN, 3, round_=1)
    lake.publish(RUN, round_=round_, step="publish_silver")
    assert [each.attempt for each in found(lake)] == attempts


def test_attempts_are_ordered_as_numbers(lake):
    for attempt in (2, 10, 9):
        lake.ingest(RUN, attempt)
    lake.publish(RUN)
    assert [each.attempt for each in found(lake)] == [10]


def test_a_run_that_died_after_its_commit_is_known_from_the_log(lake):
    lake.ingest(RUN, 1)
    lake.ingest(OTHER, 1)
    lake.commit(0, {"add": {"path": "a", "size": 1, "dataChange": True}})
    lake.commit(1, run_id=OTHER, step="restore_silver")
    assert found(lake, RUN, OTHER) == [Taken(run_id=RUN, attempt=1)]
    assert published.committed(lake, SOURCE, read_commits(lake, TABLE)) == [Taken(run_id=RUN, attempt=1)]


def test_a_run_that_committed_in_two_rounds_took_the_rows_of_both(lake):
    lake.ingest(RUN, 1)
    lake.ingest(RUN, 2, round_=1)
    lake.commit(0)
    lake.publish(RUN, attempt=2, round_=1)
    assert [each.attempt for each in found(lake)] == [1, 2]


def test_a_published_run_without_an_ingest_receipt_is_an_error(lake):
    lake.publish(RUN)
    with pytest.raises(ReceiptMissingError, match=f"runs/{RUN}/ingest/{SOURCE}/"):
        found(lake)


def test_rejected_rows_may_stand_under_the_run_that_took_the_place(lake):
    assert published.refused_with(lake, OTHER) == {OTHER}
    lake.receipt(OTHER, "bronze_to_silver", "all", 1, rejections=[{"run_id": RUN}, {"run_id": OTHER}])
    assert published.refused_with(lake, OTHER) == {RUN, OTHER}


ADD, REMOVE = ({name: {"path": "a", "size": 1, "dataChange": False}} for name in ("add", "remove"))


@pytest.mark.parametrize(
    ("actions", "changes"),
    [
        pytest.param([REMOVE, ADD], False, id="packed-anew"),
        pytest.param([{"metaData": {"configuration": {}}}], False, id="a-property"),
        pytest.param([], False, id="nothing"),
        pytest.param([{"add": {"path": "a", "size": 1, "dataChange": True}}], True, id="rows-added"),
        pytest.param([ADD, {"remove": {"path": "a", "dataChange": True}}], True, id="rows-removed"),
        pytest.param([{"add": {"path": "a", "size": 1}}], True, id="not-said"),
        pytest.param([{"txn": {"appId": "x", "version": 1}}], True, id="a-publish-without-rows"),
    ],
)
def test_what_changes_rows(lake, actions, changes):
    lake.commit(0, *actions)
    assert read_commit(lake, TABLE, 0).changes_rows is changes


def test_the_newest_version_with_the_same_rows(lake):
    change = {"add": {"path": "a", "size": 1, "dataChange": True}}
    for version, actions in enumerate([[change], [REMOVE, ADD], [ADD], [change], [ADD]]):
        lake.commit(version, *actions)
    assert [with_the_same_rows(lake, TABLE, version) for version in range(5)] == [2, 2, 2, 4, 4]


def test_commits_are_read_from_a_moment_on(lake):
    for version in range(3):
        lake.commit(version)
    commits = read_commits(lake, TABLE)
    assert [each.version for each in commits] == [0, 1, 2]
    assert read_commits(lake, TABLE, commits[1].committed_at + 2 * delta_log.CLOCK_SKEW) == []
    assert read_commits(lake, "silver/none") == []
