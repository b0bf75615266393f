"""The jobs of a first load against one hand-written script: the same tables, in one process, by turns.

`medallion.py SCALE ROUNDS SOURCE...` prints the seconds of each in each round, as JSON. Both read their sources from
the same Parquet files, so sources cost both the same, and each round begins with an empty lake. The tables must be
equal.
"""

from __future__ import annotations

import datetime
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf

from contracts import contract as contracts
from contracts.contract import Contract
from contracts.waiving import result_name
from local.once import once
from local.standins import tpch, vendor
from ops.bench import bare_medallion
from ops.bench.bare_medallion import Sources
from ops.bench.lakes import BenchLake, Day, forget, reading
from ops.bench.session import new_session
from ops.errors import OpsError
from ops.package import ROOT
from spark_jobs.bronze_to_silver import SILVER_TABLES
from spark_jobs.gold_tables import GOLD_TABLES
from spark_jobs.job import Job

FOLDER = ROOT / "build" / "bench"
UNTIL = datetime.date(2026, 7, 30)
RECEIVED_AT = f"{UNTIL}T16:00:00Z"
SQL = {
    "snowflake_orders": tpch.ORDERS_SQL,
    "redshift_products": tpch.PRODUCTS_SQL,
    "redshift_part_supply": tpch.PART_SUPPLY_SQL,
    "redshift_order_lines": tpch.ORDER_LINES_SQL,
}
# The company of the sample has no such days; one of ten times its size has.
TOO_LARGE = (result_name("fct_daily_revenue_gold", "expect_column_values_to_be_between", "revenue_eur"),)
# The flags of a JVM that works for a minute: unlike a day's jobs, it earns back what its second compiler costs.
JAVA = "-XX:+UseParallelGC -Xss4m -Duser.timezone=UTC"


def made_sources(scale: float, names: Sequence[str]) -> Sources:
    """TPC-H moved to the present as Parquet files, and the ECB's file; made on first use."""

    def generate(folder: Path) -> None:
        tool = [str(Path(sys.executable).with_name("tpchgen-cli")), "parquet", "-s", str(scale), "--quiet"]
        tables = "orders,customer,nation,part,partsupp,lineitem"
        subprocess.run([*tool, f"--tables={tables}", f"--output-dir={folder}"], check=True, capture_output=True)

    raw = once(FOLDER / f"tpch-{scale}", generate)

    def load(name: str, file: Path) -> None:
        # every constant is of the stand-in's module
        moments = "REPLACE (updated_at::TIMESTAMPTZ AS updated_at)"
        query = (
            f"SELECT * {moments} FROM ({SQL[name].format(folder=raw)}) WHERE updated_at < TIMESTAMP '{UNTIL} 23:59:59'"  # noqa: S608
        )
        duckdb.sql("SET TimeZone = 'UTC'")
        duckdb.sql(f"COPY ({query}) TO '{file}' (FORMAT parquet)")

    tables = {
        name: once(FOLDER / f"{name}-{scale}.parquet", lambda file, name=name: load(name, file))  # type: ignore[misc]
        for name in names
        if name in SQL
    }
    lines = vendor.history()
    rates = FOLDER / f"eurofxref-{UNTIL}.csv"
    rates.parent.mkdir(parents=True, exist_ok=True)
    rates.write_text("\n".join([lines[0], *(line for line in lines[1:] if line[:10] <= str(UNTIL))]) + "\n")
    return Sources(tables=tables, rates=rates, received_at=RECEIVED_AT)


def by_the_platform(spark: SparkSession, sources: Sources, folder: Path, names: Sequence[str]) -> dict[str, float]:
    """A first load by the jobs; the seconds of each step."""
    seconds: dict[str, float] = {}

    def timed(step: str, work: Callable[[], None]) -> None:
        started = time.perf_counter()
        work()
        seconds[step] = time.perf_counter() - started

    def read(job: Job, contract: Contract) -> DataFrame:
        rows = job.lake.spark.read.parquet(str(sources.tables[contract.source_name]))
        return rows.withColumns({"_file": sf.lit(None).cast("string"), "_received_at": sf.col("updated_at")})

    content = sources.rates.read_bytes()
    lake = BenchLake(spark=spark, folder=folder, sources=names, waived=TOO_LARGE, around=timed)
    key = f"{vendor.PREFIX}{sources.rates.name}"
    lake.store.put(key, content)
    file = {"key": key, "etag": None, "size": len(content), "modified_at": sources.received_at}
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    with reading({"snowflake": read, "redshift": read}):
        lake.run(Day(date=UNTIL, opened_at=now, files=[file], whole=True))
    return seconds


def differing(spark: SparkSession, one: Path, other: Path) -> list[str]:
    """The tables of silver and gold, and the rows of bronze, in which two lakes differ, whatever the rows' order."""
    found = []
    for table in sorted(path.parent.relative_to(one) for path in one.glob("*/*/_delta_log")):
        contract = contracts.of_table(str(table)) if str(table) in _MODEL else None
        frames = [spark.read.format("delta").load(str(folder / table)) for folder in (one, other)]
        given = contract.fields if contract else [f for f in frames[1].schema if not f.name.startswith("_")]
        names = [field.name for field in given if not field.name.startswith("_")]
        if _digest(frames[0], names) != _digest(frames[1], names):
            found.append(str(table))
    return found


_MODEL = {table.name for table in (*SILVER_TABLES, *GOLD_TABLES)}


def _digest(rows: DataFrame, names: Sequence[str]) -> Any:
    """How many rows there are, and a sum over their values, which knows no order."""
    value = sf.xxhash64(*(sf.col(name).cast("string") for name in names)).cast("decimal(38,0)")
    return rows.agg(sf.count("*"), sf.sum(value)).first()


def main() -> None:
    """Both in every round, in turn."""
    scale, rounds, names = float(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    sources = made_sources(scale, names)
    seconds: dict[str, list[Any]] = {"bare": [], "platform": [], "steps": []}
    with tempfile.TemporaryDirectory() as scratch:
        more = {"spark__driver__extraJavaOptions": JAVA, "spark__sql__shuffle__partitions": "8"}
        spark = new_session(Path(scratch), driver_memory="6g", **more)
        for turn in range(rounds + 1):
            bare, platform = (Path(scratch) / name for name in ("bare", "platform"))
            forget(spark)
            started = time.perf_counter()
            bare_medallion.build(spark, sources, bare)
            took = time.perf_counter() - started
            started = time.perf_counter()
            steps = by_the_platform(spark, sources, platform, names)
            ours = time.perf_counter() - started
            sys.stderr.write(f"medallion: round {turn} of {rounds}: by hand {took:.1f} s, by the jobs {ours:.1f} s\n")
            sys.stderr.write("".join(f"  {step}: {spent:.1f} s\n" for step, spent in steps.items()))
            if not turn and (tables := differing(spark, bare, platform)):
                raise OpsError(f"the script and the jobs do not agree on {', '.join(tables)}: nothing to compare")
            if turn or not rounds:
                seconds["bare"].append(took)
                seconds["platform"].append(ours)
                seconds["steps"].append(steps)
            shutil.rmtree(bare)
            shutil.rmtree(platform)
        spark.stop()
    sys.stdout.write(json.dumps(seconds))


if __name__ == "__main__":
    main()
