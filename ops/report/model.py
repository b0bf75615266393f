"""What a report says, as plain data in the order of the page."""

from __future__ import annotations

from dataclasses import dataclass

from ops.report.masking import Cell, Shown
from ops.report.pictures import Gauge, Share, Trend


@dataclass(frozen=True, kw_only=True)
class Head:
    """Which run it is and how it stands; `failed_in`, `error` and `runbook` where it ended other than well."""

    run_id: str
    data_date: str | None
    status: str
    execution_arn: str | None
    started: str | None
    ended: str | None
    redrives: int | None
    failed_in: str | None = None
    error: str | None = None
    runbook: str | None = None


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One job run, by its receipt; what went wrong is said by names, as a sentence could hold a value."""

    attempt: int
    round: int
    status: str
    ended: str
    seconds: float
    receipt: str
    error: str | None
    where: str | None


@dataclass(frozen=True, kw_only=True)
class Result:
    """One judged expectation: `outcome` is failed, waived or passed."""

    expectation: str
    column: Shown
    severity: str
    outcome: str
    observed: Shown
    expected: tuple[tuple[str, Shown | None], ...]
    drawing: Gauge | Share | None
    trend: Trend | None


@dataclass(frozen=True, kw_only=True)
class Group:
    """A dataset's results, failures first: those that are seen at once, and those that are folded away."""

    dataset: str
    version: str | None
    failed: int
    waived: int
    passed: int
    seen: tuple[Result, ...]
    folded: tuple[Result, ...]


@dataclass(frozen=True, kw_only=True)
class Waiver:
    """Who let a failed expectation pass, why and until when."""

    id: str
    expectation: str
    by: str
    reason: str
    until: str


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """Who refused the rows that fail an expectation, why, when, and how many there were."""

    expectation: str
    by: str
    reason: str
    made_at: str
    rows: int


@dataclass(frozen=True, kw_only=True)
class Check:
    """One attempt at a gate's check; no verdict where the job failed."""

    attempt: Attempt
    verdict: str | None
    waivers: tuple[Waiver, ...]
    rejections: tuple[Rejection, ...]
    groups: tuple[Group, ...]

    @property
    def failed(self) -> int:
        """Expectations that failed and were not waived."""
        return sum(group.failed for group in self.groups)

    @property
    def results(self) -> int:
        """Expectations and rules that were judged."""
        return sum(group.failed + group.waived + group.passed for group in self.groups)


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A layer's checks, the latest first."""

    layer: str
    checks: tuple[Check, ...]

    @property
    def verdict(self) -> str:
        """The latest check's verdict, in words where there is none."""
        if not self.checks:
            return "not reached"
        return self.checks[0].verdict or "no verdict"


@dataclass(frozen=True, kw_only=True)
class Intake:
    """What one attempt at reading a source brought; the counts are None where the job failed."""

    attempt: Attempt
    received: int | None
    accepted: int | None
    quarantined: int | None
    picture: Share | None


@dataclass(frozen=True, kw_only=True)
class Source:
    """A source and the attempts at it, the latest first."""

    name: str
    intakes: tuple[Intake, ...]


@dataclass(frozen=True, kw_only=True)
class QuarantinedRow:
    """One row, by column or as what may be shown of a line."""

    cells: tuple[Cell, ...]
    line: Shown | None
    file: str | None
    attempt: int


@dataclass(frozen=True, kw_only=True)
class BrokenRule:
    """How many rows broke a rule, its share of the largest, and a sample of them."""

    column: Shown
    rule: Shown
    expected: Shown | None
    rows: int
    width: float
    sample: tuple[QuarantinedRow, ...]


@dataclass(frozen=True, kw_only=True)
class Quarantine:
    """The rows of one table that this run put into quarantine."""

    table: str
    dataset: str
    rows: int
    masked: tuple[str, ...]
    rules: tuple[BrokenRule, ...]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything that the page shows; `trend_note` says why there is no trend."""

    head: Head
    sources: tuple[Source, ...]
    quarantines: tuple[Quarantine, ...]
    gates: tuple[Gate, ...]
    rounds: int
    attempts: int
    failed_attempts: int
    trend_note: str | None
    unreadable: tuple[str, ...]
