"""Cancel what an execution left running, when it was stopped or timed out and is so still."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lambdas.ledger import FAILED, RUNNING, STARTING, Step
from lambdas.outcomes import name_of
from lambdas.settling import Settler

CANCELLED_ON = frozenset({"ABORTED", "TIMED_OUT"})


def still_so(detail: Mapping[str, Any], description: Mapping[str, Any]) -> bool:
    """Whether an execution is still as an event said.

    An event may come after a redrive has adopted the job runs; the redrive count tells, and the time of the stop for
    an event that carries no count.

    Args:
        detail: of a "Step Functions Execution Status Change".
        description: DescribeExecution's answer.
    Source: https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
    """
    if detail.get("status") not in CANCELLED_ON or description.get("status") != detail.get("status"):
        return False
    if detail.get("redriveCount") is not None:
        return int(detail["redriveCount"]) == int(description.get("redriveCount") or 0)
    stopped = description.get("stopDate")
    return isinstance(stopped, datetime) and int(stopped.timestamp() * 1000) == detail.get("stopDate")


def cancel_step(settler: Settler, step: Step) -> str:
    """End a step of a stopped execution.

    Returns:
        CANCELLED, ENDED (it had ended), or GIVEN_UP: an intent without a job run, marked so that a late StartJobRun is
        cancelled by the Lambda that made it.
    """
    job_run_id = step.job_run_id
    if step.status == STARTING:
        job_run_id = settler.jobs.find(str(name_of(step)))
        if job_run_id is None:
            cause = "the execution was stopped before the job run was started; redrive it"
            settler.ledger.write(
                step.change(status=FAILED, error="SparkJobFailedError", cause=cause), *settler.leases.releases(step)
            )
            return "GIVEN_UP"
    if step.status not in {STARTING, RUNNING} or job_run_id is None:
        return "ENDED"
    if not settler.jobs.get(job_run_id).is_live:
        return "ENDED"
    settler.jobs.cancel(job_run_id)
    return "CANCELLED"
