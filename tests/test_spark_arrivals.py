"""A run that ends at silver, and the gold that the next day's run makes of it, by the very jobs."""

import json
from datetime import UTC, datetime

import pytest
from spark_day import DAY_1, DAY_2, GOLD_1, RATES_2, gold_row
from spark_session import quiet, spark  # noqa: F401
from test_spark_day import built, published, ready  # noqa: F401

from spark_jobs import delta_log, publish

pytestmark = quiet
GOLD = "gold/fct_daily_revenue"
HOW = {"run": "f11e", "sources": ["fx_rates"]}  # a run of a set of arrivals


def until_silver(world, day, files, *, publish_it=True, **how):
    """The steps of a file arrival; the receipts that publishing needs, and the verdicts."""
    how = HOW | how
    keys = [world.job(day, "ingest", "fx_rates", files=files, **how)["key"]]
    verdicts = [world.job(day, "check_bronze", receipts=keys, **how)["verdict"]]
    keys.append(world.job(day, "bronze_to_silver", receipts=keys, **how)["key"])
    verdicts.append(world.job(day, "check_silver", receipts=keys, **how)["verdict"])
    receipt = world.job(day, "publish_silver", receipts=keys, **how) if publish_it else None
    return keys, verdicts, receipt


def late(world, day, rows, hour=20):
    return world.deliver(day, rows, received=datetime(day.year, day.month, day.day, hour, tzinfo=UTC))


def test_a_run_of_one_source_ends_at_silver(published):  # noqa: F811
    before = published.versions()
    file = published.deliver(DAY_2, RATES_2)
    keys, verdicts, receipt = until_silver(published, DAY_2, [file])
    assert verdicts == ["WARN", "PASS"]  # no pound that day
    assert receipt["published"] is True
    assert [each["table"] for each in receipt["tables"]] == ["silver/fx_rates"]
    assert published.versions() == before | {"silver/fx_rates": before["silver/fx_rates"] + 1}
    assert published.gold() == GOLD_1
    again = published.job(DAY_2, "publish_silver", receipts=keys, attempt=2, **HOW)
    assert again["tables"] == receipt["tables"]
    assert published.versions()["silver/fx_rates"] == before["silver/fx_rates"] + 1
    # a receipt that leaves out a table of the run never passes
    for step, receipts, sources in (("check_silver", keys, ["snowflake_orders"]), ("check_bronze", [], ["fx_rates"])):
        left_out = published.job(DAY_2, step, receipts=receipts, attempt=2, run="f11e", sources=sources)
        assert (left_out["status"], left_out["error"]) == ("FAILED", "ReceiptMissingError")


def test_the_next_day_makes_gold_of_what_arrived_for_days_that_gold_has_already(published):  # noqa: F811
    """A corrected rate of the first day comes as a file of its own; the second day has orders, and no file."""
    until_silver(published, DAY_1, [late(published, DAY_1, [{"Date": "2026-07-28", "USD": "2.2", "GBP": "0.5"}])])
    assert published.gold() == GOLD_1
    keys, _ = published.until_publish(DAY_2)
    assert published.job(DAY_2, "publish_gold", receipts=keys)["published"] is True
    corrected = [
        *GOLD_1[:2],
        gold_row(28, "USD", 1, "2.2", 28, "50.00"),
        gold_row(29, "GBP", 1, "0.5", 28, "16.00"),
        gold_row(29, "USD", 1, "2.2", 28, "54.55"),
    ]
    assert published.gold() == corrected
    # and the day after looks at them no more: gold's commit says what it was built on
    versions = published.versions()
    commit = delta_log.read_commit(published.store, GOLD, versions.pop(GOLD))
    assert commit.note["built_on"] == versions


def test_what_arrives_between_building_gold_and_publishing_it_is_built_on(ready, built):  # noqa: F811
    """The candidates of the day stand; then a file arrives; the publish finds silver moved, and gold is rebuilt."""
    file = late(ready, DAY_2, [{"Date": "2026-07-29", "USD": "2.4"}], hour=21)
    assert until_silver(ready, DAY_2, [file])[2]["published"] is True
    assert ready.job(DAY_2, "publish_gold", receipts=built["keys"])["published"] is False
    keys = built["keys"][:3]
    keys.append(ready.job(DAY_2, "silver_to_gold", receipts=keys, attempt=2, round_=1)["key"])
    assert ready.job(DAY_2, "publish_gold", receipts=keys, attempt=2, round_=1)["published"] is True
    assert [row for row in ready.gold() if row[0] == DAY_2] == [
        gold_row(29, "GBP", 1, "0.8", 28, "10.00"),
        gold_row(29, "USD", 1, "2.4", 29, "50.00"),
    ]


@pytest.mark.slow
def test_gold_notes_what_it_was_built_on_and_not_what_came_since(ready, built, monkeypatch):  # noqa: F811
    """Killed after its commits to silver; a file arrives; the publish goes on, and the next day still sees the file."""
    commit = publish._commit

    def killed_before_gold(job, publication, *rest):
        if publication.table.startswith("gold/"):
            raise KeyboardInterrupt
        return commit(job, publication, *rest)

    monkeypatch.setattr(publish, "_commit", killed_before_gold)
    with pytest.raises(KeyboardInterrupt):
        ready.job(DAY_2, "publish_gold", receipts=built["keys"])
    monkeypatch.setattr(publish, "_commit", commit)
    built_on = ready.versions()["silver/fx_rates"]
    until_silver(ready, DAY_2, [late(ready, DAY_2, [{"Date": "2026-07-29", "USD": "2.4"}], hour=21)])
    ready.job(DAY_2, "publish_gold", receipts=built["keys"], attempt=2)
    version = ready.versions()[GOLD]
    noted = delta_log.read_commit(ready.store, GOLD, version).note["built_on"]
    assert noted["silver/fx_rates"] == built_on < ready.versions()["silver/fx_rates"]
    ready.orders = []
    day_3 = DAY_2.replace(day=30)
    keys, _ = ready.until_publish(day_3)
    ready.job(day_3, "publish_gold", receipts=keys)
    assert gold_row(29, "USD", 1, "2.4", 29, "50.00") in ready.gold()


@pytest.mark.slow
def test_gold_of_before_is_brought_up_to_what_arrived(published):  # noqa: F811
    """A commit of gold that says nothing of silver: what ended at silver is all that it can lack."""
    log = published.folder / GOLD / "_delta_log/00000000000000000000.json"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for line in lines:
        if "commitInfo" in line:
            note = json.loads(line["commitInfo"]["userMetadata"])
            del note["built_on"]
            line["commitInfo"]["userMetadata"] = json.dumps(note)
    log.write_text("\n".join(map(json.dumps, lines)) + "\n")
    log.with_name(f".{log.name}.crc").unlink(missing_ok=True)
    until_silver(published, DAY_1, [late(published, DAY_1, [{"Date": "2026-07-28", "USD": "2.2", "GBP": "0.8"}])])
    published.orders = []
    keys, _ = published.until_publish(DAY_2)
    published.job(DAY_2, "publish_gold", receipts=keys)
    assert gold_row(28, "USD", 1, "2.2", 28, "50.00") in published.gold()


def test_silver_that_another_run_moved_is_not_published_on(published):  # noqa: F811
    first = until_silver(published, DAY_2, [published.deliver(DAY_2, RATES_2)], publish_it=False)[0]
    file = late(published, DAY_1, [{"Date": "2026-07-28", "USD": "2.2", "GBP": "0.8"}])
    until_silver(published, DAY_1, [file], run="f22e")
    before = published.versions()
    refused = published.job(DAY_2, "publish_silver", receipts=first, **HOW)
    assert refused["published"] is False
    assert published.versions() == before
    keys = [first[0], published.job(DAY_2, "bronze_to_silver", receipts=first[:1], attempt=2, round_=1, **HOW)["key"]]
    assert published.job(DAY_2, "publish_silver", receipts=keys, attempt=2, round_=1, **HOW)["published"] is True
