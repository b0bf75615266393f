"""Ensure that a step has a job run, and that the task which asks is answered by it.

Every call may be the last one before a crash, so each is preceded by an intent in the ledger, and each can be made
again: the token is stored before the job run is looked at, the intent before StartJobRun, and StartJobRun carries the
attempt's own client token.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from contracts import contract as contracts
from contracts.errors import LeaseHeldError, LeaseWaitOverError, ReceiptMissingError, SourceUnavailableError
from lambdas import requests
from lambdas.arrivals import claim, list_landed, matching
from lambdas.digests import check_compatible, released
from lambdas.emr import JobRun
from lambdas.intervals import from_iso, iso
from lambdas.jobs import Ask, Next, Work, decide
from lambdas.ledger import FAILED, RUNNING, STARTING, Lease, Rejection, Run, Step, Waiver
from lambdas.names import JUDGES, MAKES_SILVER, JobName
from lambdas.outcomes import Outcome, answer_failure, answer_success, name_of, task_output
from lambdas.records import DigestChange
from lambdas.rejections import concerning, rejections_of
from lambdas.runtime import count, log
from lambdas.settings import LaunchSettings
from lambdas.settling import Settler
from lambdas.submission import start_job_run
from lambdas.waivers import in_force

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

TRIES = 10


@dataclass(frozen=True, kw_only=True)
class Launcher(Settler):
    """The imperative part of launch_job.

    Attributes:
        now: UTC; it decides which waivers are in force and when a wait is over, and nothing else.
    """

    s3: S3Client
    settings: LaunchSettings
    now: datetime

    def ensure(self, ask: Ask) -> str:
        """Do what `jobs.decide` says until the ask is taken care of.

        Returns:
            What was done last, for the log.
        Raises:
            LeaseHeldError: a live job run is in the way; the state waits and asks again.
            LeaseWaitOverError: it has done so for as long as the stage says; the execution fails, and a redrive of it
                waits anew.
            InvalidRequestError, RunSupersededError: the run is not one that may write.
            BreakingContractChangeError: a new job run would judge the run's data by other rows.
            SourceUnavailableError: others kept changing the same records.
        """
        try:
            return self._ensure(ask)
        except LeaseHeldError as held:
            self._wait(ask, held)
            raise

    def _ensure(self, ask: Ask) -> str:
        run = self.ledger.live_run(ask.run_id)
        today = self._today()
        intended = False
        for _ in range(TRIES):
            step = self.ledger.step(ask.run_id, ask.step, ask.subject)
            job = self.jobs.get(str(step.job_run_id)) if step and step.status == RUNNING else None
            following = decide(step, ask, job.state if job else None, bool(job and job.is_live), today)
            if following in {Next.BEGIN, Next.RENEW}:
                if intended:
                    # One attempt a call: what was given up meanwhile may belong to a stopped execution.
                    raise LeaseHeldError(f"{ask.step} {ask.subject}: given up by another while it started; ask again")
                intended = self._intend(run, ask, step, today)
            elif step is None or self._do(following, run, ask, step, job, today):
                return following.name
        raise SourceUnavailableError(f"{ask.step} {ask.subject}: its record kept changing; ask again")

    def _wait(self, ask: Ask, held: LeaseHeldError) -> None:
        """Note since when a step waits under this redrive count; raise once that is too long.

        The state's retrier cannot take its number from a setting, so it asks for ever and this says when to stop.
        """
        for _ in range(TRIES):
            step = self.ledger.step(ask.run_id, ask.step, ask.subject)
            if step is None or step.token_order > ask.token_order:
                return
            since = from_iso(step.waits_since) if step.waits_under == ask.redrive_count else None
            if since is not None and self.now - since >= timedelta(minutes=self.settings.lease_wait_minutes):
                raise LeaseWaitOverError(
                    f"{name_of(step)} has waited since {step.waits_since}, longer than the stage's job."
                    f"lease_wait_minutes of {self.settings.lease_wait_minutes}: {held}. Redrive this execution after "
                    "that; it goes on from this step"
                ) from held
            if since is not None:
                return
            from_now = iso(self.now.replace(microsecond=0))
            if self.ledger.change(step, waits_since=from_now, waits_under=ask.redrive_count):
                return

    def _do(self, following: Next, run: Run, ask: Ask, step: Step, job: JobRun | None, today: Work) -> bool:
        """Take one step; True when the ask is taken care of."""
        if following is Next.IGNORE:
            return True
        if following is Next.KEEP_TOKEN:
            self.ledger.change(step, token=ask.token, token_order=ask.token_order)
        elif following is Next.START:
            return self._start(run, ask, step, today)
        elif following is Next.FIND:
            self._find(step)
        elif following is Next.ANSWER:
            return self._answer_at_once(ask, step)
        elif job is None or following is Next.ADOPT:
            count("JobRunsAdopted")
            return True
        elif following is Next.SETTLE:
            return self._settle(ask, step, job)
        else:
            self._stand_back(following, step, job)
        return False

    def _intend(self, run: Run, ask: Ask, step: Step | None, today: Work) -> bool:
        """Write the intent of a new attempt; False when another was quicker."""
        self._compare(run, ask, today)
        fresh = Step(
            run_id=ask.run_id,
            step=ask.step,
            subject=ask.subject,
            round=ask.round,
            attempt=step.attempt + 1 if step else 1,
            status=STARTING,
            token=ask.token,
            token_order=ask.token_order,
            redrive_count=ask.redrive_count,
        )
        # Token and attempt in one write: a late event of the old attempt must not answer the new token.
        written = self.ledger.change(step, **fresh.values()) if step else self.ledger.add(fresh)
        return written is not None

    def _start(self, run: Run, ask: Ask, step: Step, today: Work) -> bool:
        rejections = concerning(rejections_of(self.ledger, run), ask.step, ask.subject)
        leases = self.leases.acquire(step, rejects=bool(rejections))
        name = name_of(step)
        request = self.lake.create(name.request_key, self._request(run, ask, name, today, rejections))
        job_run_id = self.jobs.start(start_job_run(self.settings, name)) or self.jobs.find(
            str(name), since=from_iso(run.opened_at)
        )
        if job_run_id is None:
            self._give_up(step, "EMR knows its client token, but no job run of its name")
            return False
        known = {
            "redrive_count": request["redrive_count"],
            "input_digest": request["input_digest"],
            "code_digest": request["code_digest"],
            "contracts_digest": request["contracts_digest"],
        }
        if not self._record(step, job_run_id, leases, **known):
            return False
        count("JobRunsStarted")
        log(
            "job run started",
            step=name.step,
            subject=name.subject,
            attempt=name.attempt,
            job_run_id=job_run_id,
            **known,
        )
        return True

    def _record(self, step: Step, job_run_id: str, leases: list[Lease], **known: object) -> bool:
        """Write down a job run's id, in the step and in its leases; False: look again.

        Raises:
            LeaseHeldError: the attempt was given up by another run meanwhile, so what was started is cancelled.
        """
        running = step.change(status=RUNNING, job_run_id=job_run_id, waits_since=None, waits_under=None, **known)
        if self.ledger.write(running, *(lease.change(job_run_id=job_run_id) for lease in leases)):
            return True
        now = self.ledger.step(step.run_id, step.step, step.subject)
        if now and now.attempt == step.attempt and (now.job_run_id == job_run_id or now.status == STARTING):
            return False
        self.jobs.cancel(job_run_id)
        raise LeaseHeldError(f"{name_of(step)}: given up while it started; its job run {job_run_id} is cancelled")

    def _find(self, step: Step) -> None:
        job_run_id = self.jobs.find(str(name_of(step)))
        if job_run_id is None:
            self._give_up(step, "its round is over and it has no live job run")
        else:
            self._record(step, job_run_id, [])

    def _settle(self, ask: Ask, step: Step, job: JobRun) -> bool:
        """Settle; a failure under this same redrive is told by its own name, so that the right retrier counts it."""
        if not self.settle(step, job):
            return False
        ended = self.ledger.step(step.run_id, step.step, step.subject)
        if ended is None or ended.status != FAILED or ended.attempt != step.attempt:
            return False
        if (ended.redrive_count, ended.round) != (ask.redrive_count, ask.round):
            return False
        answer_failure(self.sfn, ask.token, Outcome(status=FAILED, error=ended.error, cause=ended.cause))
        return True

    def _answer_at_once(self, ask: Ask, step: Step) -> bool:
        name = name_of(step)
        receipt = self.lake.read(name.receipt_key)
        if receipt is None:
            cause = f"{name.receipt_key}: the receipt is gone; a new attempt writes another"
            self.ledger.change(step, status=FAILED, error=ReceiptMissingError.__name__, cause=cause)
            return False
        answer_success(self.sfn, ask.token, task_output(step, receipt))
        count("StepsAnsweredFromReceipt")
        return True

    def _stand_back(self, following: Next, step: Step, job: JobRun) -> None:
        if following is Next.CANCEL:
            self.jobs.cancel(job.job_run_id)
            count("JobRunsCancelled")
        raise LeaseHeldError(
            f"{name_of(step)}: job run {job.job_run_id} ({job.state}) of an earlier round, or of replaced code, may "
            "still write; this step waits for its end"
        )

    def _give_up(self, step: Step, reason: str) -> None:
        self.ledger.change(step, status=FAILED, error="SparkJobFailedError", cause=f"{name_of(step)}: {reason}")

    def _today(self) -> Work:
        return Work(code_digest=self.settings.code_digest, contracts_digest=contracts.digest())

    def _compare(self, run: Run, ask: Ask, today: Work) -> None:
        """Refuse a breaking change before a job run is started; put any other change on record."""
        if (today.code_digest, today.contracts_digest) == (run.code_digest, run.contracts_digest):
            return
        check_compatible(run.schemas, released())
        change = DigestChange(
            run_id=run.run_id,
            code_digest=today.code_digest,
            contracts_digest=today.contracts_digest,
            step=ask.step,
            redrive_count=ask.redrive_count,
        )
        if self.ledger.add(change):
            count("DigestsChanged")
            log("code or contracts changed under the run", step=ask.step, code_digest=today.code_digest)

    def _request(
        self, run: Run, ask: Ask, name: JobName, today: Work, rejections: list[Rejection]
    ) -> dict[str, object]:
        return requests.build(
            ask=ask,
            name=name,
            run=run,
            inputs=requests.without_rejected(self._inputs(run, ask), rejections),
            work=today,
            bucket=self.lake.bucket,
            secret_arn=self._secret_arn(ask),
            fail_from=self.settings.fail_from,
            waivers=self._waivers(ask),
            rejections=rejections,
            superseded=self.ledger.superseded_by(run) if rejections else [],
        )

    def _secret_arn(self, ask: Ask) -> str | None:
        """The secret that the step's job reads: its source's, or the key of the tokens that silver makes."""
        if ask.step in MAKES_SILVER:
            return self.settings.pii_key_arn
        return self.settings.secret_arns.get(ask.subject) if ask.step == "ingest" else None

    def _waivers(self, ask: Ask) -> list[Waiver]:
        """What a step that judges expectations may pass over."""
        return in_force(self.ledger.waivers(ask.run_id), self.now) if ask.step in JUDGES else []

    def _inputs(self, run: Run, ask: Ask) -> requests.Inputs:
        """What a new attempt reads, looked up afresh: a file put right after a failure must be the one it takes."""
        if ask.step != "ingest":
            return requests.receipt_inputs(ask.receipts)
        contract = contracts.of_source(ask.subject)
        if (contract.source or {})["kind"] != "files":
            return requests.database_inputs(contract, run, ask.round)
        landed = matching(contract, list_landed(self.s3, self.lake.bucket, contract))
        return requests.file_inputs(contract, claim(self.ledger, contract, landed, run))
