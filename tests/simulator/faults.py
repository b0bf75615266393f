"""What can go wrong, where, and which row of the failure model (FAULTS.md) it plays.

A point is a place in the code that a schedule passes, named for who is there and what is done; a fault is one kind of
trouble at the nth passing of a point.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

READ = ("throttled", "slow", "dies_before")
WRITE = ("throttled", "slow", "dies_before", "dies_after", "answer_lost")
LAKE = ("access_lost",)
INVOCATION = ("clock_skewed", "late_start", "stopped", "code_changed", "contract_changed", "contract_broken")
OPERATION = ("driver_killed", "driver_stalls", "access_lost")
FINAL_OPERATION = (*OPERATION, "driver_killed_after")
SOURCE_READ = (*OPERATION, "source_down")
SUBMISSION = ("job_queued", "driver_hangs")
JOB_EVENT = ("event_lost", "event_late", "event_twice")
STATUS_EVENT = ("event_late", "event_twice", "event_lost")
START = ("fired_twice",)
TIME = ("times_out",)
GATE = ("waives", "rejects")
PERSON = ("supersedes", "redrives_the_superseded")
SOURCE = ("contract", "bronze", "silver", "gold")

#: Row of FAULTS.md to the kinds that play it here, or the test files that cover it where it needs no schedule.
ROWS: Mapping[int, tuple[str, ...]] = {
    1: ("files arrive", "event_twice", "tests/test_lambdas_arrivals.py"),
    2: ("fired_twice",),
    3: ("dies_before", "dies_after"),
    4: ("answer_lost",),
    5: ("event_lost",),
    6: ("event_late", "event_twice", "slow", "late_start"),
    7: ("job_queued", "driver_stalls", "driver_hangs"),
    8: ("supersedes", "code_changed", "contract_changed", "contract_broken"),
    9: ("driver_killed", "driver_killed_after"),
    10: ("driver_killed",),
    11: ("answer_lost", "driver_stalls", "days together"),
    14: ("tests/test_spark_row_rules.py", "tests/test_contracts_diff.py", "contract"),
    15: ("source_down", "tests/test_spark_snowflake.py"),
    16: ("throttled", "refused"),
    17: ("days backwards",),
    18: ("tests/test_spark_csv_lines.py", "tests/test_spark_json_lines.py"),
    19: ("tests/test_lambdas_handlers.py",),
    20: ("clock_skewed",),
    21: ("tests/test_lambdas_arrivals.py", "tests/test_contracts_hostile.py"),
    22: ("tests/test_contracts_hostile.py",),
    23: ("tests/test_lambdas_handlers.py", "tests/test_spark_snowflake.py"),
    24: ("access_lost",),
    25: ("tests/test_cdk_lake.py",),
    26: ("days together", "fired_twice", "waits run out"),
    27: ("days together", "days backwards"),
    28: ("bronze", "silver", "gold", "waives", "rejects"),
    29: ("stopped", "times_out", "event_late"),
}
#: Rows about streaming, which the day has not.
LATER = frozenset({12, 13})


@dataclass(frozen=True, order=True)
class Fault:
    """One kind of trouble at the nth passing of a point."""

    point: str
    nth: int
    kind: str

    def __str__(self) -> str:
        return f"{self.kind} at {self.point} #{self.nth}"


@dataclass
class Faults:
    """The faults of one schedule, and the points that it passed."""

    planned: Sequence[Fault] = ()
    passed: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, tuple[str, ...]] = field(default_factory=dict)
    fired: list[Fault] = field(default_factory=list)
    are_over: bool = False

    def __post_init__(self) -> None:
        self._planned = {(fault.point, fault.nth): fault for fault in self.planned}

    def at(self, point: str, kinds: tuple[str, ...]) -> str | None:
        """Pass a point; the kind of fault that happens there, if one does."""
        nth = self.passed[point] = self.passed.get(point, 0) + 1
        self.kinds[point] = kinds
        fault = self._planned.get((point, nth))
        if fault is None or self.are_over or fault.kind not in kinds:
            return None
        self.fired.append(fault)
        return fault.kind

    def possible(self) -> list[Fault]:
        """Every fault at every step that was passed."""
        return [
            Fault(point, nth, kind)
            for point, passed in sorted(self.passed.items())
            for nth in range(1, passed + 1)
            for kind in self.kinds[point]
        ]


def described(faults: Iterable[Fault]) -> str:
    """The faults in one line."""
    return "; ".join(map(str, faults)) or "none"
