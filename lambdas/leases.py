"""One writer a table: leases that never expire by time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts import contract as contracts
from contracts.errors import LeaseHeldError
from lambdas.aws import is_running
from lambdas.emr import JobRuns
from lambdas.ledger import FAILED, RUNNING, STARTING, Lease, Ledger, Step
from lambdas.outcomes import name_of
from lambdas.store import Replace

if TYPE_CHECKING:
    from types_boto3_stepfunctions import SFNClient

TRIES = 5
PUBLISHED = {"publish_silver": ("silver",), "publish_gold": ("silver", "gold")}


def tables_written(step: str, subject: str) -> tuple[str, ...]:
    """The shared tables that a step writes, in the order in which their leases are taken.

    Candidates are not shared: each attempt has a path of its own.
    """
    if step == "ingest":
        return (contracts.of_source(subject).table,)
    if step == "restore_silver":
        return (f"silver/{subject}",)
    layers = (subject,) if step == "maintain" else PUBLISHED.get(step, ())
    return tuple(sorted(each.table for each in contracts.load_all() if each.layer in layers)) if layers else ()


def tables_of_rejected(step: str) -> tuple[str, ...]:
    """The tables that a step writes only where a person has rejected rows; ingest's go under the lease of its table."""
    if step == "bronze_to_silver":
        return tuple(sorted(each.quarantine for each in contracts.load_all() if each.layer == "silver"))
    return ()


@dataclass(frozen=True, kw_only=True)
class Leases:
    """Take and give back leases, looking at the holder's job run where one is held."""

    ledger: Ledger
    jobs: JobRuns
    sfn: SFNClient

    def acquire(self, step: Step, *, rejects: bool = False) -> list[Lease]:
        """The leases that an attempt needs, all held by it.

        Args:
            step: the attempt.
            rejects: whether a person has rejected rows that it would else pass on.
        Raises:
            LeaseHeldError: another attempt holds one and may still write.
        """
        tables = tables_written(step.step, step.subject) + (tables_of_rejected(step.step) if rejects else ())
        return [self._acquire(step, table) for table in tables]

    def releases(self, step: Step) -> list[Replace]:
        """The writes that give back what an attempt holds."""
        tables = tables_written(step.step, step.subject) + tables_of_rejected(step.step)
        found = (self.ledger.lease(table) for table in tables)
        return [lease.change(held=False) for lease in found if lease and lease.is_held_by(step)]

    def _acquire(self, step: Step, table: str) -> Lease:
        wanted = Lease(
            table=table,
            epoch=1,
            held=True,
            run_id=step.run_id,
            step=step.step,
            subject=step.subject,
            attempt=step.attempt,
        )
        for _ in range(TRIES):
            lease = self.ledger.lease(table)
            if lease is None:
                taken = self.ledger.add(wanted)
            elif lease.is_held_by(step):
                return lease
            elif not lease.held or self._is_over(lease):
                taken = self.ledger.change(lease, **wanted.values() | {"epoch": lease.epoch + 1})
            else:
                break
            if taken:
                return taken
        holder = self.ledger.lease(table) or wanted
        raise LeaseHeldError(
            f"{table} is written by run {holder.run_id}, step {holder.step} {holder.subject}, attempt {holder.attempt} "
            f"(job run {holder.job_run_id or 'not known yet'}); it passes on when that job run has ended"
        )

    def _is_over(self, lease: Lease) -> bool:
        """Whether the holder can no longer write; time alone never makes it so."""
        holder = self.ledger.step(lease.run_id, lease.step, lease.subject)
        if holder is None or holder.attempt != lease.attempt:
            # a later attempt exists only because this one's job run was terminal
            return holder is not None and holder.attempt > lease.attempt
        if holder.status == RUNNING:
            return not self.jobs.get(str(holder.job_run_id)).is_live
        if holder.status != STARTING:
            return True
        return self._is_abandoned(holder)

    def _is_abandoned(self, holder: Step) -> bool:
        """Whether an intent without a job run will not be followed up, and is marked so.

        Its execution has ended, so no state will try again, and no live job run has its name. Should a last Lambda
        still start one, its record fails on the mark, and it cancels what it started.
        """
        run = self.ledger.run(holder.run_id)
        if run is None or is_running(self.sfn, run.execution_arn) or self.jobs.find(str(name_of(holder))):
            return False
        cause = f"the execution ended before the job run of attempt {holder.attempt} was started; redrive it"
        return self.ledger.change(holder, status=FAILED, error="SparkJobFailedError", cause=cause) is not None
