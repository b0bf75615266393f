"""LaunchJob: ensure the job run of a step; the task waits for its token."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from lambdas import aws, runtime
from lambdas.emr import JobRuns
from lambdas.jobs import Ask
from lambdas.launching import Launcher
from lambdas.payloads import Json
from lambdas.receipts import Lake
from lambdas.settings import LaunchSettings


@runtime.handler
def lambda_handler(event: Mapping[str, Any]) -> Json:
    """Ensure a job run.

    Args:
        event: run_id, step, subject, round, redrive_count, retry_count, receipts, and the token to answer.
    """
    ask = Ask.read(event)
    settings = runtime.settings(LaunchSettings)
    launcher = Launcher(
        ledger=runtime.ledger(),
        lake=Lake(aws.s3(), settings.lake_bucket),
        jobs=JobRuns(aws.emr_serverless(), settings.application_id),
        sfn=aws.stepfunctions(),
        s3=aws.s3(),
        settings=settings,
        now=datetime.now(UTC),
    )
    action = launcher.ensure(ask)
    runtime.log("step taken care of", action=action, step=ask.step, subject=ask.subject, round=ask.round)
    return {"action": action}
