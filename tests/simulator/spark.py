"""EMR Serverless and a small model of Spark: a job is a sequence of file operations, and dies at any of them.

Requests, transactions, the reading of Delta's log, receipts and the order of publishing are the jobs' own code; what
needs a JVM is here as plain Python (see jobs). The bucket gives no mutual exclusion: whoever writes last wins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from contracts.errors import AssayError, SourceUnavailableError
from lambdas.emr import LIVE
from spark_jobs import receipts
from spark_jobs.request import parse_request

from . import faults as kinds
from . import jobs
from .cloud import S3, Functions, Site, Violation, refusal, tell
from .source import Source

STALL_SECONDS = (700.0, 5000.0)
QUEUE_SECONDS = (1200.0, 9500.0)  # the longest outlives every heartbeat of its state
CANCEL_SECONDS = (1.0, 90.0)


class Killed(BaseException):
    """The driver is gone."""


@dataclass
class JobRun:
    """A job run, and what its driver has begun to write."""

    job_run_id: str
    request: dict[str, Any]
    name: str
    state: str = "SUBMITTED"
    details: str = ""
    started_at: float = 0.0
    is_dead: bool = False
    writes: dict[str, None] = field(default_factory=dict)

    @property
    def about(self) -> str:
        """Step and subject."""
        return "/".join(self.name.split(":")[1:3])


@dataclass
class Driver:
    """A job's way to the bucket: every operation takes time and may be its last. It is spark_jobs.storage.Store too."""

    site: Site
    s3: S3
    run: JobRun
    live: Callable[[str, JobRun], None]
    root: str = ""

    def operate(self, what: str, possible: tuple[str, ...], work: Callable[[], Any]) -> Any:
        """One operation."""
        site, run = self.site, self.run
        self._pass(site.kernel.random.uniform(0.2, 8.0))
        fault = site.faults.at(f"{run.about} {what}", possible)
        if fault is not None:
            site.trace.add(run.about, "FAULT", fault, what)
        if fault == "driver_stalls":
            self._pass(site.kernel.random.uniform(*STALL_SECONDS))
        if fault == "driver_killed":
            raise Killed
        if fault == "access_lost":
            site.denied = True
        if site.denied:
            raise PermissionError("AccessDenied")
        if fault == "source_down":
            raise SourceUnavailableError("the source did not answer")
        answer = work()
        if fault == "driver_killed_after":
            raise Killed
        return answer

    def _pass(self, seconds: float) -> None:
        self.site.kernel.sleep(seconds)
        if self.run.is_dead:
            raise Killed

    def get(self, key: str) -> bytes | None:
        """The object's content."""

        def work() -> Any:
            found = self.s3.objects.get(key)
            return None if found is None else found.content

        return self.operate(f"get {_kind(key)}", kinds.OPERATION, work)  # type: ignore[no-any-return]

    def put(self, key: str, data: Any) -> None:
        """Write an object, whatever lies there."""

        def work() -> None:
            self.site.trace.add(self.run.about, "put", key)
            self.s3.put(key, data)

        self.operate(f"put {_kind(key)}", kinds.FINAL_OPERATION, work)

    def names(self, folder: str) -> list[str]:
        """The names right under a folder."""
        return self.operate(  # type: ignore[no-any-return]
            f"list {_kind(folder + '/')}", kinds.OPERATION, lambda: list(self.s3.folders.get(folder, ()))
        )

    def begin_to_write(self, table: str) -> None:
        """From here on the driver may commit to a shared table."""
        self.run.writes[table] = None
        self.live(table, self.run)


def _kind(key: str) -> str:
    """What sort of object it is, for the names of points."""
    top = key.split("/", 1)[0]
    if "/_delta_log/" in key:
        return f"log of {key.split('/_delta_log/')[0]}"
    return {"requests": "request", "runs": "receipt"}.get(top, top)


class Emr:
    """The API, the states of a job run, and its events."""

    def __init__(self, site: Site, s3: S3, functions: Functions, source: Source, present: list[str]) -> None:
        self._site, self._s3, self._functions = site, s3, functions
        self._source, self._present = source, present
        self.runs: dict[str, JobRun] = {}
        self.writers: dict[str, list[JobRun]] = {}
        self.on_cancel: Callable[[JobRun], None] = lambda _: None
        self.before_commit: Callable[[str, JobRun, Any], None] = lambda *_: None

    def start_job_run(self, **request: Any) -> dict[str, str]:
        """StartJobRun: the same client token is the same job run."""

        def work() -> dict[str, str]:
            for run in self.runs.values():
                if run.request["clientToken"] == request["clientToken"]:
                    if run.request != request:
                        raise refusal("ConflictException", "StartJobRun")
                    return {"jobRunId": run.job_run_id}
            run = JobRun(f"job{len(self.runs) + 1:03d}", request, request["name"], started_at=self._site.kernel.now)
            self.runs[run.job_run_id] = run
            self._site.trace.add("emr", "StartJobRun", run.job_run_id, run.name)
            self._site.kernel.spawn(lambda: self._live(run))
            return {"jobRunId": run.job_run_id}

        return self._site.call("emr.start_job_run", kinds.WRITE, work)  # type: ignore[no-any-return]

    def get_job_run(self, *, jobRunId: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        def work() -> dict[str, Any]:
            if jobRunId not in self.runs:
                raise refusal("ResourceNotFoundException", "GetJobRun")
            run = self.runs[jobRunId]
            return {"jobRun": {"name": run.name, "state": run.state, "stateDetails": run.details}}

        return self._site.call("emr.get_job_run", kinds.READ, work)  # type: ignore[no-any-return]

    def cancel_job_run(self, *, jobRunId: str, **_: Any) -> None:  # noqa: N803
        def work() -> None:
            run = self.runs[jobRunId]
            if run.state not in LIVE:
                raise refusal("ValidationException", "CancelJobRun")
            self._site.trace.add("emr", "CancelJobRun", jobRunId, run.name)
            self.on_cancel(run)
            run.state = "CANCELLING"
            kernel = self._site.kernel
            kernel.at(kernel.random.uniform(*CANCEL_SECONDS), lambda: self._kill(run, "CANCELLED", "cancelled"))

        self._site.call("emr.cancel_job_run", kinds.WRITE, work)

    def get_paginator(self, _: str) -> Emr:
        return self

    def paginate(self, *, states: list[str] | None = None, **_: Any) -> list[dict[str, Any]]:
        def work() -> list[dict[str, Any]]:
            found = [run for run in self.runs.values() if states is None or run.state in states]
            return [{"jobRuns": [{"id": run.job_run_id, "name": run.name, "state": run.state}]} for run in found]

        return self._site.call("emr.list_job_runs", kinds.READ, work)  # type: ignore[no-any-return]

    def live(self) -> list[JobRun]:
        """Job runs whose driver may still write."""
        return [run for run in self.runs.values() if run.state in LIVE]

    def _live(self, run: JobRun) -> None:
        site = self._site
        queued = site.faults.at(f"queue {run.about}", kinds.SUBMISSION)
        if queued:
            site.trace.add(run.about, "FAULT", queued)
        site.pause(*(QUEUE_SECONDS if queued == "job_queued" else (2.0, 60.0)))
        if run.is_dead:
            return
        if run.state == "SUBMITTED":
            run.state = "RUNNING"
        limit = run.request["executionTimeoutMinutes"] * 60
        site.kernel.at(limit, lambda: self._kill(run, "FAILED", "timed out"))
        driver = Driver(site, self._s3, run, self._claim)
        if queued == "driver_hangs":
            site.kernel.sleep(2 * limit)
        try:
            failed = self._perform(driver)
        except Killed:
            self._kill(run, "FAILED", "the driver was killed")
        except Exception as error:  # noqa: BLE001  a driver that raises ends FAILED without a receipt
            self._kill(run, "FAILED", type(error).__name__)
        else:
            self._kill(run, "FAILED" if failed else "SUCCESS", "")

    def _perform(self, driver: Driver) -> bool:
        """What spark_jobs.entry does; True when the receipt says FAILED."""
        arguments = driver.run.request["jobDriver"]["sparkSubmit"]["entryPointArguments"]
        request = parse_request(driver.get(arguments[1].split("/", 3)[3]) or b"")
        started_at = self._site.kernel.moment()
        try:
            outcome = jobs.perform(
                request, driver, self._source, self._present, started_at, lambda *told: self.before_commit(*told)
            )
        except AssayError as error:
            receipts.write(driver, request, receipts.failure(request, started_at, error))  # type: ignore[arg-type]
            self._site.trace.add(driver.run.about, "failed", type(error).__name__)
            return True
        receipts.write(driver, request, receipts.success(request, started_at, outcome))  # type: ignore[arg-type]
        self._site.trace.add(driver.run.about, "succeeded", outcome.verdict or outcome.published or "")
        return False

    def _claim(self, table: str, run: JobRun) -> None:
        others = self.writers.setdefault(table, [])
        others[:] = [each for each in others if not each.is_dead and each is not run]
        if others:
            names = ", ".join(each.name for each in (*others, run))
            raise Violation(f"two live writers of {table}: {names}")
        others.append(run)

    def _kill(self, run: JobRun, state: str, details: str) -> None:
        if run.is_dead:
            return
        run.is_dead, run.state, run.details = True, state, details
        self._site.trace.add("emr", run.job_run_id, run.name, state, details)
        detail = {"jobRunId": run.job_run_id, "state": state}
        tell(self._site, self._functions, f"event {run.about}", kinds.JOB_EVENT, "job_finished", detail)
