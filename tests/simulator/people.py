"""The person who sees that an execution has failed, puts right what needs a person, and redrives it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from contracts.errors import AssayError
from lambdas.emr import LIVE
from lambdas.ledger import Ledger
from lambdas.rejections import Refusal, may_be_rejected, reject, rejections_of
from lambdas.store import Create, Item, Replace, Store
from lambdas.waivers import MOST_HOURS, Plea, grant

from .cloud import Execution, Table
from .faults import GATE, PERSON
from .source import flaws_by_name

if TYPE_CHECKING:
    from .scenario import World

REDRIVES = 12
_JOB_RUN = re.compile(r"job run (job\d+)")


class Desk(Store):
    """The ledger from a person's desk, where no Lambda dies; it takes no time."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, pk: str, sk: str) -> Item | None:
        return self._table.now(pk, sk)

    def items(self, pk: str, prefix: str = "") -> list[Item]:
        return self._table.all_now(pk, prefix)

    def write(self, *writes: Create | Replace) -> bool:
        return self._table._write(writes)


@dataclass
class Operator:
    """Who looks after one execution.

    Attributes:
        known: what made it fail before and was dealt with: names of expectations, and job runs that were waited for.
        beside: whether another execution ran when this one was last redriven: what was put right may have been on its
            way to silver with that one, and not have come.
    """

    world: World
    execution: Execution
    known: set[str] = field(default_factory=set)
    tries: int = 0
    beside: bool = False

    def work(self) -> None:
        """Redrive the execution until it has succeeded, or has another in its place, or something is not as promised."""
        world, execution, kernel = self.world, self.execution, self.world.kernel
        must_succeed, error = False, None
        while True:
            execution.ended.wait()
            if execution.status == "SUCCEEDED":
                return
            is_lost = execution.error == "BreakingContractChangeError" and world.site.release != "breaking"
            if must_succeed and not is_lost and not self._is_news(error):
                world.violation = (
                    f"{execution.name} is {execution.status} ({execution.error}: {execution.cause}) although faults had "
                    f"stopped and it was redriven"
                )
                return
            if self.tries >= REDRIVES:
                world.violation = (
                    f"{execution.name} was redriven {self.tries} times: {execution.error}: {execution.cause}"
                )
                return
            kernel.sleep(kernel.random.choice((1.0, 60.0, 1800.0, 9000.0)))
            self.tries += 1
            world.redrives += 1
            error = execution.error
            must_succeed = self._mend()
            wish = world.faults.at(f"person {execution.workflow}", PERSON)
            if (wish or is_lost) and self._supersede(wish):
                return
            others = (each for each in world.states.executions.values() if each is not execution)
            self.beside = any(each.status == "RUNNING" for each in others)
            world.states.redrive(execution)

    def _is_news(self, before: str | None) -> bool:
        """Whether it failed for something that was there before all was put right, and only shows now."""
        execution = self.execution
        if execution.error == "QualityGateClosedError":
            # what was read before it was put right is found by a gate, and read again in the next round
            return self.beside or before != execution.error or not self._failing() <= self.known
        return execution.error == "LeaseWaitOverError" and not self._in_the_way() <= self.known

    def _failing(self) -> set[str]:
        return {name for name in flaws_by_name() if name in (self.execution.cause or "")}

    def _in_the_way(self) -> set[str]:
        cause = self.execution.cause or ""
        return set(_JOB_RUN.findall(cause)) or {cause.split(": ", 1)[-1]}

    def _supersede(self, wish: str | None) -> bool:
        """Start an execution that takes the place of a dead one; False when that has not opened a run."""
        world, execution = self.world, self.execution
        pointer = world.table.now(f"execution#{execution.arn}", "run")
        if pointer is None:
            return False
        world.trace.add("person", "supersedes", execution.name)
        world.superseded.append(execution)
        if wish == "redrives_the_superseded":
            again = world.kernel.random.uniform(1.0, 900.0)
            world.kernel.at(again, lambda: world.states.redrive(execution))
        world.states.start(execution.workflow, f"{execution.name}-instead", {"supersedes": pointer["run_id"]})
        return True

    def _mend(self) -> bool:
        """Put right what a person must; True when nothing is wrong any more."""
        world, site, error = self.world, self.world.site, self.execution.error
        if error == "LeaseWaitOverError":
            self._let_end()
        if error == "QualityGateClosedError":
            self._answer_the_gate()
        elif error == "ContractViolationError":
            self._put_right()
        world.queue.revive()
        if site.denied:
            world.trace.add("person", "gives the access back")
            site.denied = False
        if site.release == "breaking":
            world.trace.add("person", "deploys the contracts of before")
            site.release = "released"
        if self.tries > world.plan.patience:
            world.faults.are_over = True
        return world.faults.are_over and world.source.is_right

    def _let_end(self) -> None:
        """Redrive after the other one, as the error says."""
        world, named = self.world, self._in_the_way()
        self.known |= named
        while any(run.state in LIVE for run in world.emr.runs.values() if run.job_run_id in named):
            world.kernel.sleep(60.0)

    def _put_right(self) -> None:
        world = self.world
        if world.kernel.random.random() < 0.2 and self.tries <= world.plan.patience:
            world.trace.add("person", "redrives without having mended anything")
            return
        for source, day in world.source.mend(world.present):
            world.trace.add("person", "puts right", source, day)
            if source == "fx_rates":
                world.deliver(day)

    def _answer_the_gate(self) -> None:
        """Waive what fails, or reject its rows, as was once decided for its expectation; else have it put right."""
        world = self.world
        wish = world.faults.at(f"gate {self.execution.workflow}", GATE)
        failing = sorted(self._failing())
        self.known.update(failing)
        for name in failing if wish else ():
            world.decided.setdefault(name, "rejects" if wish == "rejects" and may_be_rejected(name) else "waives")
        for name in failing:
            if name in world.decided:
                self._settle(name, world.decided[name])
        if any(name not in world.decided for name in failing):
            self._put_right()

    def _settle(self, name: str, decided: str) -> None:
        world, kernel = self.world, self.world.kernel
        ledger = Ledger(Desk(world.table))
        pointer = world.table.now(f"execution#{self.execution.arn}", "run")
        run = ledger.run(pointer["run_id"]) if pointer else None
        assert run is not None, "a gate holds no execution without a run"
        into = world.source.accepted if decided == "waives" else world.source.rejected
        for source, flaw in flaws_by_name()[name]:
            world.source.settle(source, flaw, world.come(source), into)
        world.trace.add("person", decided, name, run.run_id)
        now = kernel.moment().replace(microsecond=0)
        reason, by = "the source says so", "an operator"
        try:
            if decided == "waives":
                unique = f"{kernel.random.getrandbits(32):08x}"
                hours = kernel.random.choice((1, MOST_HOURS)) if self.tries <= world.plan.patience else MOST_HOURS
                grant(
                    ledger,
                    Plea(
                        run_id=run.run_id,
                        expectation=name,
                        reason=reason,
                        by=by,
                        hours=hours,
                        now=now,
                        unique=unique,
                    ),
                )
            elif name not in {each.expectation for each in rejections_of(ledger, run)}:
                refusal = Refusal(run_id=run.run_id, expectations=(name,), reason=reason, by=by, now=now)
                reject(ledger, self._receipt, refusal)
        except AssayError as error:
            world.violation = f"{self.execution.name} is held, and a person is refused: {error}"

    def _receipt(self, key: str) -> Mapping[str, Any] | None:
        stored = self.world.s3.objects.get(key)
        return json.loads(stored.content) if stored else None


def operate(world: World, execution: Execution) -> None:
    """Look after an execution to its end."""
    Operator(world, execution).work()
