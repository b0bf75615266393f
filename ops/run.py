"""Starts, watches and redrives executions."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from lambdas.aws import is_running
from lambdas.ledger import SUCCEEDED, SUPERSEDED
from local.standins import vendor
from ops import executions
from ops.errors import OpsError
from ops.executions import Event, Failure, Plan, Step
from ops.platform import Platform

POLL_SECONDS = 1.0  # a look takes a tenth of a second of this core and of the laptop cloud's


@dataclass(frozen=True, kw_only=True)
class Progress:
    """An execution as it stands."""

    execution_arn: str
    status: str
    redrive_count: int
    started: datetime.datetime
    ended: datetime.datetime | None
    steps: Sequence[Step]
    jobs: Sequence[dict[str, Any]]
    run_id: str | None
    output: dict[str, Any]
    failure: Failure | None
    redrivable_until: datetime.datetime | None
    plan: Plan | None
    superseded_by: str | None = None


def start(platform: Platform, date: datetime.date) -> str:
    """Start the run of `date` and return the execution's ARN; on the laptop the vendor delivers first."""
    if platform.stage == "local":
        vendor.deliver(platform.access.s3, platform.lake_bucket, date)
    document = json.dumps({"data_date": date.isoformat()})
    return platform.access.states.start_execution(stateMachineArn=platform.daily_batch, input=document)["executionArn"]


def supersede(platform: Platform, run_id: str) -> str:
    """Start a run that takes the place of one whose execution is dead; returns the new execution's ARN.

    Raises:
        OpsError: the run is unknown, has succeeded or been superseded, or its execution runs; OpenRun looks again.
    """
    run = platform.ledger.run(run_id)
    if run is None:
        raise OpsError(f"run {run_id!r} is not in the ledger; `assay explain` names the run of an execution")
    if run.status == SUPERSEDED:
        raise OpsError(f"run {run_id} was superseded by run {run.superseded_by} already: assay explain that one")
    if run.status == SUCCEEDED:
        raise OpsError(f"run {run_id} has succeeded: nothing is left to put right by superseding it")
    if is_running(platform.access.states, run.execution_arn):
        raise OpsError(
            f"run {run_id} is running: assay stop {run.execution_arn.rsplit(':', 1)[-1]}, or wait for its end"
        )
    document = json.dumps({"supersedes": run_id})
    machine = platform.state_machines[run.workflow]
    return platform.access.states.start_execution(stateMachineArn=machine, input=document)["executionArn"]


def stop(platform: Platform, execution_arn: str, why: str) -> None:
    """Stop an execution; its live job runs are cancelled by the event of its end.

    Raises:
        OpsError: it does not run, or is not known.
    """
    try:
        if not is_running(platform.access.states, execution_arn):
            raise OpsError("it does not run: there is nothing to stop")
        platform.access.states.stop_execution(executionArn=execution_arn, error="StoppedByHand", cause=why)
    except ClientError as error:
        raise OpsError(f"cannot be stopped: {error.response['Error']['Message']}") from None


def find(platform: Platform, wanted: str) -> str:
    """The ARN of an execution named by its ARN, its name, its run id, or `last`.

    Raises:
        OpsError: there is none such.
    """
    if wanted.startswith("arn:"):
        return wanted
    for execution in recent(platform):
        if wanted in ("last", execution["name"], execution["executionArn"]):
            return str(execution["executionArn"])
    for execution in recent(platform):
        if executions.run_id(history(platform, execution["executionArn"])) == wanted:
            return str(execution["executionArn"])
    raise OpsError(f"no execution {wanted!r}: `assay runs` lists them")


def recent(platform: Platform) -> list[dict[str, Any]]:
    """The executions of all workflows, newest first."""
    pages = platform.access.states.get_paginator("list_executions")
    found = [
        dict(execution)
        for machine in platform.state_machines.values()
        for page in pages.paginate(stateMachineArn=machine)
        for execution in page["executions"]
    ]
    return sorted(found, key=lambda execution: execution["startDate"], reverse=True)


def history(platform: Platform, execution_arn: str) -> list[Event]:
    """All events of an execution, oldest first."""
    pages = platform.access.states.get_paginator("get_execution_history").paginate(executionArn=execution_arn)
    return [event for page in pages for event in page["events"]]


def progress(platform: Platform, execution_arn: str) -> Progress:
    """An execution as it stands, its job runs included.

    Raises:
        OpsError: there is no such execution.
    """
    try:
        description = platform.access.states.describe_execution(executionArn=execution_arn)
        events = history(platform, execution_arn)
    except ClientError as error:
        raise OpsError(f"execution {execution_arn}: {error.response['Error']['Message']}") from None
    run_id, status, ended = executions.run_id(events), description["status"], description.get("stopDate")
    failure = executions.failure(status, events)
    return Progress(
        execution_arn=execution_arn,
        status=status,
        redrive_count=description.get("redriveCount", 0),
        started=description["startDate"],
        ended=ended,
        steps=executions.steps(events),
        jobs=jobs(platform, run_id, description["startDate"]),
        run_id=run_id,
        output=json.loads(description.get("output") or "{}"),
        failure=failure,
        redrivable_until=ended + executions.REDRIVABLE_FOR
        if ended and description.get("redriveStatus") == "REDRIVABLE"
        else None,
        plan=_plan(platform, execution_arn, events) if failure else None,
        superseded_by=_successor(platform, run_id) if failure else None,
    )


def _plan(platform: Platform, execution_arn: str, events: Sequence[Event]) -> Plan:
    machine = platform.access.states.describe_state_machine_for_execution(executionArn=execution_arn)
    return executions.redrive_plan(events, json.loads(machine["definition"]))


def _successor(platform: Platform, run_id: str | None) -> str | None:
    run = platform.ledger.run(run_id) if run_id else None
    return run.superseded_by if run else None


def jobs(platform: Platform, run_id: str | None, since: datetime.datetime) -> list[dict[str, Any]]:
    """The job runs of a run, oldest first: step, subject, attempt, state, seconds."""
    if run_id is None:
        return []
    pages = platform.access.emr.get_paginator("list_job_runs").paginate(
        applicationId=platform.application_id, createdAtAfter=since - datetime.timedelta(minutes=1)
    )
    found = []
    for page in pages:
        for job in page["jobRuns"]:
            parts = job.get("name", "").split(":")
            if parts[0] == run_id:
                seconds = (job["updatedAt"] - job["createdAt"]).total_seconds()
                found.append(
                    {
                        "job_run_id": job["id"],
                        "step": parts[1],
                        "subject": parts[2],
                        "attempt": int(parts[4]),
                        "state": job["state"],
                        "state_details": job.get("stateDetails", ""),
                        "created": job["createdAt"],
                        "updated": job["updatedAt"],
                        "seconds": seconds,
                    }
                )
    return list(reversed(found))


def watch(platform: Platform, execution_arn: str, show: Callable[[Progress], None] | None = None) -> Progress:
    """Follow an execution until it ends, telling `show` how it goes on."""
    states = platform.access.states
    while states.describe_execution(executionArn=execution_arn)["status"] == "RUNNING":
        if show is not None:
            show(progress(platform, execution_arn))
        time.sleep(POLL_SECONDS)
    now = progress(platform, execution_arn)
    if show is not None:
        show(now)
    return now


def redrive(platform: Platform, execution_arn: str) -> None:
    """Redrive an execution.

    Raises:
        OpsError: Step Functions refuses; the sentence gives its reason.
    """
    try:
        platform.access.states.redrive_execution(executionArn=execution_arn)
    except ClientError as error:
        raise OpsError(f"cannot be redriven: {error.response['Error']['Message']}") from None
