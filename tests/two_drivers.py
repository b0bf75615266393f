"""One of two Spark drivers that append to the same Delta table on S3: prints each commit as it is acknowledged.

It sets off when a line comes in; in step, each commit waits for a line of its own.

Usage: `two_drivers.py DRIVER COMMITS BUCKET LEDGER SCRATCH [--lease | --in-step]`, the endpoint and keys in AWS's own variables.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import boto3
from spark_session import JARS, new_session

from contracts.errors import CommitLostError, LeaseHeldError
from lambdas.emr import JobRun
from lambdas.leases import Leases
from lambdas.ledger import RUNNING, SUCCEEDED, Ledger, Step
from lambdas.store import Store
from local.emr.spark_settings import s3a_credentials, spark_settings
from spark_jobs.lake import Lake
from spark_jobs.request import parse_request
from spark_jobs.storage import S3Store

TABLE = "bronze/fx_rates"
FIRST = "0001"


class Processes:
    """Processes in the place of job runs: what runs is live, whatever time it takes."""

    def get(self, job_run_id: str) -> JobRun:
        """The job run that a process stands for."""
        try:
            os.kill(int(job_run_id), 0)
        except ProcessLookupError:
            return JobRun(job_run_id=job_run_id, name="", state="FAILED", details="")
        return JobRun(job_run_id=job_run_id, name="", state="RUNNING", details="")


def request(driver: str, number: int, bucket: str) -> bytes:
    """The request of one commit; its digest makes its transaction its own."""
    run_id = f"20260731T060000Z-{driver}"
    document = {
        "run_id": run_id, "step": "ingest", "subject": "fx_rates", "attempt": number, "round": 0, "redrive_count": 0,
        "data_date": "2026-07-30", "interval": {"start": None, "end": "2026-07-31T00:00:00Z"}, "lake": f"s3://{bucket}",
        "receipt_key": "none", "inputs": {}, "fail_from": {}, "input_digest": f"{number:03}", "received_digest": "none",
    }  # fmt: skip
    return json.dumps(document).encode()


def main() -> None:
    """Commit one row at a time, each under the lease if told."""
    driver, commits, bucket, table, scratch = sys.argv[1:6]
    keys = {name: os.environ[name.upper()] for name in ("aws_access_key_id", "aws_secret_access_key")}
    settings = spark_settings(
        jars=JARS, scratch=Path(scratch), endpoint_url=os.environ["AWS_ENDPOINT_URL"],
        region=os.environ["AWS_REGION"], driver_memory="1g",
    )  # fmt: skip
    spark = new_session(**settings, **{f"spark.hadoop.{name}": value for name, value in s3a_credentials(keys).items()})
    ledger = Ledger(Store(boto3.client("dynamodb"), table))
    leases = Leases(ledger=ledger, jobs=Processes(), sfn=boto3.client("stepfunctions"))  # type: ignore[arg-type]
    intent = Step(
        run_id=f"20260731T060000Z-{driver}", step="ingest", subject="fx_rates", round=0, attempt=0, status=SUCCEEDED,
        token="", token_order="", redrive_count=0, job_run_id=str(os.getpid()),
    )  # fmt: skip
    step = ledger.add(intent)
    store = S3Store(bucket)
    if driver == FIRST:
        # Delta refuses all but one of those that make a table at once, and here it is to be the same for both
        write(Lake(spark, store, parse_request(request(driver, 0, bucket))), driver, 0)
    print("up", flush=True)
    sys.stdin.readline()
    for number in range(1, int(commits) + 1):
        assert step is not None
        step = ledger.change(step, attempt=number, status=RUNNING)
        assert step is not None
        if "--lease" in sys.argv:
            acquire(leases, step)
        if "--in-step" in sys.argv and number > 1:
            sys.stdin.readline()
        try:
            write(Lake(spark, store, parse_request(request(driver, number, bucket))), driver, number)
            print(f"acknowledged {number}", flush=True)
        except CommitLostError:
            print(f"reported {number}", flush=True)
        ledger.write(step.change(status=SUCCEEDED), *leases.releases(step))
        step = ledger.step(step.run_id, step.step, step.subject)


def write(lake: Lake, driver: str, number: int) -> None:
    """Append the row of a commit."""
    rows = lake.spark.createDataFrame([(driver, number)], "driver string, number int").coalesce(1)
    lake.append(rows, TABLE, note={})


def acquire(leases: Leases, step: Step) -> None:
    """Wait for the lease, as the state's retrier does."""
    while True:
        try:
            leases.acquire(step)
        except LeaseHeldError:
            time.sleep(0.02)
        else:
            return


if __name__ == "__main__":
    main()
