"""Ensure a job run: what to do next for a step, given its record, its job run and the ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Self

from lambdas.ledger import FAILED, STARTING, SUCCEEDED, Step
from lambdas.names import check_step
from lambdas.payloads import count_of, text_of, texts_of


class Next(Enum):
    """The one thing to do next; launch_job does it and looks again."""

    BEGIN = auto()
    """No record: write the intent of the first attempt."""
    RENEW = auto()
    """The last attempt is over, and is no answer to this ask: write the intent of a new one."""
    KEEP_TOKEN = auto()
    """An attempt is on its way: store this ask's token, then look again."""
    START = auto()
    """The intent stands: start its job run, or learn that it was started."""
    FIND = auto()
    """An intent of an older round: find its job run, or give the attempt up."""
    ADOPT = auto()
    """The job run is live and has this token: leave it to its end."""
    SETTLE = auto()
    """The job run has ended and the ledger does not know."""
    ANSWER = auto()
    """It succeeded in this round: answer from its receipt."""
    CANCEL = auto()
    """It is live with code or contracts that a person has replaced: cancel it, and wait for its end."""
    WAIT = auto()
    """It is live and cannot serve this ask: wait for its end."""
    IGNORE = auto()
    """A newer ask has been here: this one is a leftover of a Lambda that was given up."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What the state asks for: a step, in a round, answered to a token.

    Attributes:
        redrive_count: the execution's, 0 before the first redrive.
        retry_count: the state's own; it starts again at 0 in a redrive.
        receipts: the receipt keys that the job may read.
    """

    run_id: str
    step: str
    subject: str
    round: int
    redrive_count: int
    retry_count: int
    token: str
    receipts: tuple[str, ...]

    @classmethod
    def read(cls, event: Mapping[str, Any]) -> Self:
        """The ask in launch_job's event.

        Raises:
            InvalidRequestError: a part is missing or not allowed.
        """
        run_id, step, subject = text_of(event, "run_id"), text_of(event, "step"), text_of(event, "subject")
        check_step(run_id, step, subject)
        return cls(
            run_id=run_id,
            step=step,
            subject=subject,
            round=count_of(event, "round"),
            redrive_count=count_of(event, "redrive_count"),
            retry_count=count_of(event, "retry_count"),
            token=text_of(event, "token"),
            receipts=texts_of(event, "receipts"),
        )

    @property
    def token_order(self) -> str:
        """Ranks the tokens of a step by age, as text: later asks are larger."""
        return f"{self.redrive_count:06d}.{self.round:06d}.{self.retry_count:06d}"


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a job runs with today."""

    code_digest: str
    contracts_digest: str


def decide(step: Step | None, ask: Ask, job_state: str | None, is_live: bool, today: Work) -> Next:
    """The one thing to do next.

    Args:
        step: the ledger's record.
        ask: what the state wants.
        job_state: EMR's state of the record's job run; None while its id is not known.
        is_live: whether that state is one in which the driver may still write.
        today: the code and contracts a new job run would get.
    """
    if step is None:
        return Next.BEGIN
    if step.token_order > ask.token_order:
        return Next.IGNORE
    if step.status == SUCCEEDED:
        return Next.ANSWER if step.round == ask.round else Next.RENEW
    if step.status == FAILED:
        return Next.RENEW
    if step.status == STARTING:
        if step.round != ask.round:
            return Next.FIND
        return Next.START if step.token == ask.token else Next.KEEP_TOKEN
    if not is_live:
        return Next.SETTLE
    if job_state == "CANCELLING" or step.stopped or step.round != ask.round:
        return Next.WAIT
    if _was_replaced(step, ask, today):
        return Next.CANCEL
    return Next.ADOPT if step.token == ask.token else Next.KEEP_TOKEN


def _was_replaced(step: Step, ask: Ask, today: Work) -> bool:
    # Only a person's redrive cancels: a deployment between two heartbeats must not kill a healthy job run.
    if ask.redrive_count <= (step.redrive_count or 0):
        return False
    return (step.code_digest, step.contracts_digest) != (today.code_digest, today.contracts_digest)
