"""What a job run is asked to do: the request object that launch_job writes before it starts the job run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from contracts.errors import InvalidRequestError

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_RUN_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f-]{1,40}")


@dataclass(frozen=True, kw_only=True)
class LandedFile:
    """A vendor's file as it lay in the landing prefix when the request was written."""

    key: str
    etag: str | None
    size: int
    modified_at: datetime


@dataclass(frozen=True, kw_only=True)
class Waiver:
    """A person's word that a failing expectation may pass, in force when the request was written.

    Attributes:
        expectation: its name, as `contracts.waiving.result_name` writes it.
        until: when it ends, ISO UTC.
    """

    id: str
    expectation: str
    reason: str
    by: str
    until: str


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """A person's word that the rows which fail an expectation are refused.

    Attributes:
        run_id: the run for which it was said: this one, or one that this one supersedes.
        expectation: its name, as `contracts.waiving.result_name` writes it.
        made_at: ISO UTC.
    """

    run_id: str
    expectation: str
    reason: str
    by: str
    made_at: str


@dataclass(frozen=True, kw_only=True)
class Request:
    """One job run's work.

    Attributes:
        interval_start: None for the whole history.
        fail_from: severity to the number of failed expectations that make a verdict FAIL.
        received_digest: of what the step reads; input_digest also covers the rows that it refuses of that.
        waivers: what a check may pass over; none in a request that does not speak of them.
        rejections: what a step that writes rows refuses, oldest first.
        secret_arn: the secret that the step reads: its source's, or the key of tokens; None for a step without one.
        superseded: the runs whose place this one takes; named where there are rejections.
        sources: those that the run takes; None for all.
        from_run: of a restore, the run that it goes back to; None for all of bronze.
        keep_days: of a maintenance, for how long VACUUM is to keep what left a table; None for as long as it must.
    """

    run_id: str
    step: str
    subject: str
    attempt: int
    round: int
    redrive_count: int
    data_date: date
    interval_start: datetime | None
    interval_end: datetime
    lake: str
    receipt_key: str
    receipts: tuple[str, ...]
    files: tuple[LandedFile, ...]
    secret_arn: str | None
    input_digest: str
    fail_from: Mapping[str, int]
    received_digest: str = ""
    waivers: tuple[Waiver, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    superseded: tuple[str, ...] = ()
    sources: tuple[str, ...] | None = None
    from_run: str | None = None
    keep_days: int | None = None

    def heading(self) -> dict[str, str | int]:
        """Who writes a commit: what the note of each begins with."""
        return {"run_id": self.run_id, "step": self.step, "subject": self.subject, "attempt": self.attempt}

    def takes(self, source: str) -> bool:
        """Whether the run takes a source's rows."""
        return self.sources is None or source in self.sources

    def transaction(self, table: str) -> str:
        """The Delta transaction of this step's commit to a table: the same for every attempt on the same input."""
        return f"{table}:{self.run_id}:{self.step}:{self.subject}:{self.input_digest}"

    def transaction_of_received(self, table: str) -> str:
        """The same for what follows from the rows received alone, whichever of them a person rejects."""
        return f"{table}:{self.run_id}:{self.step}:{self.subject}:{self.received_digest or self.input_digest}"

    @property
    def opened_at(self) -> datetime:
        """When the run was opened, as its id says; none of its commits is older."""
        return datetime.strptime(self.run_id[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def parse_request(content: bytes) -> Request:
    """The request from its JSON.

    Raises:
        InvalidRequestError: something is missing, or a name is not one.
    """
    try:
        document = json.loads(content)
        inputs = document["inputs"]
        interval = document["interval"]
        request = Request(
            run_id=document["run_id"],
            step=document["step"],
            subject=document["subject"],
            attempt=int(document["attempt"]),
            round=int(document["round"]),
            redrive_count=int(document["redrive_count"]),
            data_date=date.fromisoformat(document["data_date"]),
            interval_start=_moment(interval["start"]) if interval["start"] else None,
            interval_end=_moment(interval["end"]),
            lake=document["lake"],
            receipt_key=document["receipt_key"],
            receipts=tuple(inputs.get("receipts", ())),
            files=tuple(_file(each) for each in inputs.get("files", ())),
            secret_arn=document.get("secret_arn"),
            input_digest=document["input_digest"],
            fail_from={severity: int(count) for severity, count in document["fail_from"].items()},
            received_digest=document.get("received_digest", document["input_digest"]),
            waivers=tuple(_waiver(each) for each in document.get("waivers", ())),
            rejections=tuple(_rejection(each) for each in document.get("rejections", ())),
            superseded=tuple(document.get("superseded", ())),
            sources=None if (named := document.get("sources")) is None else tuple(named),
            from_run=(upkeep := document.get("upkeep") or {}).get("from_run"),
            keep_days=None if (days := upkeep.get("keep_days")) is None else int(days),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InvalidRequestError(f"not a request: {type(error).__name__}: {error}") from error
    for run_id in (request.run_id, *request.superseded):
        if not _RUN_ID.fullmatch(run_id):
            raise InvalidRequestError(f"run_id {run_id!r}: expected a UTC timestamp and a UUID")
    for name in (request.step, request.subject):
        if not _NAME.fullmatch(name):
            raise InvalidRequestError(f"{name!r}: not the name of a step or subject")
    return request


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _file(document: Mapping[str, Any]) -> LandedFile:
    return LandedFile(
        key=document["key"],
        etag=document["etag"].strip('"') if document.get("etag") else None,
        size=int(document["size"]),
        modified_at=_moment(document["modified_at"]),
    )


def _waiver(document: Mapping[str, Any]) -> Waiver:
    return Waiver(**{name: str(document[name]) for name in ("id", "expectation", "reason", "by", "until")})


def _rejection(document: Mapping[str, Any]) -> Rejection:
    return Rejection(**{name: str(document[name]) for name in ("run_id", "expectation", "reason", "by", "made_at")})
