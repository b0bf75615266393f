"""The archives that AWS would get, under real spark-submit: the warm JVM never proves the packaging."""

import datetime
import json

import pytest

from local.emr.submit import run_with_spark_submit
from local.home import ACCOUNT, SECRET_ACCESS_KEY
from ops.laptop import JARS


@pytest.mark.slow
def test_a_job_of_the_day_runs_under_spark_submit_with_the_parameters_of_its_start(laptop, tmp_path):
    """Run again as it was started, an ingest finds its own commit and changes nothing."""
    listed = _ingest(laptop)
    if listed is None:  # no day has been run before
        assert laptop.run(datetime.date(2020, 4, 6)).status == "SUCCEEDED"
        listed = _ingest(laptop)
    started = laptop.access.emr.get_job_run(applicationId=listed["applicationId"], jobRunId=listed["id"])["jobRun"]
    version = laptop.version("bronze/fx_rates")
    receipt_key = json.loads(_request(laptop, started))["receipt_key"]
    before = laptop.receipt(receipt_key)
    laptop.access.s3.delete_object(Bucket=laptop.platform.lake_bucket, Key=receipt_key)
    done = run_with_spark_submit(
        started,
        credentials={
            "aws_access_key_id": ACCOUNT,
            "aws_secret_access_key": SECRET_ACCESS_KEY,
            "aws_session_token": "",
        },
        endpoint_url=laptop.access.endpoint_url,
        region=laptop.access.region,
        jars=JARS,
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    after = laptop.receipt(receipt_key)
    assert {k: v for k, v in after.items() if not k.endswith("_at")} == {
        k: v for k, v in before.items() if not k.endswith("_at")
    }
    assert laptop.version("bronze/fx_rates") == version


def _ingest(laptop):
    """A job run that took the vendor's files; None when there was none."""
    pages = laptop.access.emr.list_job_runs(applicationId=laptop.platform.application_id, states=["SUCCESS"])
    return next((job for job in pages["jobRuns"] if ":ingest:fx_rates:" in job["name"]), None)


def _request(laptop, started):
    uri = started["jobDriver"]["sparkSubmit"]["entryPointArguments"][1]
    bucket, key = uri.removeprefix("s3://").split("/", 1)
    return laptop.access.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
