"""How an attempt at a step ended, in the words of the ledger and of the state machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from contracts import errors
from lambdas.aws import error_code
from lambdas.emr import SUCCESS, JobRun
from lambdas.ledger import FAILED, SUCCEEDED, Step
from lambdas.names import JobName
from lambdas.payloads import Json, encoded
from lambdas.runtime import count, log

if TYPE_CHECKING:
    from types_boto3_stepfunctions import SFNClient

CAUSE_CHARACTERS = 2_000
DETAIL_CHARACTERS = 500
# The task is over: answered before, timed out, or its execution has moved on. The receipt stands all the same.
CLOSED = frozenset({"InvalidToken", "TaskDoesNotExist", "TaskTimedOut"})
ERROR_NAMES = frozenset(
    name
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, errors.AssayError) and value is not errors.AssayError
)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """SUCCEEDED, or FAILED with an error of contracts.errors and its cause."""

    status: str
    error: str | None = None
    cause: str | None = None


def name_of(step: Step) -> JobName:
    """What the attempt's job run is called."""
    return JobName(run_id=step.run_id, step=step.step, subject=step.subject, round=step.round, attempt=step.attempt)


def outcome_of(name: JobName, job: JobRun, receipt: Mapping[str, Any] | None) -> Outcome:
    """The outcome of a job run that is terminal.

    Args:
        name: the attempt.
        job: the job run, terminal.
        receipt: what lies at the attempt's receipt key; None when nothing does.
    """
    told = receipt if receipt is not None and _is_of(receipt, name) else None
    where = f"job run {job.job_run_id} ({name.step} {name.subject}, attempt {name.attempt})"
    if job.state == SUCCESS:
        if told and told.get("status") == SUCCEEDED:
            return Outcome(status=SUCCEEDED)
        cause = f"{where} ended SUCCESS, but {name.receipt_key} holds no receipt of it; redrive the execution"
        return Outcome(status=FAILED, error=errors.ReceiptMissingError.__name__, cause=cause)
    if told and told.get("status") == FAILED and told.get("error") in ERROR_NAMES:
        return Outcome(status=FAILED, error=str(told["error"]), cause=str(told.get("cause", ""))[:CAUSE_CHARACTERS])
    reason = str(told.get("error")) if told and told.get("status") == FAILED else "it left no receipt"
    details = job.details[-DETAIL_CHARACTERS:]
    cause = f"{where} ended {job.state}: {reason}. EMR says: {details or 'nothing'}"
    return Outcome(status=FAILED, error=errors.SparkJobFailedError.__name__, cause=cause)


def _is_of(receipt: Mapping[str, Any], name: JobName) -> bool:
    mine = (name.run_id, name.step, name.subject, name.attempt)
    return tuple(receipt.get(part) for part in ("run_id", "step", "subject", "attempt")) == mine


def task_output(step: Step, receipt: Mapping[str, Any]) -> Json:
    """What the state machine gets of a receipt: pointers and counts.

    The redrive count comes from the ledger: a receipt without one must not look older than it is to a gate.
    """
    name = name_of(step)
    return {
        "step": name.step,
        "subject": name.subject,
        "receipt": name.receipt_key,
        "attempt": name.attempt,
        "round": name.round,
        "verdict": receipt.get("verdict"),
        "verdict_redrive_count": step.redrive_count,
        "published": receipt.get("published"),
        "rows": receipt.get("rows"),
        "tables": {each["table"]: each["rows"] for each in receipt.get("tables") or []},
    }


def answer_success(sfn: SFNClient, token: str, output: Json) -> bool:
    """Complete the waiting task; False when it is over already."""
    return _answered(lambda: sfn.send_task_success(taskToken=token, output=encoded(output)))


def answer_failure(sfn: SFNClient, token: str, outcome: Outcome) -> bool:
    """Fail the waiting task by the error's name; False when it is over already."""
    error = outcome.error or errors.SparkJobFailedError.__name__
    cause = (outcome.cause or "")[:CAUSE_CHARACTERS]
    return _answered(lambda: sfn.send_task_failure(taskToken=token, error=error, cause=cause))


def _answered(call: Any) -> bool:
    try:
        call()
    except ClientError as refused:
        if error_code(refused) not in CLOSED:
            raise
        count("LateAnswers")
        log("the task was over before its answer", error=error_code(refused))
        return False
    return True
