"""Objects that have arrived: what an event says of one, and what to do about it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any
from urllib.parse import unquote_plus

from contracts.contract import Contract
from contracts.errors import InvalidRequestError
from contracts.landing import takes
from lambdas.digests import digest_of
from lambdas.ledger import SUCCEEDED
from lambdas.names import SET_PREFIX
from lambdas.records import Arrival

NAME_DIGITS = 48  # of the digest; an execution's name has at most 80 characters


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """One version of an object, as the event of its creation tells it.

    Attributes:
        version_id: None in a bucket without versioning.
        sequencer: hexadecimal; orders the events of one key, and of no others.
        at: when S3 created it, UTC.
    """

    bucket: str
    key: str
    etag: str
    version_id: str | None
    sequencer: str | None
    at: datetime

    @property
    def version(self) -> str:
        """What tells this version of the object from others."""
        return self.version_id or self.etag


class Fate(Enum):
    """What to do about an object that arrived."""

    FRESH = auto()
    """Nobody has this version: claim it for a set."""
    CLAIMED = auto()
    """A set has it: see to it that the set's run is started."""
    HELD = auto()
    """A run that looked for files itself has it, or waits for it to be put right."""
    STALE = auto()
    """A newer version of the object has come."""


def read_message(body: str) -> list[Arrived]:
    """The objects that a message tells of.

    An event from EventBridge has the key as it is; in a notification straight from S3 it is encoded like a form, a
    space as a plus.

    Raises:
        InvalidRequestError: it is no event of S3.
    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html,
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
    """
    try:
        event = json.loads(body)
        if "Records" in event:
            return [_of_notification(record) for record in event["Records"]]
        if event["source"] != "aws.s3" or event["detail-type"] != "Object Created":
            raise ValueError("it tells of no object created")
        about = event["detail"]["object"]
        return [
            Arrived(
                bucket=str(event["detail"]["bucket"]["name"]),
                key=str(about["key"]),
                etag=str(about["etag"]),
                version_id=about.get("version-id"),
                sequencer=about.get("sequencer"),
                at=_moment(event["time"]),
            )
        ]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InvalidRequestError(f"not an event of S3 for an object created: {type(error).__name__}") from error


def contract_of(arrived: Arrived, bucket: str, contracts: Iterable[Contract]) -> Contract | None:
    """The contract that takes an object; None when none of them does."""
    if arrived.bucket != bucket:
        return None
    return next((contract for contract in contracts if takes(contract, arrived.key)), None)


def is_newer(one: str | None, other: str | None) -> bool:
    """Whether the first of two sequencers of one key is that of the later event.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html (the shorter one
        is padded with zeros on the right, then they are compared as text)
    """
    first, second = (one or "").lower(), (other or "").lower()
    width = max(len(first), len(second))
    return first.ljust(width, "0") > second.ljust(width, "0")


def newest(arrived: Iterable[Arrived]) -> list[Arrived]:
    """The latest version of each key, in the order of the keys."""
    kept: dict[str, Arrived] = {}
    for each in arrived:
        known = kept.get(each.key)
        if known is None or is_newer(each.sequencer, known.sequencer):
            kept[each.key] = each
    return [kept[key] for key in sorted(kept)]


def decide(
    arrived: Arrived,
    arrival: Arrival | None,
    holder_status: Callable[[Arrival], str],
    is_current: Callable[[Arrived], bool],
) -> Fate:
    """What to do about an object.

    A new version goes to a new set even while the set of the one before is under way: that one finds the object gone
    from its claims, and the rows it may have taken give way to newer ones. A run that looks for files itself keeps an
    object that is put right until it has succeeded.

    Args:
        arrived: the object.
        arrival: the claim on its key.
        holder_status: the status of the run that holds the claim, looked up only when it matters.
        is_current: whether the object is still this version, for a claim that has no sequencer to compare with.
    """
    if arrival is None:
        return Fate.FRESH
    if _is_same(arrived, arrival):
        return Fate.CLAIMED if arrival.is_of_a_set else Fate.HELD
    if arrived.sequencer and arrival.sequencer:
        if not is_newer(arrived.sequencer, arrival.sequencer):
            return Fate.STALE
    elif not is_current(arrived):
        return Fate.STALE
    return Fate.FRESH if arrival.is_of_a_set or holder_status(arrival) == SUCCEEDED else Fate.HELD


def set_name(arrived: Iterable[Arrived]) -> str:
    """The name of a set of objects, the same for the same versions in any order, and a valid name of an execution."""
    return SET_PREFIX + digest_of(sorted([each.bucket, each.key, each.version] for each in arrived))[:NAME_DIGITS]


def _is_same(arrived: Arrived, arrival: Arrival) -> bool:
    if arrived.version_id and arrival.version_id:
        return arrived.version_id == arrival.version_id
    return arrived.etag == arrival.etag


def _of_notification(record: Mapping[str, Any]) -> Arrived:
    if not str(record["eventName"]).startswith("ObjectCreated:"):
        raise ValueError("it tells of no object created")
    about = record["s3"]["object"]
    return Arrived(
        bucket=str(record["s3"]["bucket"]["name"]),
        key=unquote_plus(str(about["key"]), errors="strict"),
        etag=str(about["eTag"]),
        version_id=about.get("versionId"),
        sequencer=about.get("sequencer"),
        at=_moment(record["eventTime"]),
    )


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("its time has no offset")
    return moment.astimezone(UTC)
