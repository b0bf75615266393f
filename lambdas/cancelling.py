"""Cancel what an execution left running, when it was stopped or timed out and is so still."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from contracts.errors import SourceUnavailableError
from lambdas.ledger import FAILED, RUNNING, STARTING, Step
from lambdas.outcomes import name_of
from lambdas.settling import Settler

TRIES = 5
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


def cancel_step(settler: Settler, step: Step, is_still_so: Callable[[], bool]) -> str:
    """End a step of a stopped execution.

    The record is read before the execution is looked at, and marked before anything is cancelled: a redrive in between
    writes its own token into the record, so that either this call sees the redrive or the redrive sees the mark.

    Args:
        settler: the ledger and the job runs.
        step: the record as it was read.
        is_still_so: whether the execution is stopped now.
    Returns:
        CANCELLED, ENDED (it had ended), REDRIVEN (nothing is to be cancelled any more), or GIVEN_UP: an intent without
        a job run, marked so that a late StartJobRun is cancelled by the Lambda that made it.
    Raises:
        SourceUnavailableError: the record kept changing.
    """
    for _ in range(TRIES):
        if step.status not in {STARTING, RUNNING}:
            return "ENDED"
        job_run_id = step.job_run_id or settler.jobs.find(str(name_of(step)))
        if job_run_id is not None and not settler.jobs.get(job_run_id).is_live:
            return "ENDED"
        if not is_still_so():
            return "REDRIVEN"
        if job_run_id is None:
            cause = "the execution was stopped before the job run was started; redrive it"
            given_up = step.change(status=FAILED, error="SparkJobFailedError", cause=cause)
            if settler.ledger.write(given_up, *settler.leases.releases(step)):
                return "GIVEN_UP"
        elif settler.ledger.change(step, stopped=True):
            settler.jobs.cancel(job_run_id)
            return "CANCELLED"
        now = settler.ledger.step(step.run_id, step.step, step.subject)
        if now is None:
            return "ENDED"
        step = now
    raise SourceUnavailableError(f"{name_of(step)}: its record kept changing; the event will come again")
