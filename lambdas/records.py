"""What an item of the ledger is, the records of objects that landed, and some more; `lambdas.ledger` has the others."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

from lambdas.names import SET_PREFIX
from lambdas.store import Create, Item, Replace

GATHERING, SEALED = "GATHERING", "SEALED"


@dataclass(frozen=True, kw_only=True)
class Record:
    """An item of the ledger; rev is the revision that was read, 0 for one not yet written."""

    rev: int = 0
    key_of: ClassVar[tuple[str, str]]

    @property
    def key(self) -> dict[str, str]:
        """The table's key."""
        pk, sk = self.key_of
        return {"pk": pk.format(self=self), "sk": sk.format(self=self)}

    @classmethod
    def read(cls, item: Item | None) -> Self | None:
        """The record that an item holds."""
        if item is None:
            return None
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in item.items() if name in known})

    def values(self) -> dict[str, Any]:
        """What the item holds besides its key and revision."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "rev"}

    def create(self) -> Create:
        """The write that makes it."""
        return Create(self.key | self.values())

    def change(self, **changes: Any) -> Replace:
        """The write that changes it, if nobody else did since it was read."""
        return Replace(self.key | {"rev": self.rev}, changes)


@dataclass(frozen=True, kw_only=True)
class Arrival(Record):
    """Who takes a landed object, and the version of it that was claimed, or seen, last.

    Attributes:
        run_id: the run that takes it, or the name of the arrival set whose run does.
        version_id: S3's; None when it is not known, as a listing of objects does not tell it.
        sequencer: of the event that told of this version; None when it was found by listing.
    """

    key_of = ("arrivals#{self.source}", "{self.object_key}")
    source: str
    object_key: str
    etag: str
    run_id: str
    version_id: str | None = None
    sequencer: str | None = None

    @property
    def is_of_a_set(self) -> bool:
        """Whether an arrival set takes it."""
        return self.run_id.startswith(SET_PREFIX)


@dataclass(frozen=True, kw_only=True)
class ArrivalSet(Record):
    """Objects that arrived together, for one run of the file_arrival workflow; the claims on them name it.

    Attributes:
        status: GATHERING while objects may join, then SEALED: an object that joined later would be in no run.
        data_date: the UTC date of its newest event.
        objects: how many were claimed for it.
        run_id: the run that takes it, once there is one.
    """

    key_of = ("arrival_set#{self.name}", "set")
    name: str
    status: str
    data_date: str
    sources: list[str]
    objects: int = 0
    run_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class UpkeepClaim(Record):
    """Which run a time of the maintenance's schedule started: one told twice starts one run."""

    key_of = ("pipeline#maintenance", "start#{self.scheduled_time}")
    scheduled_time: str
    run_id: str


@dataclass(frozen=True, kw_only=True)
class DigestChange(Record):
    """Code or contracts that differ from those that OpenRun pinned, as first seen."""

    key_of = ("run#{self.run_id}", "change#{self.code_digest}#{self.contracts_digest}")
    run_id: str
    code_digest: str
    contracts_digest: str
    step: str
    redrive_count: int
