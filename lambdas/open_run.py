"""OpenRun: make the run_id, claim the data date or take it over from a dead run, pin the digests."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from lambdas import aws, runtime
from lambdas.digests import released
from lambdas.names import PIPELINE
from lambdas.opening import Opening, open_run
from lambdas.payloads import Json, text_of
from lambdas.settings import OpenSettings


@runtime.handler
def lambda_handler(event: Mapping[str, Any]) -> Json:
    """Open the run of an execution.

    Args:
        event: execution_arn, request: the execution's input, and workflow: whose it is; the daily one's unless told.
    """
    settings = runtime.settings(OpenSettings)
    opening = Opening(
        execution_arn=text_of(event, "execution_arn"),
        request=event.get("request") or {},
        workflow=event.get("workflow") or PIPELINE,
        now=datetime.now(UTC).replace(microsecond=0),
        unique=uuid.uuid4().hex,
        code_digest=settings.code_digest,
        released=released(),
        sources=settings.sources,
        can_still_run=lambda execution_arn: aws.is_running(aws.stepfunctions(), execution_arn),
    )
    answer = open_run(runtime.ledger(), opening)
    runtime.identify(answer["run_id"])
    runtime.log("run opened", disposition=answer["disposition"], data_date=answer["data_date"])
    return answer
