"""Applications and job runs as the API shows them."""

from __future__ import annotations

import secrets
import string
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

ALIVE = ("SUBMITTED", "PENDING", "SCHEDULED", "RUNNING", "CANCELLING")
TERMINAL = ("SUCCESS", "FAILED", "CANCELLED")
DEFAULT_TIMEOUT_MINUTES = 720
# stateDetails is at most this long in the API's model.
MAX_DETAILS = 256


def new_id() -> str:
    """An id as EMR Serverless gives them: 16 characters, 00 first."""
    return "00" + "".join(secrets.choice(string.digits + string.ascii_lowercase) for _ in range(14))


def iso(timestamp: float) -> str:
    """A time as in EMR Serverless's events."""
    return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass(kw_only=True)
class Application:
    """An application; `settings` is what CreateApplication was told."""

    application_id: str
    account: str
    region: str
    settings: dict[str, Any]
    state: str = "CREATED"
    state_details: str = ""
    created_at: float = field(default_factory=time.time)
    updated_at: float = field(default_factory=time.time)

    @property
    def arn(self) -> str:
        """Its ARN, with the slash that EMR Serverless puts before the resource."""
        return f"arn:aws:emr-serverless:{self.region}:{self.account}:/applications/{self.application_id}"

    @property
    def name(self) -> str:
        """Its name; empty when it was given none."""
        return str(self.settings.get("name", ""))

    @property
    def auto_starts(self) -> bool:
        """Whether a job run starts it; so by default."""
        return bool(self.settings.get("autoStartConfiguration", {}).get("enabled", True))

    def summary(self) -> dict[str, Any]:
        """As in ListApplications."""
        return {
            "id": self.application_id,
            "name": self.name,
            "arn": self.arn,
            "releaseLabel": self.settings["releaseLabel"],
            "type": self.settings["type"].capitalize(),
            "state": self.state,
            "stateDetails": self.state_details,
            "createdAt": self.created_at,
            "updatedAt": self.updated_at,
            "architecture": self.settings.get("architecture", "X86_64"),
        }

    def description(self) -> dict[str, Any]:
        """As in GetApplication."""
        described = {name: value for name, value in self.settings.items() if name != "clientToken"}
        summary = self.summary()
        del summary["id"]
        return {
            "applicationId": self.application_id,
            "autoStartConfiguration": {"enabled": True},
            "autoStopConfiguration": {"enabled": True, "idleTimeoutMinutes": 15},
            "tags": {},
            **described,
            **summary,
        }

    def event(self) -> dict[str, Any]:
        """The detail of its state change event.

        Source: AWS, EMR Serverless User Guide, "Automating EMR Serverless with Amazon EventBridge".
        """
        auto_stop = self.description()["autoStopConfiguration"]
        return {
            "applicationId": self.application_id,
            "applicationName": self.name,
            "arn": self.arn,
            "releaseLabel": self.settings["releaseLabel"],
            "state": self.state,
            "type": self.settings["type"].upper(),
            "createdAt": iso(self.created_at),
            "updatedAt": iso(self.updated_at),
            "autoStopConfig": {"enabled": auto_stop.get("enabled"), "idleTimeout": auto_stop.get("idleTimeoutMinutes")},
            "autoStartConfig": {"enabled": self.auto_starts},
        }


@dataclass(kw_only=True)
class JobRun:
    """A job run; `request` is what StartJobRun was told."""

    job_run_id: str
    application: Application
    request: dict[str, Any]
    created_by: str
    state: str = "SUBMITTED"
    previous_state: str = ""
    state_details: str = ""
    created_at: float = field(default_factory=time.time)
    updated_at: float = field(default_factory=time.time)
    started_at: float | None = None
    ended_at: float | None = None
    # Why it is being cancelled; None while nobody has asked.
    cancelled_because: str | None = None

    @property
    def arn(self) -> str:
        """Its ARN."""
        return f"{self.application.arn}/jobruns/{self.job_run_id}"

    @property
    def role_arn(self) -> str:
        """The role that it runs as."""
        return str(self.request["executionRoleArn"])

    @property
    def timeout_minutes(self) -> int:
        """How long it may run; 0 is for ever."""
        return int(self.request.get("executionTimeoutMinutes", DEFAULT_TIMEOUT_MINUTES))

    def summary(self) -> dict[str, Any]:
        """As in ListJobRuns."""
        named = {"name": self.request["name"]} if self.request.get("name") else {}
        return {
            "applicationId": self.application.application_id,
            "id": self.job_run_id,
            **named,
            "mode": self.request.get("mode", "BATCH"),
            "arn": self.arn,
            "createdBy": self.created_by,
            "createdAt": self.created_at,
            "updatedAt": self.updated_at,
            "executionRole": self.role_arn,
            "state": self.state,
            "stateDetails": self.state_details,
            "releaseLabel": self.application.settings["releaseLabel"],
            "type": "SPARK",
            "attempt": 1,
            "attemptCreatedAt": self.created_at,
            "attemptUpdatedAt": self.updated_at,
        }

    def description(self) -> dict[str, Any]:
        """As in GetJobRun."""
        summary = self.summary()
        del summary["id"], summary["type"]
        times = {"startedAt": self.started_at, "endedAt": self.ended_at}
        optional = ("configurationOverrides", "executionIamPolicy", "retryPolicy")
        seconds = (self.ended_at or time.time()) - self.started_at if self.started_at else 0
        return {
            **summary,
            "jobRunId": self.job_run_id,
            "jobDriver": self.request.get("jobDriver", {}),
            "tags": self.request.get("tags", {}),
            "executionTimeoutMinutes": self.timeout_minutes,
            "totalExecutionDurationSeconds": round(seconds),
            **{name: self.request[name] for name in optional if name in self.request},
            **{name: value for name, value in times.items() if value is not None},
        }

    def event(self) -> dict[str, Any]:
        """The detail of its state change event.

        Source: AWS, EMR Serverless User Guide, "Automating EMR Serverless with Amazon EventBridge".
        """
        return {
            "jobRunId": self.job_run_id,
            **({"jobRunName": self.request["name"]} if self.request.get("name") else {}),
            "applicationId": self.application.application_id,
            "applicationName": self.application.name,
            "arn": self.arn,
            "releaseLabel": self.application.settings["releaseLabel"],
            "state": self.state,
            **({"previousState": self.previous_state} if self.previous_state else {}),
            "createdBy": self.created_by,
            "updatedAt": iso(self.updated_at),
            "createdAt": iso(self.created_at),
        }
