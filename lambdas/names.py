"""Names and keys that steps, jobs, receipts and people share."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime

from contracts.errors import InvalidRequestError

STEPS = (
    "ingest",
    "check_bronze",
    "bronze_to_silver",
    "check_silver",
    "publish_silver",
    "silver_to_gold",
    "check_gold",
    "publish_gold",
    "maintain",
    "restore_silver",
)
LAYERS = ("bronze", "silver", "gold")
AUDIT = "quality"  # the results of checks: no layer of data
CHECKS = tuple(f"check_{layer}" for layer in LAYERS)
MAKES_SILVER = ("bronze_to_silver", "restore_silver")  # steps that need the key of tokens
JUDGES = (*CHECKS, "restore_silver")  # steps that measure expectations, so that a waiver may speak to them
PIPELINE = "daily_batch"
FILE_ARRIVAL = "file_arrival"
MAINTENANCE = "maintenance"
WORKFLOWS = (PIPELINE, FILE_ARRIVAL, MAINTENANCE)
WHOLE = "all"

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
SET_PREFIX = "arrivals-"
_RUN_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True, order=True)
class JobName:
    """What one attempt at one step is called; EMR carries it as the job run's name."""

    run_id: str
    step: str
    subject: str
    round: int
    attempt: int

    def __str__(self) -> str:
        return f"{self.run_id}:{self.step}:{self.subject}:{self.round}:{self.attempt}"

    @classmethod
    def parse(cls, name: str) -> JobName:
        """Read a job run's name.

        Raises:
            InvalidRequestError: it is not one of ours.
        """
        parts = name.split(":")
        if (
            len(parts) != 5
            or not (parts[3].isascii() and parts[3].isdigit() and parts[4].isascii())
            or not parts[4].isdigit()
        ):
            raise InvalidRequestError(f"job run name {name!r} is not <run_id>:<step>:<subject>:<round>:<attempt>")
        run_id, step, subject, round_, attempt = parts
        check_step(run_id, step, subject)
        return cls(run_id=run_id, step=step, subject=subject, round=int(round_), attempt=int(attempt))

    @property
    def client_token(self) -> str:
        """The idempotency token of StartJobRun.

        It must be the same for a repeated call and differ for a new attempt: a random one starts twins after a lost
        answer, a fixed one replays a failed job run for ever. The round is not in it, because attempts already count
        across rounds.
        """
        return hashlib.sha256("|".join((self.run_id, self.step, self.subject, str(self.attempt))).encode()).hexdigest()

    @property
    def request_key(self) -> str:
        """Where the job finds its request."""
        return f"requests/{self.run_id}/{self.step}/{self.subject}/{self.attempt}.json"

    @property
    def receipt_key(self) -> str:
        """Where the job leaves its receipt."""
        return f"runs/{self.run_id}/{self.step}/{self.subject}/{self.attempt}.json"


def new_run_id(now: datetime, unique: str) -> str:
    """A run's name: sortable by time, unique by a UUID.

    Args:
        now: UTC.
        unique: 32 hex digits of a random UUID.
    """
    return f"{now:%Y%m%dT%H%M%SZ}-{unique}"


def is_run_id(text: str) -> bool:
    """Whether it is a run's name."""
    return _RUN_ID.fullmatch(text) is not None


def check_step(run_id: str, step: str, subject: str) -> None:
    """Refuse names that would reach outside their keys.

    Raises:
        InvalidRequestError: one of them is not allowed.
    """
    if not _RUN_ID.fullmatch(run_id):
        raise InvalidRequestError(f"run_id {run_id!r} is not <time>-<uuid>; take it from OpenRun's output")
    if step not in STEPS:
        raise InvalidRequestError(f"step {step!r} is none of {', '.join(STEPS)}")
    if not _NAME.fullmatch(subject):
        raise InvalidRequestError(f"subject {subject!r} does not match {_NAME.pattern}")
