"""Job runs of one EMR Serverless application, as far as the ledger needs them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from lambdas.aws import error_code

if TYPE_CHECKING:
    from types_boto3_emr_serverless import EMRServerlessClient
    from types_boto3_emr_serverless.literals import JobRunStateType
    from types_boto3_emr_serverless.type_defs import StartJobRunRequestTypeDef

# CANCELLING is live: the driver may still commit. So is any state that is not known to be an end.
LIVE: tuple[JobRunStateType, ...] = ("SUBMITTED", "PENDING", "QUEUED", "SCHEDULED", "RUNNING", "CANCELLING")
SUCCESS = "SUCCESS"
LOST = "LOST"
TERMINAL = frozenset({SUCCESS, "FAILED", "CANCELLED", LOST})


@dataclass(frozen=True, kw_only=True)
class JobRun:
    """A job run as EMR tells of it.

    Attributes:
        name: the JobName, empty for a job run without one.
        state: EMR's word; LOST when EMR no longer knows it.
        details: EMR's sentence about the state.
    """

    job_run_id: str
    name: str
    state: str
    details: str

    @property
    def is_live(self) -> bool:
        """Whether its driver may still write."""
        return self.state not in TERMINAL


class JobRuns:
    """Start, look at, find and cancel job runs.

    Source: https://docs.aws.amazon.com/emr-serverless/latest/APIReference/API_Operations.html
    """

    def __init__(self, client: EMRServerlessClient, application_id: str) -> None:
        self._client = client
        self._application_id = application_id

    def start(self, request: StartJobRunRequestTypeDef) -> str | None:
        """The job run's id; the same for a repeated request.

        Returns:
            None when EMR knows the client token with other arguments: a deployment came between two tries.
        """
        try:
            return self._client.start_job_run(**request)["jobRunId"]
        except ClientError as error:
            if error_code(error) == "ConflictException":
                return None
            raise

    def get(self, job_run_id: str) -> JobRun:
        """The job run as of now."""
        try:
            found = self._client.get_job_run(applicationId=self._application_id, jobRunId=job_run_id)["jobRun"]
        except ClientError as error:
            if error_code(error) == "ResourceNotFoundException":
                return JobRun(job_run_id=job_run_id, name="", state=LOST, details="EMR knows no such job run")
            raise
        details = found.get("stateDetails", "")
        return JobRun(job_run_id=job_run_id, name=found.get("name", ""), state=found["state"], details=details)

    def find(self, name: str, since: datetime | None = None) -> str | None:
        """The id of the job run of that name.

        Args:
            name: a JobName.
            since: None looks among live job runs only; a time looks among all created after it.
        """
        pages = self._client.get_paginator("list_job_runs")
        if since is None:
            found = pages.paginate(applicationId=self._application_id, states=list(LIVE))
        else:
            found = pages.paginate(applicationId=self._application_id, createdAtAfter=since)
        return next((run["id"] for page in found for run in page["jobRuns"] if run.get("name") == name), None)

    def cancel(self, job_run_id: str) -> None:
        """Ask EMR to cancel; a job run that has ended meanwhile is left as it is."""
        try:
            self._client.cancel_job_run(applicationId=self._application_id, jobRunId=job_run_id)
        except ClientError as error:
            if error_code(error) not in {"ConflictException", "ResourceNotFoundException", "ValidationException"}:
                raise
