"""A publish whose driver is killed at a random moment, in the midst of silver or after it, is finished by another."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path

import gold_lines
import pytest
from gold_lines import GOLD, SILVER, Shop
from spark_day import DAY_1, DAY_2, RATES_2, TABLES, order, publish_first_day
from spark_session import quiet, spark  # noqa: F401

from contracts import contract as contracts

pytestmark = [quiet, pytest.mark.slow]
MOMENTS = 20
DAY = timedelta(days=1)
PUBLISHED = (*SILVER, *GOLD)
SCRIPT = Path(__file__).with_name("killed_publish.py")


@pytest.fixture(scope="module")
def ready(spark, tmp_path_factory):  # noqa: F811
    """A lake with one day published and the next one's candidates, which change rows of silver and gold."""
    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("lakes") / "ready"
    world = Shop(spark, folder, patch)
    found = world.redshift
    found["redshift_products"] = [gold_lines.product(number, DAY_1) for number in (1, 2, 3)]
    found["redshift_part_supply"] = [gold_lines.price(number, 1, "1.00", DAY_1 - 2 * DAY) for number in (1, 2, 3)]
    found["redshift_order_lines"] = [gold_lines.line(sold, 1, 1 + sold[0] % 3) for sold in world.orders]
    publish_first_day(world)
    world.orders = [
        order(1, date(2026, 7, 27), "USD", "101.00", updated=DAY_2),
        order(2, DAY_1, "GBP", "110.00", updated=DAY_2),
        order(4, DAY_2, "USD", "120.00"),
    ]
    found["redshift_products"] = [gold_lines.product(1, DAY_2, name="renamed"), gold_lines.product(4, DAY_2)]
    found["redshift_part_supply"] = [gold_lines.price(1, 1, "2.00", DAY_2), gold_lines.price(4, 1, "2.00", DAY_2)]
    found["redshift_order_lines"] = [gold_lines.line(sold, 1, 1, changed=DAY_2) for sold in world.orders]
    keys, _ = world.until_publish(DAY_2, [world.deliver(DAY_2, [*RATES_2, {"Date": "2026-07-28", "USD": "1.15"}])])
    patch.undo()
    return folder, keys


@pytest.fixture(scope="module")
def expected(ready, spark, tmp_path_factory):  # noqa: F811
    """The tables, and their versions, after a publish that nobody disturbed."""
    world = copied(spark, ready, tmp_path_factory.mktemp("undisturbed") / "lake")
    assert world.job(DAY_2, "publish_gold", receipts=ready[1])["published"] is True
    return tables(world), versions(world.folder, PUBLISHED)


@pytest.fixture(scope="module")
def lasts(ready, tmp_path_factory):
    """How long a publish takes a new driver: until each table has its commit, and in all, in seconds."""
    lake = shutil.copytree(ready[0], tmp_path_factory.mktemp("timed") / "lake")
    with driver(lake, ready[1]) as process:
        before, started, seen = versions(lake), time.monotonic(), {}
        while process.poll() is None and len(seen) < len(TABLES):
            seen |= {
                t: time.monotonic() - started for t, v in versions(lake).items() if v != before[t] and t not in seen
            }
            time.sleep(0.005)
        process.wait(120)
        return seen | {"all": time.monotonic() - started}


def test_the_day_replaces_rows_of_every_table(ready, expected, spark, tmp_path):  # noqa: F811
    """Otherwise the kills below would hit plain appends only."""
    world = copied(spark, ready, tmp_path / "lake")
    world.job(DAY_2, "publish_gold", receipts=ready[1])
    replaced = [commit_info(world.folder, table)["operationParameters"] for table in ("silver/orders", TABLES[2])]
    assert all("_date" in each["predicate"] for each in replaced)
    assert {table for table, version in expected[1].items() if version} > set(TABLES)


@pytest.mark.parametrize("until", ["silver/orders", "all"], ids=["in silver", "anywhere"])
@pytest.mark.parametrize("seed", range(MOMENTS))
def test_a_killed_publish_is_finished_by_the_next_attempt(ready, expected, lasts, spark, tmp_path, until, seed):  # noqa: F811
    world = copied(spark, ready, tmp_path / "lake")
    with driver(world.folder, ready[1]) as process:
        moment = random.Random(f"{until}{seed}").uniform(0, lasts[until])  # noqa: S311
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moment)
        os.killpg(process.pid, signal.SIGKILL)
    done = [table for table, version in versions(world.folder).items() if version]
    receipt = world.job(DAY_2, "publish_gold", receipts=ready[1], attempt=2)
    assert receipt["published"] is True
    assert tables(world) == expected[0], f"killed after {moment:.2f} s, with commits of {done}"
    # one commit a table and step, whoever made it
    assert versions(world.folder, PUBLISHED) == expected[1]


def copied(session, ready, folder):
    patch = pytest.MonkeyPatch()
    world = Shop(session, Path(shutil.copytree(ready[0], folder)), patch)
    patch.undo()
    return world


def tables(world):
    return {table: world.rows(table, *(name for name, _ in contracts.of_table(table).columns)) for table in PUBLISHED}


def versions(lake, of=TABLES):
    return {t: len(list((Path(lake) / t / "_delta_log").glob("*.json"))) - 1 for t in of}


def commit_info(lake, table):
    last = max((lake / table / "_delta_log").glob("*.json"))
    return next(action["commitInfo"] for line in last.open() if "commitInfo" in (action := json.loads(line)))


@contextlib.contextmanager
def driver(lake, keys):
    """A driver that has begun to publish; it and its JVM are gone afterwards."""
    document = Shop.request(Shop.__new__(Shop), DAY_2, "publish_gold", receipts=keys, lake=str(lake))
    request = Path(lake).parent / "request.json"
    request.write_text(json.dumps(document))
    command = [sys.executable, str(SCRIPT), str(lake), str(request)]
    environment = os.environ | {"PYTHONPATH": f"{SCRIPT.parent}{os.pathsep}{SCRIPT.parents[1]}"}
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stdout.readline() == "up\n"
        process.stdin.write("go\n")
        process.stdin.flush()
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdin.close()
        process.stdout.close()
