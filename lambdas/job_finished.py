"""JobFinished: EMR says that a job run changed its state; if it has ended, answer the task that waits for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts.errors import InvalidRequestError, SourceUnavailableError
from lambdas import aws, runtime
from lambdas.emr import JobRun, JobRuns
from lambdas.ledger import RUNNING, STARTING
from lambdas.names import JobName
from lambdas.payloads import Json, text_of
from lambdas.receipts import Lake
from lambdas.settings import FinishedSettings
from lambdas.settling import Settler

TRIES = 5


@runtime.handler
def lambda_handler(event: Mapping[str, Any]) -> Json:
    """Settle the job run that the event is about.

    Events come at least once and in any order, so the event only says where to look; GetJobRun says what is so.

    Source: https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/using-eventbridge.html
    """
    settings = runtime.settings(FinishedSettings)
    jobs = JobRuns(aws.emr_serverless(), settings.application_id)
    settler = Settler(
        ledger=runtime.ledger(), lake=Lake(aws.s3(), settings.lake_bucket), jobs=jobs, sfn=aws.stepfunctions()
    )
    job = jobs.get(text_of(event.get("detail", {}), "jobRunId"))
    action = finish(settler, job)
    runtime.log("job run looked at", action=action, job_run_id=job.job_run_id, state=job.state)
    return {"action": action}


def finish(settler: Settler, job: JobRun) -> str:
    """Settle a job run and answer its task, once or again.

    Returns:
        LIVE, FOREIGN (not a job run of the ledger), SUPERSEDED (a later attempt took over), ANSWERED or UNANSWERED.
    Raises:
        SourceUnavailableError: the record kept changing; the event is delivered again.
    """
    if job.is_live:
        return "LIVE"
    try:
        name = JobName.parse(job.name)
    except InvalidRequestError:
        return "FOREIGN"
    runtime.identify(name.run_id)
    for _ in range(TRIES):
        step = settler.ledger.step(name.run_id, name.step, name.subject)
        if step is None:
            return "FOREIGN"
        if step.attempt != name.attempt or step.job_run_id not in {None, job.job_run_id}:
            return "SUPERSEDED"
        if step.status not in {STARTING, RUNNING}:
            return "ANSWERED" if settler.answer(step) else "UNANSWERED"
        settler.settle(step, job)
    raise SourceUnavailableError(f"{name}: its record kept changing; the event will come again")
