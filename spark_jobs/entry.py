"""From a request to a receipt: what every job run does around the job itself."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from contracts.errors import AssayError, InvalidRequestError
from spark_jobs import receipts
from spark_jobs.bronze_to_silver import bronze_to_silver
from spark_jobs.check import check_bronze, check_gold, check_silver
from spark_jobs.ingest import ingest
from spark_jobs.job import (
    BRONZE_TO_SILVER,
    CHECK_BRONZE,
    CHECK_GOLD,
    CHECK_SILVER,
    INGEST,
    MAINTAIN,
    PUBLISH_GOLD,
    PUBLISH_SILVER,
    RESTORE_SILVER,
    SILVER_TO_GOLD,
    Job,
    JobCode,
)
from spark_jobs.lake import Lake
from spark_jobs.log import Log
from spark_jobs.maintain import maintain
from spark_jobs.publish import publish_gold, publish_silver
from spark_jobs.receipts import Outcome, Receipts
from spark_jobs.request import Request, parse_request
from spark_jobs.restore import restore_silver
from spark_jobs.silver_to_gold import silver_to_gold
from spark_jobs.sources.rest import told_by_a_task
from spark_jobs.storage import Store, read_uri, store_at

JOBS: Mapping[str, JobCode] = {
    INGEST: ingest,
    CHECK_BRONZE: check_bronze,
    BRONZE_TO_SILVER: bronze_to_silver,
    CHECK_SILVER: check_silver,
    PUBLISH_SILVER: publish_silver,
    SILVER_TO_GOLD: silver_to_gold,
    CHECK_GOLD: check_gold,
    PUBLISH_GOLD: publish_gold,
    MAINTAIN: maintain,
    RESTORE_SILVER: restore_silver,
}
# What a job relies on whatever the session brings: moments are UTC, and a value that does not fit is an error.
_SESSION = {"spark.sql.session.timeZone": "UTC", "spark.sql.ansi.enabled": "true"}
# Java that is written, compiled and warmed for a query pays off from so many rows on; below, Spark interprets it. A day
# of 5,000 orders took 26 s with and 19 s without.
ROWS_WORTH_COMPILING = 50_000
_INTERPRETED = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}


def run(argv: Sequence[str]) -> int:
    """Do what the request at `--request` says; 0 when its receipt says SUCCEEDED, 1 when it says FAILED.

    Raises:
        Exception: the job failed and does not know why; there is no receipt then.
    """
    parser = argparse.ArgumentParser(prog="main.py")
    parser.add_argument("--request", required=True, help="s3://<lake>/requests/<run>/<step>/<subject>/<attempt>.json")
    uri = parser.parse_args(argv).request
    request = parse_request(read_uri(uri))
    return perform(request, store_at(request.lake), SparkSession.builder.getOrCreate())


def perform(request: Request, store: Store, spark: SparkSession) -> int:
    """Run the request's job and write its receipt, as the last act."""
    started_at, started = datetime.now(UTC), time.monotonic()
    log = Log(run_id=request.run_id, step=request.step, subject=request.subject, attempt=request.attempt)
    log.write("started", round=request.round)
    try:
        code = JOBS.get(request.step)
        if code is None:
            raise InvalidRequestError(f"{request.step}: no such step; there are {', '.join(JOBS)}")
        earlier = Receipts.read(store, request.receipts)
        _configure(spark, earlier)
        lake = Lake(spark, store, request)
        job = Job(request=request, lake=lake, receipts=earlier, log=log, started_at=started_at)
        outcome = _outcome(code, job)
    except AssayError as error:
        receipts.write(store, request, receipts.failure(request, started_at, error))
        log.write("failed", error=type(error).__name__, seconds=_since(started))
        return 1
    receipts.write(store, request, receipts.success(request, started_at, outcome))
    log.write("succeeded", seconds=_since(started))
    return 0


def _configure(spark: SparkSession, earlier: Receipts) -> None:
    """Set what the jobs rely on, and what suits the rows that the run is about, as far as they are known."""
    for name, value in _SESSION.items():
        spark.conf.set(name, value)
    tables = list(earlier.tables())
    few = bool(tables) and sum(each.rows for each in tables) <= ROWS_WORTH_COMPILING
    for name, value in _INTERPRETED.items():
        if few:
            spark.conf.set(name, value)
        else:
            spark.conf.unset(name)


def _outcome(code: JobCode, job: Job) -> Outcome:
    try:
        return code(job)
    except (PySparkException, Py4JJavaError) as error:
        if told := told_by_a_task(error):
            raise told from None
        raise


def _since(started: float) -> float:
    return round(time.monotonic() - started, 3)
