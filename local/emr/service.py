"""The state of EMR Serverless: applications, job runs, and which of the two goes where."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from local.emr.events import Events
from local.emr.model import ALIVE, MAX_DETAILS, TERMINAL, Application, JobRun, new_id
from local.emr.request_validation import ValidationError

SUPPORTED_TYPE = "SPARK"
NO_DETAILS = "-"


class NotFoundError(Exception):
    """AWS's ResourceNotFoundException."""


class ConflictError(Exception):
    """AWS's ConflictException."""


class EmrServerless:
    """Applications and job runs of all accounts and regions. Every change is made under one lock and told to `events`.

    Attributes:
        submitted: called with each new job run.
        cancel_requested: called with a job run that is being cancelled and may have a driver; and the seconds of grace.
    """

    def __init__(self, events: Events) -> None:
        self.submitted: Callable[[JobRun], None] = lambda _job_run: None
        self.cancel_requested: Callable[[JobRun, int], None] = lambda _job_run, _seconds: None
        self._events = events
        self._lock = threading.RLock()
        self._applications: dict[str, Application] = {}
        self._job_runs: dict[str, JobRun] = {}
        self._tokens: dict[tuple[str, str, str], tuple[dict[str, Any], str]] = {}

    # Over a restart

    def state(self) -> dict[str, Any]:
        """All of it as plain data, for `restore`; job runs that are alive are cancelled there."""
        with self._lock:
            return {
                "applications": [dataclasses.asdict(application) for application in self._applications.values()],
                "job_runs": [
                    {name: value for name, value in vars(run).items() if name != "application"}
                    | {"application_id": run.application.application_id}
                    for run in self._job_runs.values()
                ],
                "tokens": [[list(key), *made] for key, made in self._tokens.items()],
            }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` gave; its drivers are gone, so what ran then is CANCELLED, without an event."""
        with self._lock:
            for each in state["applications"]:
                self._applications[each["application_id"]] = Application(**each)
            for each in state["job_runs"]:
                run = JobRun(application=self._applications[each.pop("application_id")], **each)
                if run.state in ALIVE:
                    run.previous_state, run.state, run.ended_at = run.state, "CANCELLED", run.updated_at
                    run.state_details = "the laptop cloud was stopped while it ran"
                self._job_runs[run.job_run_id] = run
            for (first, second, token), request, made in state["tokens"]:
                self._tokens[(first, second, token)] = (request, made)

    # Applications

    def create_application(self, account: str, region: str, request: dict[str, Any]) -> Application:
        """Create an application, or give back the one of the same client token."""
        if str(request["type"]).upper() != SUPPORTED_TYPE:
            raise ValidationError(f"Application type {request['type']} is not supported; use {SUPPORTED_TYPE}")
        with self._lock:
            known = self._known(account, region, request)
            if known is not None:
                return self._applications[known]
            application = Application(application_id=new_id(), account=account, region=region, settings=request)
            self._applications[application.application_id] = application
            self._remember(account, region, request, application.application_id)
            for state in ("CREATING", "CREATED"):
                self._set_application(application, state)
            return application

    def application(self, account: str, region: str, application_id: str) -> Application:
        """The application.

        Raises:
            NotFoundError: there is none of that id in the account and region.
        """
        application = self._applications.get(application_id)
        if application is None or (application.account, application.region) != (account, region):
            raise NotFoundError(f"Application {application_id} does not exist")
        return application

    def applications(self, account: str, region: str) -> list[Application]:
        """The applications of the account and region, newest first."""
        with self._lock:
            found = [a for a in self._applications.values() if (a.account, a.region) == (account, region)]
        return sorted(found, key=lambda application: application.created_at, reverse=True)

    def start_application(self, application: Application) -> None:
        """Start it; a started one stays so."""
        with self._lock:
            if application.state == "TERMINATED":
                raise ValidationError(f"Application {application.application_id} is in the TERMINATED state")
            if application.state != "STARTED":
                for state in ("STARTING", "STARTED"):
                    self._set_application(application, state)

    def stop_application(self, application: Application) -> None:
        """Stop it; refused while job runs are alive, as on AWS."""
        with self._lock:
            if any(self._alive(application)):
                raise ValidationError(
                    f"Application {application.application_id} has job runs that are not finished; cancel them first"
                )
            if application.state == "STARTED":
                for state in ("STOPPING", "STOPPED"):
                    self._set_application(application, state)

    def delete_application(self, application: Application) -> None:
        """Terminate it; it must not be started."""
        with self._lock:
            if application.state not in ("CREATED", "STOPPED", "TERMINATED"):
                raise ValidationError(
                    f"Application {application.application_id} must be in the CREATED or STOPPED state to be deleted, "
                    f"and is in the {application.state} state"
                )
            if application.state != "TERMINATED":
                self._set_application(application, "TERMINATED")

    def remove_application(self, application_id: str) -> None:
        """Cancel what runs, stop and delete: what CloudFormation does with a stack's application."""
        with self._lock:
            application = self._applications.get(application_id)
            if application is None:
                return
            for job_run in list(self._alive(application)):
                self.cancel_job_run(job_run)
            if application.state == "STARTED":
                self._set_application(application, "STOPPED")
            self.delete_application(application)

    def update_application(self, application: Application, request: dict[str, Any]) -> None:
        """Change settings; the application must not be started."""
        with self._lock:
            if application.state not in ("CREATED", "STOPPED"):
                raise ValidationError(
                    f"Application {application.application_id} must be in the CREATED or STOPPED state to be updated"
                )
            ignored = ("applicationId", "clientToken")
            application.settings.update({name: value for name, value in request.items() if name not in ignored})
            application.updated_at = time.time()

    # Job runs

    def start_job_run(self, application: Application, request: dict[str, Any], created_by: str) -> JobRun:
        """Submit a job run, or give back the one of the same client token.

        Raises:
            ConflictError: the token was used with other parameters.
            ValidationError: the application or the parameters do not allow it.
        """
        with self._lock:
            known = self._known(application.application_id, "", request)
            if known is not None:
                return self._job_runs[known]
            if "sparkSubmit" not in (request.get("jobDriver") or {}):
                raise ValidationError("jobDriver: a Spark application needs sparkSubmit")
            if f"::{application.account}:" not in request["executionRoleArn"]:
                raise ValidationError("Cross-account pass role is not allowed.")
            if (request.get("retryPolicy") or {}).get("maxAttempts", 1) != 1:
                raise ValidationError("retryPolicy: the laptop cloud runs each job run once; set maxAttempts to 1")
            if application.state != "STARTED" and not application.auto_starts:
                raise ValidationError(
                    f"Application {application.application_id} is in the {application.state} state and does not "
                    "start by itself; start it first"
                )
            self.start_application(application)
            job_run = JobRun(job_run_id=new_id(), application=application, request=request, created_by=created_by)
            self._job_runs[job_run.job_run_id] = job_run
            self._remember(application.application_id, "", request, job_run.job_run_id)
            self._events.job_run_changed(job_run)
            self.set_state(job_run, "PENDING")
        self.submitted(job_run)
        return job_run

    def job_run(self, application: Application, job_run_id: str) -> JobRun:
        """The job run.

        Raises:
            NotFoundError: the application has none of that id.
        """
        job_run = self._job_runs.get(job_run_id)
        if job_run is None or job_run.application is not application:
            raise NotFoundError(f"JobRun {job_run_id} does not exist in application {application.application_id}")
        return job_run

    def job_runs(self, application: Application) -> list[JobRun]:
        """The job runs of an application, newest first."""
        with self._lock:
            found = [run for run in self._job_runs.values() if run.application is application]
        return sorted(found, key=lambda run: run.created_at, reverse=True)

    def cancel_job_run(self, job_run: JobRun, because: str = "", grace_seconds: int = 0) -> None:
        """Ask for a cancellation; a job run that has ended stays as it ended.

        Args:
            job_run: the job run.
            because: what its stateDetails are to say at the end.
            grace_seconds: between SIGTERM and SIGKILL to the driver.
        """
        with self._lock:
            if job_run.state in TERMINAL or job_run.cancelled_because is not None:
                return
            job_run.cancelled_because = because or "Job run cancelled by user"
            queued = job_run.state in ("SUBMITTED", "PENDING")
            self.set_state(job_run, "CANCELLING", job_run.cancelled_because)
            if queued:
                self.set_state(job_run, "CANCELLED", job_run.cancelled_because)
        if not queued:
            self.cancel_requested(job_run, grace_seconds)

    def advance(self, job_run: JobRun, state: str) -> bool:
        """Move a live job run on, unless it is being cancelled; whether it moved."""
        with self._lock:
            if job_run.cancelled_because is not None or job_run.state in TERMINAL:
                return False
            self.set_state(job_run, state)
            return True

    def set_state(self, job_run: JobRun, state: str, details: str = "") -> None:
        """Change a job run's state and tell `events`."""
        with self._lock:
            job_run.previous_state, job_run.state = job_run.state, state
            job_run.state_details = details[:MAX_DETAILS] or NO_DETAILS
            job_run.updated_at = time.time()
            if state == "RUNNING":
                job_run.started_at = job_run.updated_at
            if state in TERMINAL:
                job_run.ended_at = job_run.updated_at
            self._events.job_run_changed(job_run)

    # Tags

    def tags(self, arn: str) -> dict[str, str]:
        """The tags of an application or job run, to be changed in place.

        Raises:
            NotFoundError: no such resource.
        """
        with self._lock:
            for application in self._applications.values():
                if application.arn == arn:
                    tags: dict[str, str] = application.settings.setdefault("tags", {})
                    return tags
            for job_run in self._job_runs.values():
                if job_run.arn == arn:
                    run_tags: dict[str, str] = job_run.request.setdefault("tags", {})
                    return run_tags
        raise NotFoundError(f"Resource {arn} does not exist")

    def _alive(self, application: Application) -> Iterator[JobRun]:
        return (run for run in self._job_runs.values() if run.application is application and run.state in ALIVE)

    def _set_application(self, application: Application, state: str) -> None:
        application.state = state
        application.updated_at = time.time()
        self._events.application_changed(application)

    def _known(self, first: str, second: str, request: dict[str, Any]) -> str | None:
        """The id of what the same client token made before."""
        entry = self._tokens.get((first, second, request.get("clientToken", "")))
        if entry is None:
            return None
        earlier, made = entry
        if earlier != request:
            raise ConflictError(f"clientToken {request['clientToken']} was used before with other parameters")
        return made

    def _remember(self, first: str, second: str, request: dict[str, Any], made: str) -> None:
        # A copy of the top level: tags may change later, the request that the token stands for does not.
        self._tokens[(first, second, request.get("clientToken", ""))] = ({**request}, made)
