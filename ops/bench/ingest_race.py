"""One process, one Spark: `ingest_race.py PORTS` prints rows and seconds of each contestant, by system, as JSON.

The contestants of a system take turns, and must all have the same rows.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa  # type: ignore[import-untyped]
from moto import mock_aws
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf

from contracts import contract as contracts
from local import standins
from local.emr.spark_settings import spark_settings
from ops.bench.ingest import SYSTEMS
from ops.package import ROOT
from spark_jobs import entry
from spark_jobs.lake import Lake
from spark_jobs.request import parse_request
from spark_jobs.row_rules import received_schema
from spark_jobs.sources import redshift, snowflake
from spark_jobs.storage import FolderStore

ROUNDS = 3  # after one that warms up
END = datetime(2026, 9, 1, tzinfo=UTC)


class Contest:
    """The contestants on one system: all rows of one source, by the job, by its reader, and by one thread."""

    def __init__(self, spark: SparkSession, system: str, port: int, folder: Path) -> None:
        self._spark, self._system, self._folder = spark, system, folder
        self._contract = contracts.of_source(SYSTEMS[system])
        self._secret = standins.secret(system, port)
        secrets = boto3.client("secretsmanager", region_name="eu-west-1")
        self._arn = secrets.create_secret(Name=system, SecretString=json.dumps(self._secret))["ARN"]
        self._lakes = 0

    def ingest(self) -> None:
        """The very job, into a lake of its own."""
        self._lakes += 1
        run_id = f"20260901T060000Z-{self._lakes:04}"
        document = {
            "run_id": run_id, "step": "ingest", "subject": self._contract.source_name, "attempt": 1, "round": 0,
            "redrive_count": 0, "data_date": "2026-08-31", "interval": {"start": None, "end": END.isoformat()},
            "lake": str(self._lake), "receipt_key": f"runs/{run_id}/ingest.json", "inputs": {},
            "secret_arn": self._arn, "fail_from": {"error": 1}, "input_digest": "bench",
        }  # fmt: skip
        # the job's log lines are no figures
        with contextlib.redirect_stdout(sys.stderr):
            code = entry.perform(parse_request(json.dumps(document).encode()), FolderStore(self._lake), self._spark)
        if code:
            raise RuntimeError((self._lake / str(document["receipt_key"])).read_text())

    def read(self) -> None:
        """What the reader gives, none of it kept."""
        reader = snowflake.read_relation if self._system == "snowflake" else redshift.read_table
        lake = Lake(self._spark, FolderStore(self._folder), None)  # type: ignore[arg-type]  # for commits alone
        rows = reader(lake, self._contract, self._arn, None, END)
        if rows is None:
            raise RuntimeError(f"{self._system} has no rows")
        rows.write.format("noop").mode("overwrite").save()

    def fetch(self) -> None:
        """All rows by one thread and one connection, none of them kept."""
        if self._system == "snowflake":
            for _ in self._arrow_batches():
                pass
        else:
            self._one_partition().write.format("noop").mode("overwrite").save()

    def rows(self) -> int:
        """How many rows the last ingest brought, which must be those that one thread fetches.

        Raises:
            RuntimeError: they differ.
        """
        names = [field.name for field in self._contract.fields]
        bronze = self._spark.read.format("delta").load(str(self._lake / self._contract.table)).select(*names)
        if self._system == "snowflake":
            fetched = self._spark.createDataFrame(pa.concat_tables(self._arrow_batches()))
            fetched = fetched.toDF(*(name.lower() for name in fetched.columns))
        else:
            fetched = self._one_partition()
        wanted = received_schema(self._contract)
        same = fetched.select(*(sf.col(each.name).cast(each.dataType).alias(each.name) for each in wanted.fields))
        ours, theirs = fingerprint(bronze), fingerprint(same)
        if ours != theirs:
            raise RuntimeError(f"{self._system}: bronze and the rows fetched differ: {ours} and {theirs}")
        return ours[0]

    @property
    def _lake(self) -> Path:
        return self._folder / f"{self._system}-{self._lakes}"

    def _arrow_batches(self) -> Iterator[pa.Table]:
        names = ", ".join(field.name for field in self._contract.fields)
        with closing(snowflake.connect(self._secret)) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(f"SELECT {names} FROM {self._contract.location}")  # noqa: S608 (names of a contract)
            yield from cursor.fetch_arrow_batches()

    def _one_partition(self) -> DataFrame:
        login = redshift.login_of(self._secret)
        query = redshift.query_of(self._contract, None, END)
        properties = {**login.properties, "preferTimestampNTZ": "true"}
        return self._spark.read.jdbc(login.url, f"({query}) AS asked", properties=properties)


def fingerprint(rows: DataFrame) -> tuple[int, int]:
    """How many rows there are, and the sum of their hashes."""
    count, total = rows.agg(sf.count("*"), sf.sum(sf.xxhash64(*rows.columns).cast("decimal(38,0)"))).first() or (0, 0)
    return int(count), int(total or 0)


def race(contest: Contest) -> dict[str, Any]:
    """Rows, and the seconds of each contestant in each round."""
    contestants: Mapping[str, Callable[[], None]] = {
        "ingest": contest.ingest, "read": contest.read, "fetch": contest.fetch,
    }  # fmt: skip
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(ROUNDS + 1):
        for name, run in contestants.items():
            started = time.perf_counter()
            run()
            if number:
                seconds[name].append(time.perf_counter() - started)
    return {"rows": contest.rows(), "seconds": seconds}


def session(scratch: Path) -> SparkSession:
    """The laptop's Spark, on two cores."""
    builder = SparkSession.builder.master("local[2]").appName("ingest race")
    settings = spark_settings(
        jars=ROOT / "build" / "jars", scratch=scratch, endpoint_url="http://127.0.0.1", region="eu-west-1",
        driver_memory="2g",
    )  # fmt: skip
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def main() -> None:
    """Race on each system of the argument, JSON of system to port."""
    os.environ |= {"SPARK_LOCAL_IP": "127.0.0.1", "AWS_DEFAULT_REGION": "eu-west-1"}
    with tempfile.TemporaryDirectory() as name, mock_aws():
        folder = Path(name)
        spark = session(folder / "scratch")
        print(json.dumps({
            system: race(Contest(spark, system, port, folder)) for system, port in json.loads(sys.argv[1]).items()
        }))  # fmt: skip
        spark.stop()


if __name__ == "__main__":
    main()
