"""From a seed to a schedule: every fault at every step in turn on even seeds, several at once on odd ones."""

from __future__ import annotations

import functools
import random
from collections.abc import Mapping

from .faults import READ, Fault
from .scenario import DAYS, Plan, play

LAST, TWO = DAYS[2:], DAYS[1:]
ORDERS, RATES = f"source snowflake_orders {DAYS[2]}", f"source fx_rates {DAYS[2]}"
#: What a schedule is built on. The faults of a basis bring the states that a day without any never enters.
BASES: Mapping[str, Plan] = {
    "one day": Plan(0, LAST),
    "held at silver": Plan(0, LAST, faults=(Fault(ORDERS, 1, "silver"),)),
    "held at bronze": Plan(0, LAST, faults=(Fault(RATES, 1, "bronze"),)),
    "held at gold, later at silver": Plan(0, LAST, faults=(Fault(ORDERS, 1, "gold"), Fault(ORDERS, 2, "silver"))),
    "contract broken": Plan(0, LAST, faults=(Fault(ORDERS, 1, "contract"), Fault(ORDERS, 2, "gold"))),
    "stopped": Plan(0, LAST, faults=(Fault("invoke launch_job[bronze_to_silver/all]", 1, "stopped"),)),
    "days together": Plan(0, TWO, gap_seconds=60.0),
    "days backwards": Plan(0, TWO[::-1], gap_seconds=200.0),
    "held while another day goes on": Plan(
        0, TWO, gap_seconds=90.0, faults=(Fault(f"source fx_rates {DAYS[1]}", 1, "gold"),)
    ),
    "files arrive": Plan(0, LAST, files_arrive=True, lead_seconds=300.0),
    "files arrive beside two days": Plan(0, TWO, gap_seconds=50.0, files_arrive=True, lead_seconds=62.0),
    "arrival held": Plan(
        0, LAST, faults=(Fault(RATES, 1, "silver"), Fault(RATES, 2, "gold")), files_arrive=True, lead_seconds=200.0
    ),
    "waits run out": Plan(
        0, TWO, gap_seconds=60.0, faults=(Fault("queue publish_gold/all", 1, "job_queued"),), lease_wait_minutes=10
    ),
    "rows rejected": Plan(0, LAST, faults=(Fault(RATES, 1, "bronze"), Fault("gate daily_batch", 1, "rejects"))),
    "one day waived beside another": Plan(
        0,
        TWO,
        gap_seconds=900.0,
        faults=(
            Fault(f"source fx_rates {DAYS[1]}", 1, "bronze"),
            Fault(RATES, 1, "bronze"),
            Fault("gate daily_batch", 1, "waives"),
        ),
    ),
    "three days": Plan(0, DAYS, gap_seconds=300.0),
}
ENUMERATED = ("one day", "held at silver")
#: How often several faults are tried on each.
WEIGHTS = {
    "days together": 6,
    "files arrive": 2,
    "files arrive beside two days": 3,
    "arrival held": 2,
    "days backwards": 3,
    "rows rejected": 2,
    "held while another day goes on": 3,
}
#: Kinds that only show beside another run, so that they are worth more tries.
OFTEN = {"driver_stalls": 6, "job_queued": 2, "stopped": 2, "slow": 3}
LEADS_SECONDS = (0.0, 30.0, 61.0, 62.0, 120.0, 300.0, 1200.0)
GAPS_SECONDS = (0.0, 5.0, 60.0, 200.0, 400.0, 900.0)


@functools.cache
def possible(basis: str) -> tuple[Fault, ...]:
    """Every fault at every step that a schedule of this basis passes."""
    result = play(BASES[basis])
    assert result.violation is None, f"{basis}: {result.violation}"
    planned = set(BASES[basis].faults)
    return tuple(fault for fault in result.faults.possible() if fault not in planned)


def prepare() -> None:
    """Find out what is possible, before any bug is planted: a seed means the same schedule with and without it."""
    for basis in BASES:
        possible(basis)


@functools.cache
def every_single() -> tuple[tuple[str, Fault], ...]:
    """Each basis that is enumerated with each of its faults, in an order that spreads them."""
    found = [(basis, fault) for basis in ENUMERATED for fault in possible(basis)]
    random.Random(5).shuffle(found)  # noqa: S311
    seen: dict[tuple[str, str], int] = {}
    turns = []
    for _, fault in found:
        turns.append((seen.get((fault.point, fault.kind), 0), fault.kind in READ))
        seen[(fault.point, fault.kind)] = turns[-1][0] + 1
    # each kind at each point once before any of them a second time, and first those that leave something behind
    return tuple(found[index] for index in sorted(range(len(found)), key=turns.__getitem__))


def plan_of(seed: int) -> Plan:
    """The schedule of a seed."""
    chance = random.Random(seed * 2 + 1)  # noqa: S311
    if seed % 2 == 0:
        singles = every_single()
        basis, fault = singles[seed // 2 % len(singles)]
        faults = [fault]
    else:
        basis = chance.choices(list(BASES), [WEIGHTS.get(name, 1) for name in BASES])[0]
        faults = _several(basis, chance)
    gap = BASES[basis].gap_seconds if chance.random() < 0.5 else chance.choice(GAPS_SECONDS)
    return Plan(
        seed,
        BASES[basis].days,
        files_arrive=BASES[basis].files_arrive,
        lead_seconds=chance.choice(LEADS_SECONDS) if BASES[basis].files_arrive else 0.0,
        gap_seconds=gap,
        faults=(*BASES[basis].faults, *faults),
        patience=chance.choice((0, 1, 1, 2)),
        lease_wait_minutes=BASES[basis].lease_wait_minutes,
    )


def _several(basis: str, chance: random.Random) -> list[Fault]:
    """Two or three faults; kind and point are drawn first, so that rare ones are as likely as common ones.

    One in three comes again soon after at the same point, as a second blow to what is just being put right.
    """
    by_kind: dict[str, dict[str, list[Fault]]] = {}
    for fault in possible(basis):
        by_kind.setdefault(fault.kind, {}).setdefault(fault.point, []).append(fault)
    kinds = [kind for kind in sorted(by_kind) for _ in range(OFTEN.get(kind, 1))]
    found: list[Fault] = []
    for _ in range(chance.choice((2, 2, 3))):
        points = by_kind[chance.choice(kinds)]
        fault = chance.choice(points[chance.choice(sorted(points))])
        if found and chance.random() < 1 / 3:
            fault = Fault(found[-1].point, found[-1].nth + chance.randint(1, 6), found[-1].kind)
        found.append(fault)
    return found
