"""A silver table restored from bronze by the very job: equal to what it was, whatever its runs went through."""

import hashlib
import json
import shutil
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from delta.tables import DeltaTable
from pyspark.sql import functions as sf
from spark_day import DAY_1, DAY_2, World, first_day, gold_row, order
from spark_session import quiet, spark  # noqa: F401
from test_spark_arrivals import late, until_silver
from test_spark_rejections import RATE, rejection

from contracts import contract as contracts
from spark_jobs import publish, restore
from spark_jobs.delta_log import latest_version, read_commit
from spark_jobs.lake import RETENTION_DAYS

pytestmark = quiet
DAY_3, DAY_4 = DAY_2 + timedelta(days=1), DAY_2 + timedelta(days=2)
ORDERS, RATES = "silver/orders", "silver/fx_rates"
RUN_2, RUN_3 = "20260730T060000Z-0000", "20260731T060000Z-0000"
HOW = {"run": "aaaa", "receipts": [], "files": []}


@pytest.fixture(scope="module")
def lived(spark, tmp_path_factory):  # noqa: F811
    """A lake whose runs went through what runs go through."""
    folder = tmp_path_factory.mktemp("lakes") / "lived"
    with pytest.MonkeyPatch.context() as patch:
        world = first_day(spark, folder, patch)
        second_day(world)
        arrivals(world)
        held(world)
        third_day(world, patch)
    return folder


def second_day(world):
    """A gate closes on a rate of ten dollars, and opens once a person has rejected it; an old order is corrected."""
    world.orders += [order(1, date(2026, 7, 27), "USD", "101.00", updated=DAY_2)]
    file = world.deliver(DAY_2, [{"Date": "2026-07-29", "USD": "10.8", "GBP": "0.9"}])
    _, verdicts = world.until_publish(DAY_2, [file])
    assert verdicts[1] == "FAIL"
    how = {"attempt": 2, "round_": 1, "rejections": [rejection(RATE)]}
    keys, verdicts = world.until_publish(DAY_2, [file], **how)
    assert verdicts[1] in ("PASS", "WARN")
    assert world.job(DAY_2, "publish_gold", receipts=keys, **how)["published"] is True


def arrivals(world):
    """A corrected rate of the first day comes late, in a file of its own."""
    until_silver(world, DAY_1, [late(world, DAY_1, [{"Date": "2026-07-28", "USD": "1.9", "GBP": "0.5"}])])


def held(world):
    """A run that a gate held for good, and its place nobody took: what it brought is in bronze, and never in silver."""
    orders, world.orders = world.orders, [order(3, DAY_1, "EUR", "999.00", updated=DAY_3)]
    world.until_publish(DAY_3, [late(world, DAY_3, [{"Date": "2026-07-30", "USD": "9.9"}], hour=23)], run="dead")
    world.orders = orders


def third_day(world, patch):
    """The database is read twice, as a gate sent the run back; the publish dies before its receipt, and that is all."""
    world.orders += [order(6, DAY_3, "GBP", "7.00"), order(2, DAY_1, "USD", "1.00", updated=DAY_3)]
    world.until_publish(DAY_3)
    world.orders[-1] = order(2, DAY_1, "USD", "111.00", updated=DAY_3)
    keys, _ = world.until_publish(DAY_3, attempt=2, round_=1)
    write = publish._receipt

    def dies(*_):
        raise KeyboardInterrupt

    patch.setattr(
        publish, "_receipt", lambda job, each, *rest: (dies if each.table == ORDERS else write)(job, each, *rest)
    )
    with pytest.raises(KeyboardInterrupt):
        world.job(DAY_3, "publish_gold", receipts=keys, attempt=2, round_=1)
    patch.setattr(publish, "_receipt", write)


@pytest.fixture
def world(lived, spark, tmp_path, monkeypatch):  # noqa: F811
    return World(spark, Path(shutil.copytree(lived, tmp_path / "lake")), monkeypatch)


def digest(world, table):
    """A hash of a table's rows, in every column of its contract."""
    columns = [name for name, _ in contracts.of_table(table).columns]
    return hashlib.sha256(repr(world.rows(table, *columns)).encode()).hexdigest()


def spoil(world, table):
    """Strays: rows are deleted, some are changed, and one is made up, on a day that has no other."""
    target = DeltaTable.forPath(world.spark, str(world.folder / table))
    key, day, column = ("order_id", "order_date", "amount") if table == ORDERS else ("currency", "rate_date", "rate")
    target.delete(sf.col(day) == date(2026, 7, 29))
    target.update(sf.col(day) == date(2026, 7, 28), {column: sf.col(column) * 7})
    made_up = {key: sf.lit(77).cast("bigint") if table == ORDERS else sf.lit("CHF"), day: sf.lit(date(2026, 6, 1))}
    rows = target.toDF().limit(1).withColumns(made_up).localCheckpoint()
    rows.write.format("delta").mode("append").save(str(world.folder / table))


def restored(world, table, attempt=1, **said):
    return world.job(DAY_4, "restore_silver", table.removeprefix("silver/"), attempt=attempt, **HOW, **said)


@pytest.mark.parametrize("table", [ORDERS, RATES])
def test_a_restored_table_equals_what_it_was(world, table):
    wanted, rows = digest(world, table), world.rows(table)
    spoil(world, table)
    assert digest(world, table) != wanted
    before = latest_version(world.store, table)
    receipt = restored(world, table)
    assert receipt["status"] == "SUCCEEDED", receipt.get("cause")
    assert world.rows(table) == rows
    assert digest(world, table) == wanted
    [told] = receipt["tables"]
    assert (told["version_before"], told["version_after"]) == (before, before + 1)
    # again, as after a lost answer: it finds its commit, and commits no other
    again = restored(world, table, attempt=2)
    assert again["tables"] == receipt["tables"]
    assert latest_version(world.store, table) == before + 1


def test_the_fixture_has_each_kind_of_row_that_must_stay_out(world):
    """Else the tests of equality could not fail."""
    bronze = world.rows("bronze/snowflake_orders", "order_id", "_attempt", "_run_id", "total_price")
    assert (3, 1, "20260731T060000Z-dead", Decimal("999.00")) in bronze
    assert {(2, 1, RUN_3, Decimal("1.00")), (2, 2, RUN_3, Decimal("111.00"))} <= set(bronze)
    amounts = dict(world.rows(ORDERS, "order_id", "amount"))
    assert (amounts[1], amounts[2], amounts[3]) == (Decimal("101.00"), Decimal("111.00"), Decimal("5.00"))
    assert not world.store.names(f"runs/{RUN_3}/publish_gold/all")
    rates = world.rows(RATES, "rate_date", "currency", "rate")
    assert (date(2026, 7, 29), "GBP", Decimal("0.9")) in rates
    assert (date(2026, 7, 28), "USD", Decimal("1.9")) in rates
    assert not [row for row in rates if row[2] > 9]


def test_a_table_that_is_gone_is_restored(world):
    """Without its log, the receipts alone tell what was published: a run that left none is not among it."""
    amounts = dict(world.rows(ORDERS, "order_id", "amount"))
    shutil.rmtree(world.folder / ORDERS)
    world.spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
    assert restored(world, ORDERS)["status"] == "SUCCEEDED"
    del amounts[6]
    assert dict(world.rows(ORDERS, "order_id", "amount")) == amounts | {2: Decimal("110.00")}


def test_a_table_that_is_as_it_should_be_gets_no_commit(world):
    before = latest_version(world.store, ORDERS)
    receipt = restored(world, ORDERS)
    assert (receipt["status"], receipt["verdict"]) == ("SUCCEEDED", "PASS")
    assert receipt["tables"][0]["rows"] == 0
    assert latest_version(world.store, ORDERS) == before


def test_a_restore_is_judged_and_on_record_before_it_commits(world, monkeypatch):
    spoil(world, ORDERS)
    before = latest_version(world.store, ORDERS)
    standardise = restore.SILVER_TABLES[1].standardise
    broken = restore.replace(
        restore.SILVER_TABLES[1],
        standardise=lambda rows: standardise(rows).withColumn("currency", sf.lit("XAU")),
    )
    monkeypatch.setattr(restore, "SILVER_TABLES", (restore.SILVER_TABLES[0], broken))
    receipt = restored(world, ORDERS)
    assert (receipt["status"], receipt["error"]) == ("FAILED", "QualityGateClosedError")
    name = "orders_silver:expect_column_values_to_exist_in_table:currency"
    assert name in receipt["cause"]
    assert latest_version(world.store, ORDERS) == before
    audit = world.spark.read.format("delta").load(str(world.folder / "quality/results"))
    found = audit.where("step = 'restore_silver' AND NOT success").select("expectation", "verdict").collect()
    assert ("expect_column_values_to_exist_in_table", "FAIL") in {tuple(row) for row in found}
    waived = {"id": "w", "expectation": name, "reason": "r", "by": "Ada", "until": "2026-08-01T06:00:00Z"}
    receipt = restored(world, ORDERS, attempt=2, waivers=[waived])
    assert (receipt["status"], receipt["verdict"]) == ("SUCCEEDED", "PASS_WITH_WAIVER")
    assert receipt["waivers"] == [waived]
    assert {row[0] for row in world.rows(ORDERS, "currency")} == {"XAU"}


def test_from_a_run_goes_back_to_before_it_and_applies_it_and_the_later_ones(world):
    wanted = digest(world, ORDERS)
    spoil(world, ORDERS)
    receipt = restored(world, ORDERS, upkeep={"from_run": RUN_2})
    assert receipt["status"] == "SUCCEEDED", receipt.get("cause")
    assert digest(world, ORDERS) == wanted


def test_from_a_run_keeps_what_was_wrong_before_it(world):
    """So that it is known what it is for: the rows of before come from the table, not from bronze."""
    spoil(world, ORDERS)
    world.orders = [order(8, DAY_4, "USD", "8.00")]
    keys, _ = world.until_publish(DAY_4)
    world.job(DAY_4, "publish_gold", receipts=keys)
    spoilt = digest(world, ORDERS)
    receipt = restored(world, ORDERS, upkeep={"from_run": "20260801T060000Z-0000"})
    assert (receipt["status"], receipt["tables"][0]["rows"]) == ("SUCCEEDED", 0)
    assert digest(world, ORDERS) == spoilt


@pytest.mark.parametrize(
    ("run_id", "days", "words"),
    [
        pytest.param("20260731T060000Z-dead", 0, "holds no commit by which run", id="never-published"),
        pytest.param(RUN_2, RETENTION_DAYS + 2, "files that left a table are kept for 30 days", id="too-long-ago"),
    ],
)
def test_a_run_that_cannot_be_gone_back_to_is_refused(world, monkeypatch, run_id, days, words):
    class Later(restore.datetime):
        @classmethod
        def now(cls, zone):
            return super().now(zone) + timedelta(days=days)

    monkeypatch.setattr(restore, "datetime", Later)
    receipt = restored(world, ORDERS, upkeep={"from_run": run_id})
    assert (receipt["status"], receipt["error"]) == ("FAILED", "InvalidRequestError")
    assert words in receipt["cause"]
    assert "without --from" in receipt["cause"]


def test_no_other_table_is_restored(world):
    receipt = restored(world, "silver/customers")
    assert (receipt["error"], receipt["cause"][:10]) == ("InvalidRequestError", "customers:")


def test_a_published_run_without_receipts_stops_the_restore(world):
    shutil.rmtree(world.folder / f"runs/{RUN_2}/ingest")
    receipt = restored(world, ORDERS)
    assert (receipt["status"], receipt["error"]) == ("FAILED", "ReceiptMissingError")
    assert f"run {RUN_2} was published" in receipt["cause"]


@pytest.mark.parametrize("table", [ORDERS, pytest.param(RATES, marks=pytest.mark.slow)])
def test_gold_that_was_built_on_a_spoilt_table_is_right_after_the_next_run(world, table):
    """Days that lost rows, days of changed ones, and a day that has no row any more."""
    finish_third_day(world)
    right = {each.name: everything(world, each.name) for each in publish.gold_tables(_Takes())}
    spoil(world, table)
    note = json.dumps({"run_id": "20260731T070000Z-stray", "days": ["2026-06-01", "2026-07-29"]})
    path = world.folder / table
    # the strays come as a run's, so that gold is built on them
    rows = world.spark.read.format("delta").load(str(path)).withColumn("_run_id", sf.lit("20260731T070000Z-stray"))
    rows.localCheckpoint().write.format("delta").mode("overwrite").option("userMetadata", note).save(str(path))
    world.orders = []
    publish_day(world, DAY_4)
    wrong = {name: everything(world, name) for name in right}
    assert wrong["gold/fct_orders"] != right["gold/fct_orders"]
    assert restored(world, table)["status"] == "SUCCEEDED"
    publish_day(world, DAY_4 + timedelta(days=1))
    assert {name: everything(world, name) for name in right} == right
    # and the run after that looks at no day of it any more
    before = {name: latest_version(world.store, name) for name in right}
    publish_day(world, DAY_4 + timedelta(days=2))
    assert {name: latest_version(world.store, name) for name in right} == before


class _Takes:
    """All sources of the world."""

    class request:  # noqa: N801
        @staticmethod
        def takes(source):
            return source in ("fx_rates", "snowflake_orders")


def everything(world, table):
    return world.rows(table, *(name for name, _ in contracts.of_table(table).columns if name != "_run_id"))


def finish_third_day(world):
    """Its publish again, as a redrive would."""
    keys = [
        f"runs/{RUN_3}/{step}/{subject}/2.json"
        for step, subject in (
            ("ingest", "fx_rates"),
            ("ingest", "snowflake_orders"),
            ("bronze_to_silver", "all"),
            ("silver_to_gold", "all"),
        )
    ]
    receipt = world.job(DAY_3, "publish_gold", receipts=keys, attempt=3, round_=1)
    assert receipt["published"] is True
    assert gold_row(30, "GBP", 1, "0.9", 29, "7.78") in world.gold()


def publish_day(world, day):
    keys, _ = world.until_publish(day)
    assert world.job(day, "publish_gold", receipts=keys)["published"] is True


def test_a_run_under_way_builds_on_the_restored_table(world):
    finish_third_day(world)
    spoil(world, ORDERS)
    world.orders = [order(9, DAY_4, "USD", "2.00")]
    keys, _ = world.until_publish(DAY_4)
    assert restored(world, ORDERS)["status"] == "SUCCEEDED"
    assert world.job(DAY_4, "publish_gold", receipts=keys)["published"] is False
    how = {"attempt": 2, "round_": 1}
    keys = [*keys[:2], world.job(DAY_4, "bronze_to_silver", receipts=keys[:2], **how)["key"]]
    keys.append(world.job(DAY_4, "silver_to_gold", receipts=keys, **how)["key"])
    assert world.job(DAY_4, "publish_gold", receipts=keys, **how)["published"] is True
    assert len(world.rows(ORDERS, "order_id")) == 7
    note = read_commit(world.store, ORDERS, latest_version(world.store, ORDERS) - 1).note
    assert (note["restored"], note["days"]) == (True, ["2026-06-01", "2026-07-29"])
