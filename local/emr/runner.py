"""Runs job runs, one at a time, in the order in which they were submitted."""

from __future__ import annotations

import contextlib
import gzip
import logging
import queue
import shutil
import signal
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local.emr.model import MAX_DETAILS, JobRun
from local.emr.parameters import SparkSubmit, SubmitParametersError, read_spark_submit
from local.emr.service import EmrServerless
from local.emr.spark_jvm import SparkJvmError
from local.emr.spark_settings import aws_environment, s3a_credentials
from local.emr.staging import StagedJob, StagingError, stage
from local.emr.warm_spark import WarmSpark
from local.seams import ministack_cloud, ministack_emr

logger = logging.getLogger(__name__)
SECONDS_PER_MINUTE = 60.0
LOGS = ("stdout", "stderr")


class Runner:
    """A queue of job runs and the thread that runs them on warm Spark."""

    def __init__(self, service: EmrServerless, spark: WarmSpark, *, endpoint_url: str, folder: Path) -> None:
        self._service = service
        self._spark = spark
        self._endpoint_url = endpoint_url
        self._folder = folder
        self._aws = boto3.session.Session()
        self._queue: queue.SimpleQueue[JobRun | None] = queue.SimpleQueue()
        self._running: JobRun | None = None
        self._thread = threading.Thread(target=self._work, name="emr-jobs", daemon=True)
        service.submitted = self._queue.put
        service.cancel_requested = self._cancel

    def start(self) -> None:
        """Begin to take job runs."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more; the caller ends Spark and with it the present driver."""
        self._queue.put(None)

    def job_folder(self, job_run_id: str) -> Path:
        """Where a job run's stdout, stderr and driver.pid are."""
        return self._folder / "jobs" / job_run_id

    def _work(self) -> None:
        while (job_run := self._queue.get()) is not None:
            if not self._service.advance(job_run, "SCHEDULED"):
                continue
            try:
                with ministack_cloud.scope(job_run.application.account, job_run.application.region):
                    state, details = self._run(job_run)
            except Exception as error:
                logger.exception("job run %s", job_run.job_run_id)
                state, details = "FAILED", f"The laptop cloud failed: {type(error).__name__}: {error}"
            if job_run.cancelled_because is not None:
                state, details = "CANCELLED", job_run.cancelled_because
            self._service.set_state(job_run, state, details)

    def _run(self, job_run: JobRun) -> tuple[str, str]:
        if not ministack_emr.may_assume_role(job_run.role_arn, job_run.application.arn):
            return "FAILED", (
                f"Could not assume runtime role {job_run.role_arn} because it does not exist or isn't set up with the "
                "required trust relationship."
            )
        credentials = ministack_cloud.role_credentials(job_run.role_arn, f"emr-serverless-{job_run.job_run_id}")
        folder = self.job_folder(job_run.job_run_id)
        as_role: Any = credentials
        s3 = self._aws.client(
            "s3",
            endpoint_url=self._endpoint_url,
            region_name=job_run.application.region,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 2}),
            **as_role,
        )
        try:
            submit = read_spark_submit(job_run.request["jobDriver"], _defaults(job_run))
            staged = stage(submit, folder=folder, cache=self._folder / "cache", s3=s3)
            self._spark.wait_until_ready()
        except (SubmitParametersError, StagingError, SparkJvmError) as error:
            return "FAILED", f"Job failed before its driver started: {error}"
        ended = self._drive(job_run, submit, staged, credentials)
        self._publish_logs(job_run, s3)
        if ended is None:
            return "CANCELLED", ""
        exit_code, lost = ended
        if lost:
            return "FAILED", f"Job failed: {lost} while it ran. Spark is started again; start the job again."
        if exit_code == 0:
            shutil.rmtree(staged.working_folder, ignore_errors=True)
            return "SUCCESS", ""
        return "FAILED", self._failure(folder, exit_code)

    def _drive(
        self, job_run: JobRun, submit: SparkSubmit, staged: StagedJob, credentials: dict[str, str]
    ) -> tuple[int, str] | None:
        """Exit code of the driver and how Spark was lost; None when it was cancelled before it started."""
        folder = self.job_folder(job_run.job_run_id)
        aws = aws_environment(credentials, self._endpoint_url, job_run.application.region)
        job = {
            "job_run_id": job_run.job_run_id,
            "name": job_run.request.get("name") or job_run.job_run_id,
            "entry_point": str(staged.entry_point),
            "arguments": submit.arguments,
            "working_folder": str(staged.working_folder),
            "python_path": staged.python_path,
            "environment": {**aws, **staged.environment},
            "worker_environment": {**aws, **staged.worker_environment, "ASSAY_JOB_RUN_ID": job_run.job_run_id},
            "conf": dict(submit.conf),
            "hadoop_conf": {**submit.hadoop_conf, **s3a_credentials(credentials)},
            "pid_file": str(folder / "driver.pid"),
            **{log: str(folder / log) for log in LOGS},
        }
        for log in LOGS:
            (folder / log).touch()
        self._running = job_run
        timeout = self._timeout(job_run)
        try:
            if not self._service.advance(job_run, "RUNNING"):
                return None
            ended = self._spark.run(job, cancelled=lambda: job_run.cancelled_because is not None)
        finally:
            timeout.cancel()
            self._running = None
        return ended.exit_code, ended.lost

    def _timeout(self, job_run: JobRun) -> threading.Timer:
        because = f"Job run exceeded its timeout of {job_run.timeout_minutes} minutes"
        seconds = job_run.timeout_minutes * SECONDS_PER_MINUTE
        timer = threading.Timer(seconds, self._service.cancel_job_run, (job_run, because))
        timer.daemon = True
        if job_run.timeout_minutes:
            timer.start()
        return timer

    def _cancel(self, job_run: JobRun, grace_seconds: int) -> None:
        """End the driver; a job run that is still being staged stops before it has one."""
        if self._running is not job_run:
            return
        if grace_seconds <= 0:
            self._spark.kill_driver(signal.SIGKILL)
            return
        self._spark.kill_driver(signal.SIGTERM)
        pid = self._spark.driver_pid

        def kill() -> None:
            if self._spark.driver_pid == pid:
                self._spark.kill_driver(signal.SIGKILL)

        timer = threading.Timer(grace_seconds, kill)
        timer.daemon = True
        timer.start()

    def _failure(self, folder: Path, exit_code: int) -> str:
        if exit_code < 0:
            return f"Job failed: its driver was killed by {signal.Signals(-exit_code).name}. Start the job again."
        head = f"Job failed, please check complete logs in {folder}. ExitCode: {exit_code}. Last few exceptions: "
        tail = " ".join((folder / "stderr").read_text(encoding="utf-8", errors="replace").split())
        return head + tail[-(MAX_DETAILS - len(head)) :] if len(head) < MAX_DETAILS else head

    def _publish_logs(self, job_run: JobRun, s3: Any) -> None:
        """Copy the logs to the logUri, with the role of the job, as EMR Serverless does.

        Source: AWS, EMR Serverless User Guide, "Storing logs".
        """
        monitoring = (job_run.request.get("configurationOverrides") or {}).get("monitoringConfiguration") or {}
        uri = (monitoring.get("s3MonitoringConfiguration") or {}).get("logUri")
        if not uri:
            return
        place = urlparse(uri)
        path = f"applications/{job_run.application.application_id}/jobs/{job_run.job_run_id}/SPARK_DRIVER"
        prefix = "/".join(part for part in (place.path.strip("/"), path) if part)
        for log in LOGS:
            body = gzip.compress((self.job_folder(job_run.job_run_id) / log).read_bytes())
            with contextlib.suppress(ClientError, BotoCoreError):  # a job does not fail for want of a log
                s3.put_object(Bucket=place.netloc, Key=f"{prefix}/{log}.gz", Body=body)


def _defaults(job_run: JobRun) -> list[dict[str, Any]]:
    """Configurations that settings of the job override, weakest first."""
    overrides = job_run.request.get("configurationOverrides") or {}
    runtime: list[dict[str, Any]] = job_run.application.settings.get("runtimeConfiguration") or []
    return [*runtime, *(overrides.get("applicationConfiguration") or [])]
