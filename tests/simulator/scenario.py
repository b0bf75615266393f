"""One schedule: some days, their executions, a person who redrives them, and what goes wrong meanwhile."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, field

from lambdas.ledger import Ledger

from . import invariants
from .arrivals import Queue
from .cloud import S3, Execution, Functions, Glue, Site, Sns, States, Table, Violation
from .engine import DAILY, Hooks, definition
from .faults import SOURCE, START, Fault, Faults, described
from .kernel import Kernel, running
from .people import operate
from .source import Source
from .spark import Emr
from .trace import Trace

CANCELLED_ON: tuple[str, ...] = ("ABORTED", "TIMED_OUT")
LIMIT_SECONDS = 60 * 86_400.0
LIMIT_EVENTS = 200_000
COLLECTED_EVERY = 50
CLOSING = "2026-07-31"
DAYS = ("2026-07-28", "2026-07-29", "2026-07-30")


@dataclass(frozen=True)
class Plan:
    """What a schedule does.

    Attributes:
        days: data dates, in the order in which their executions start.
        gap_seconds: between two starts.
        patience: how many redrives a person tries before putting everything right.
        files_arrive: whether each file is told of, so that runs of their own compete with the days for it; one more
            day follows then, as what they bring to silver is in gold with the next run only.
        lead_seconds: how long before its day's execution a file lands.
        lease_wait_minutes: the stage's setting; production's unless given.
    """

    seed: int
    days: tuple[str, ...] = DAYS[2:]
    gap_seconds: float = 600.0
    faults: tuple[Fault, ...] = ()
    patience: int = 1
    files_arrive: bool = False
    lead_seconds: float = 0.0
    lease_wait_minutes: int | None = None

    def __str__(self) -> str:
        return (
            f"seed {self.seed}: days {', '.join(self.days)}, {self.gap_seconds:.0f} s apart"
            f"{f', files arrive {self.lead_seconds:.0f} s before' if self.files_arrive else ''}; {described(self.faults)}"
        )


@dataclass
class Result:
    """How a schedule went."""

    plan: Plan
    violation: str | None
    trace: Trace
    faults: Faults
    executions: int
    redrives: int


@dataclass
class World:
    """Everything that a schedule has.

    Attributes:
        decided: expectation to waives or rejects, as a person has once decided for its failures.
    """

    plan: Plan
    kernel: Kernel
    definition: Callable[[str], str]
    cancelled_on: tuple[str, ...]
    redrives: int = 0
    present: list[str] = field(default_factory=list)
    delivered: set[str] = field(default_factory=set)
    violation: str | None = None
    superseded: list[Execution] = field(default_factory=list)
    decided: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        plan = self.plan
        self.trace = Trace(self.kernel)
        self.faults = Faults(plan.faults)
        self.site = Site(self.kernel, self.trace, self.faults)
        self.source = Source(sorted((*plan.days, CLOSING) if plan.files_arrive else plan.days))
        self.s3, self.table = S3(self.site), Table(self.site)
        self.glue, self.sns = Glue(self.site), Sns(self.site)
        self.ledger = Ledger(self.table)
        self.functions = Functions(self.site)
        self.functions.stop = self._stop
        self.functions.may_break = lambda: (
            len(self.present) == len(plan.days)
            and all(self.table.now(f"execution#{arn}", "run") for arn in self.states.executions)
        )
        self.states = States(self.site, self.functions, self.definition, self.cancelled_on)
        self.states.on_start = lambda execution: self.kernel.spawn(lambda: operate(self, execution))
        self.queue = Queue(self.site, self.functions)
        self.emr = Emr(self.site, self.s3, self.functions, self.source, self.present)
        self.emr.on_cancel = lambda run: invariants.check_cancel(self, run)
        self.emr.before_commit = lambda *told: invariants.check_commit(self, *told)
        for day in plan.days:
            for source in ("fx_rates", "snowflake_orders"):
                flaws = []
                while (flaw := self.faults.at(f"source {source} {day}", SOURCE)) is not None:
                    flaws.append(flaw)
                self.source.flaws[(source, day)] = flaws

    def play(self) -> None:
        """The schedule, to its end."""
        kernel = self.kernel
        for number, day in enumerate(self.plan.days):
            at = number * self.plan.gap_seconds
            if self.plan.lead_seconds:
                kernel.at(at, lambda day=day: self.deliver(day))  # type: ignore[misc]
            kernel.at(at + self.plan.lead_seconds, lambda day=day: self._begin(day))  # type: ignore[misc]
        count = 0

        def is_over() -> bool:
            nonlocal count
            count += 1
            return self.violation is not None or count > LIMIT_EVENTS

        try:
            kernel.run(is_over, LIMIT_SECONDS)
            if self.plan.files_arrive and self.violation is None:
                self.faults.are_over = True
                self.s3.put(*self.source.file(CLOSING))  # untold, so that its day takes it and gold has it
                kernel.at(0.0, lambda: self._begin(CLOSING))
                kernel.run(is_over, 2 * LIMIT_SECONDS)
        except Violation as found:
            self.violation = str(found)
        if self.violation is None and count > LIMIT_EVENTS:
            self.violation = "it never comes to an end"
        if self.violation is None:
            self.violation = invariants.check_end(self)
        self.trace.add("end", self.violation or "every invariant holds")

    def _begin(self, day: str) -> None:
        self.present.append(day)
        if not self.plan.lead_seconds and day != CLOSING:
            self.deliver(day)
        names = [f"day-{day}"]
        if self.faults.at(f"start {day}", START):
            self.trace.add("rule", "FAULT", "fired twice")
            names.append(f"day-{day}-again")
        for name in names:
            self.states.start(DAILY, name, {"data_date": day})

    def deliver(self, day: str) -> None:
        """The vendor puts the day's file, or a corrected one."""
        key, content = self.source.file(day)
        self.s3.put(key, content)
        self.delivered.add(day)
        if self.plan.files_arrive:
            self.queue.tell(key, self.s3.objects[key].etag, len(content))

    def come(self, source: str) -> list[str]:
        """The days whose rows of a source are there: a file may lie there before its day begins."""
        return [*self.present, *(self.delivered if source == "fx_rates" else ())]

    def _stop(self, run_id: str) -> None:
        run = self.table.now(f"run#{run_id}", "run")
        if run is not None and not self.faults.are_over:
            self.states.stop(self.states.executions[run["execution_arn"]])


def play(plan: Plan) -> Result:
    """Run a schedule; engine.installed() must be in force."""
    kernel = Kernel(plan.seed)
    with running(kernel):
        world = Hooks.world = World(plan, kernel, definition, CANCELLED_ON)
        try:
            world.play()
        finally:
            kernel.close()
            Hooks.world = None
    if plan.seed % COLLECTED_EVERY == 0:
        gc.collect()
    return Result(plan, world.violation, world.trace, world.faults, len(world.states.executions), world.redrives)
