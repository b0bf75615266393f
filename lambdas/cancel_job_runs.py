"""CancelJobRuns: an execution was stopped or timed out; no orphan of it keeps writing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lambdas import aws, runtime
from lambdas.cancelling import cancel_step, still_so
from lambdas.emr import JobRuns
from lambdas.payloads import Json, text_of
from lambdas.receipts import Lake
from lambdas.settings import FinishedSettings
from lambdas.settling import Settler


@runtime.handler
def lambda_handler(event: Mapping[str, Any]) -> Json:
    """Cancel the live job runs of an execution's run.

    Args:
        event: a Step Functions Execution Status Change. Those for FAILED never get here: siblings of a failed branch
            finish, and a redrive takes up their receipts.
    """
    settings, detail = runtime.settings(FinishedSettings), event.get("detail", {})
    execution_arn = text_of(detail, "executionArn")
    settler = Settler(
        ledger=runtime.ledger(),
        lake=Lake(aws.s3(), settings.lake_bucket),
        jobs=JobRuns(aws.emr_serverless(), settings.application_id),
        sfn=aws.stepfunctions(),
    )

    def is_still_so() -> bool:
        return still_so(detail, settler.sfn.describe_execution(executionArn=execution_arn))

    run = settler.ledger.run_of(execution_arn)
    if run is None or not is_still_so():
        runtime.log("nothing to cancel", execution_arn=execution_arn, status=detail.get("status"))
        return {"cancelled": []}
    runtime.identify(run.run_id)
    cancelled = []
    for step in settler.ledger.steps(run.run_id):
        action = cancel_step(settler, step, is_still_so)
        runtime.log("step of a stopped execution", step=step.step, action=action)
        if action == "CANCELLED":
            runtime.count("JobRunsCancelled")
            cancelled.append(f"{step.step}/{step.subject}")
    return {"cancelled": cancelled}
