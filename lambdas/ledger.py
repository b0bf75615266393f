"""The ledger: who runs what, in one DynamoDB table, every write conditional.

pk                          sk                       item
pipeline#daily_batch        watermark                Watermark: how far intervals have been opened, in all and a source
pipeline#daily_batch        interval#<data date>     IntervalClaim: the run that owns a data date
execution#<execution arn>   run                      RunPointer: the run of an execution
run#<run_id>                run                      Run
run#<run_id>                step#<step>#<subject>    Step: the latest attempt
run#<run_id>                change#<code>#<contracts>
                                                     DigestChange: code or contracts differ from those pinned
run#<run_id>                notice#<gate>#<round>#<redrive count>
                                                     Notice: people were told that a gate closed
run#<run_id>                round#<redrive count>    NextRound: the round that a redrive opened
run#<run_id>                waiver#<waiver id>       Waiver: an expectation that checks of the run pass over for a time
run#<run_id>                rejection#<expectation>  Rejection: an expectation whose failing rows the run refuses
lease#<table>               lease                    Lease: the one writer of a table
arrivals#<source>           <object key>             Arrival: the run, or the set, that takes a landed object
arrival_set#<name>          set                      ArrivalSet: objects that arrived together, and their run
pipeline#maintenance        start#<scheduled time>   UpkeepClaim: the run that a schedule's time started

Nothing here expires: an item is small, and a lost one would let a day run twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from contracts.errors import InvalidRequestError, RunSupersededError
from lambdas.names import PIPELINE
from lambdas.records import Arrival, ArrivalSet, Record, UpkeepClaim
from lambdas.store import Create, Item, Replace, Store

OPEN, SUCCEEDED, FAILED, SUPERSEDED = "OPEN", "SUCCEEDED", "FAILED", "SUPERSEDED"
STARTING, RUNNING = "STARTING", "RUNNING"


RecordT = TypeVar("RecordT", bound="Record")


@dataclass(frozen=True, kw_only=True)
class Watermark(Record):
    """How far intervals have been opened, ISO UTC.

    Attributes:
        opened_to: the end of the latest interval that was opened.
        cursors: source to the end of the latest interval that was opened for it; one that is new to the stage has none,
            one that was left out for a while stays behind. None in an old record: they all stand at `opened_to`.
    """

    key_of = (f"pipeline#{PIPELINE}", "watermark")
    opened_to: str
    cursors: dict[str, str] | None = None

    def cursor(self, source: str) -> str | None:
        """How far intervals have been opened for a source; None when none has."""
        return self.opened_to if self.cursors is None else self.cursors.get(source)


@dataclass(frozen=True, kw_only=True)
class IntervalClaim(Record):
    """Which run owns a data date."""

    key_of = (f"pipeline#{PIPELINE}", "interval#{self.data_date}")
    data_date: str
    run_id: str


@dataclass(frozen=True, kw_only=True)
class RunPointer(Record):
    """Which run an execution opened."""

    key_of = ("execution#{self.execution_arn}", "run")
    execution_arn: str
    run_id: str


@dataclass(frozen=True, kw_only=True)
class Run(Record):
    """One run of the pipeline.

    Attributes:
        status: OPEN until CloseRun makes it SUCCEEDED, or the run that takes its place makes it SUPERSEDED; a failed
            execution leaves it OPEN, as a redrive may finish it.
        supersedes, superseded_by: the run whose place it took, and the one that took its place.
        code_digest, contracts_digest: as pinned by OpenRun.
        schemas: dataset to [version, digest of its row schema], as pinned by OpenRun.
        workflow: whose execution it is.
        arrival_set: the set of objects that it takes, and nothing else; None for a run that takes what is unclaimed.
        sources: those of its set, or of the stage when it was opened; None, in an old record, for all of the stage.
        starts: source to the start of its interval, ISO UTC, None for its whole history; a source that it does not name
            is read from `interval_start`.
        upkeep: what a maintenance is asked for: `table` and `from_run` of a restore, or `keep_days`.
    """

    key_of = ("run#{self.run_id}", "run")
    run_id: str
    status: str
    execution_arn: str
    data_date: str
    interval_start: str | None = None
    interval_end: str
    opened_at: str
    closed_at: str | None = None
    code_digest: str
    contracts_digest: str
    schemas: dict[str, list[str]]
    supersedes: str | None = None
    superseded_by: str | None = None
    workflow: str = PIPELINE
    arrival_set: str | None = None
    sources: list[str] | None = None
    starts: dict[str, str | None] | None = None
    upkeep: dict[str, Any] | None = None

    def start_of(self, source: str) -> str | None:
        """Where the interval of a source starts, ISO UTC; None for its whole history."""
        return (self.starts or {}).get(source, self.interval_start)

    @property
    def claimant(self) -> str:
        """Under which name it claims landed objects."""
        return self.arrival_set or self.run_id


@dataclass(frozen=True, kw_only=True)
class Step(Record):
    """The latest attempt at a step of a run.

    Attributes:
        attempt: counts across retries, rounds and redrives, so that receipts never collide.
        status: STARTING (intent), RUNNING (the job run's id is known), SUCCEEDED, FAILED.
        token: the task token to answer; token_order ranks it among those of this step.
        redrive_count: the execution's when this attempt's request was written; the verdict is measured under it.
        input_digest, code_digest, contracts_digest, job_run_id: known once the job run is.
        stopped: its job run is cancelled with its execution: a redrive waits for its end, and adopts nothing.
        waits_since: ISO UTC, when it first found another writer in its way, under the redrive count `waits_under`;
            None while it does not wait.
        error, cause: why it FAILED, in the names of contracts.errors.
    """

    key_of = ("run#{self.run_id}", "step#{self.step}#{self.subject}")
    run_id: str
    step: str
    subject: str
    round: int
    attempt: int
    status: str
    token: str
    token_order: str
    redrive_count: int
    input_digest: str | None = None
    code_digest: str | None = None
    contracts_digest: str | None = None
    job_run_id: str | None = None
    stopped: bool = False
    waits_since: str | None = None
    waits_under: int | None = None
    error: str | None = None
    cause: str | None = None


@dataclass(frozen=True, kw_only=True)
class Notice(Record):
    """That a gate closed, told to people once a round and redrive."""

    key_of = ("run#{self.run_id}", "notice#{self.gate}#{self.round}#{self.redrive_count}")
    run_id: str
    gate: str
    round: int
    redrive_count: int
    sent: bool = False


@dataclass(frozen=True, kw_only=True)
class NextRound(Record):
    """The round that a closed gate opened after a redrive: one a redrive, so that no run goes round by itself."""

    key_of = ("run#{self.run_id}", "round#{self.redrive_count}")
    run_id: str
    redrive_count: int
    gate: str
    round: int


@dataclass(frozen=True, kw_only=True)
class Waiver(Record):
    """That a person lets a run pass in spite of an expectation: written once, never changed, in force until it ends.

    Attributes:
        waiver_id: sorts by the time it was made.
        expectation: its name, as `contracts.waiving.result_name` writes it.
        made_at, until: ISO UTC.
    """

    key_of = ("run#{self.run_id}", "waiver#{self.waiver_id}")
    run_id: str
    waiver_id: str
    expectation: str
    reason: str
    by: str
    made_at: str
    until: str


@dataclass(frozen=True, kw_only=True)
class Rejection(Record):
    """That the rows which fail an expectation are refused for a run: written once, never changed, without an end.

    Attributes:
        expectation: its name, as `contracts.waiving.result_name` writes it.
        made_at: ISO UTC.
    """

    key_of = ("run#{self.run_id}", "rejection#{self.expectation}")
    run_id: str
    expectation: str
    reason: str
    by: str
    made_at: str


@dataclass(frozen=True, kw_only=True)
class Lease(Record):
    """The one writer of a table.

    It never expires by time. It passes on when it is free, or when GetJobRun shows the holder's job run terminal.

    Attributes:
        epoch: raised each time the lease passes on.
        held: whether it has a holder; the holder's fields stay for a person to read.
    """

    key_of = ("lease#{self.table}", "lease")
    table: str
    epoch: int
    held: bool
    run_id: str
    step: str
    subject: str
    attempt: int
    job_run_id: str | None = None

    def is_held_by(self, step: Step) -> bool:
        """Whether this very attempt holds it."""
        mine = (step.run_id, step.step, step.subject, step.attempt)
        return self.held and (self.run_id, self.step, self.subject, self.attempt) == mine


class Ledger:
    """Reads and conditional writes of the records above."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def write(self, *writes: Create | Replace) -> bool:
        """All the writes or none; False when a record was not as it was read."""
        return self._store.write(*writes)

    def add(self, record: RecordT) -> RecordT | None:
        """The record as written, or None when there is one already."""
        return replace(record, rev=1) if self.write(record.create()) else None

    def change(self, record: RecordT, **changes: Any) -> RecordT | None:
        """The changed record, or None when it was not as it was read."""
        if not self.write(record.change(**changes)):
            return None
        return replace(record, rev=record.rev + 1, **changes)

    def watermark(self) -> Watermark | None:
        """How far intervals have been opened."""
        return Watermark.read(self._store.get(f"pipeline#{PIPELINE}", "watermark"))

    def interval_claim(self, data_date: str) -> IntervalClaim | None:
        """Who owns a data date."""
        return IntervalClaim.read(self._store.get(f"pipeline#{PIPELINE}", f"interval#{data_date}"))

    def run_of(self, execution_arn: str) -> Run | None:
        """The run that an execution opened."""
        pointer = RunPointer.read(self._store.get(f"execution#{execution_arn}", "run"))
        return self.run(pointer.run_id) if pointer else None

    def run(self, run_id: str) -> Run | None:
        """A run."""
        return Run.read(self._store.get(f"run#{run_id}", "run"))

    def live_run(self, run_id: str) -> Run:
        """A run that may write.

        Raises:
            InvalidRequestError: there is none such.
            RunSupersededError: another run has taken its place.
        """
        run = self.run(run_id)
        if run is None:
            raise InvalidRequestError(f"run {run_id} is not in the ledger; start an execution, which opens one")
        if run.status == SUPERSEDED:
            raise RunSupersededError(
                f"run {run_id} was superseded by run {run.superseded_by}, which has its data date and its files; "
                "look at that one (`assay explain`), and leave this one as it is"
            )
        return run

    def superseded_by(self, run: Run) -> list[str]:
        """The runs whose place a run took, the latest first."""
        found: list[str] = []
        before: Run | None = run
        while before is not None and before.supersedes is not None:
            found.append(before.supersedes)
            before = self.run(before.supersedes)
        return found

    def step(self, run_id: str, step: str, subject: str) -> Step | None:
        """The latest attempt at a step."""
        return Step.read(self._store.get(f"run#{run_id}", f"step#{step}#{subject}"))

    def steps(self, run_id: str) -> list[Step]:
        """The latest attempts at all steps of a run."""
        found = (Step.read(item) for item in self._store.items(f"run#{run_id}", "step#"))
        return [step for step in found if step]

    def notice(self, wanted: Notice) -> Notice | None:
        """That notice, if it is on record."""
        return Notice.read(self._store.get(wanted.key["pk"], wanted.key["sk"]))

    def notices(self, run_id: str) -> list[Notice]:
        """What people were told of a run's gates."""
        found = (Notice.read(item) for item in self._store.items(f"run#{run_id}", "notice#"))
        return [notice for notice in found if notice]

    def next_rounds(self, run_id: str) -> list[NextRound]:
        """The rounds that redrives of a run opened."""
        found = (NextRound.read(item) for item in self._store.items(f"run#{run_id}", "round#"))
        return [each for each in found if each]

    def next_round(self, run_id: str, redrive_count: int) -> NextRound | None:
        """The round that a redrive opened, if it did."""
        return NextRound.read(self._store.get(f"run#{run_id}", f"round#{redrive_count}"))

    def waivers(self, run_id: str) -> list[Waiver]:
        """All waivers of a run, oldest first, those that have ended among them."""
        found = (Waiver.read(item) for item in self._store.items(f"run#{run_id}", "waiver#"))
        return [waiver for waiver in found if waiver]

    def waiver(self, run_id: str, waiver_id: str) -> Waiver | None:
        """A waiver."""
        return Waiver.read(self._store.get(f"run#{run_id}", f"waiver#{waiver_id}"))

    def rejections(self, run_id: str) -> list[Rejection]:
        """All rejections of a run, oldest first."""
        found = (Rejection.read(item) for item in self._store.items(f"run#{run_id}", "rejection#"))
        return sorted((each for each in found if each), key=lambda each: (each.made_at, each.expectation))

    def lease(self, table: str) -> Lease | None:
        """Who writes a table."""
        return Lease.read(self._store.get(f"lease#{table}", "lease"))

    def arrivals(self, source: str) -> dict[str, Arrival]:
        """Who takes which object of a source that ever landed, by object key."""
        return _by_key(self._store.items(f"arrivals#{source}"))

    def arrivals_of(self, source: str, object_keys: Collection[str]) -> dict[str, Arrival]:
        """Who takes which of these objects, by object key; read in one go, so others between them may be among them."""
        if not object_keys:
            return {}
        return _by_key(self._store.between(f"arrivals#{source}", min(object_keys), max(object_keys)))

    def arrival(self, source: str, object_key: str) -> Arrival | None:
        """Who takes a landed object."""
        return Arrival.read(self._store.get(f"arrivals#{source}", object_key))

    def arrival_set(self, name: str) -> ArrivalSet | None:
        """A set of objects that arrived together."""
        return ArrivalSet.read(self._store.get(f"arrival_set#{name}", "set"))

    def upkeep_claim(self, scheduled_time: str) -> UpkeepClaim | None:
        """Which run a time of the maintenance's schedule started."""
        return UpkeepClaim.read(self._store.get("pipeline#maintenance", f"start#{scheduled_time}"))

    def status_of_claim(self, arrival: Arrival) -> str:
        """The status of the run that takes a landed object; OPEN while its set has no run yet."""
        run_id: str | None = arrival.run_id
        if arrival.is_of_a_set:
            found = self.arrival_set(arrival.run_id)
            run_id = found.run_id if found else None
            if run_id is None:
                return OPEN
        run = self.run(str(run_id))
        return run.status if run else SUCCEEDED


def _by_key(items: Iterable[Item]) -> dict[str, Arrival]:
    return {arrival.object_key: arrival for arrival in map(Arrival.read, items) if arrival}
