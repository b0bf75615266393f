"""Write down how an attempt ended, give back its leases, and answer the task that waits for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lambdas.emr import JobRun, JobRuns
from lambdas.leases import Leases
from lambdas.ledger import FAILED, SUCCEEDED, Ledger, Step
from lambdas.outcomes import Outcome, answer_failure, answer_success, name_of, outcome_of, task_output
from lambdas.receipts import Lake
from lambdas.runtime import count, log

if TYPE_CHECKING:
    from types_boto3_stepfunctions import SFNClient


@dataclass(frozen=True, kw_only=True)
class Settler:
    """What launch_job and job_finished share: both may be the one to learn that a job run has ended."""

    ledger: Ledger
    lake: Lake
    jobs: JobRuns
    sfn: SFNClient

    @property
    def leases(self) -> Leases:
        """The leases, on the same clients."""
        return Leases(ledger=self.ledger, jobs=self.jobs, sfn=self.sfn)

    def settle(self, step: Step, job: JobRun) -> bool:
        """Write the outcome of a terminal job run and give back the leases, in one transaction.

        Returns:
            False when the record, or a lease, was not as it was read: look again.
        """
        name = name_of(step)
        outcome = outcome_of(name, job, self.lake.read(name.receipt_key))
        ended = step.change(status=outcome.status, error=outcome.error, cause=outcome.cause, job_run_id=job.job_run_id)
        written = self.ledger.write(ended, *self.leases.releases(step))
        if written:
            count("JobRunsSucceeded" if outcome.status == SUCCEEDED else "JobRunsFailed")
            log(
                "job run settled",
                step=step.step,
                subject=step.subject,
                attempt=step.attempt,
                job_run_id=job.job_run_id,
                state=job.state,
                error=outcome.error,
            )
        return written

    def answer(self, step: Step) -> bool:
        """Tell the waiting task how its step ended; telling it twice changes nothing.

        Returns:
            False when the step is said to have succeeded but its receipt is gone: nothing was told.
        """
        if step.status == FAILED:
            answer_failure(self.sfn, step.token, Outcome(status=FAILED, error=step.error, cause=step.cause))
            return True
        receipt = self.lake.read(name_of(step).receipt_key)
        if receipt is None:
            return False
        answer_success(self.sfn, step.token, task_output(step, receipt))
        return True
