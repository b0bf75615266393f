"""What the workflow itself takes of a day: transitions, Lambda calls, their price on AWS, and the pace of the engine.

Source: https://aws.amazon.com/step-functions/pricing/ and https://aws.amazon.com/lambda/pricing/, Ireland, without the
free tier.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from ops.bench import Figures
from ops.executions import INGEST_STATE, Event, state_of
from ops.run import Progress

USD_A_TRANSITION = 0.025 / 1_000
USD_A_CALL = 0.20 / 1_000_000
USD_A_GB_SECOND = 0.0000133334  # arm64
MEMORY_GB = 0.5


def measure(days: Sequence[Progress], histories: Sequence[Sequence[Event]]) -> Figures:
    """The figures of some days that went well, each with its history.

    The seconds of Lambda are the laptop's. A handover is the time from a job run's end to the exit of the state that
    waited for it, when the next one starts.
    """
    handovers = sorted(itertools.chain.from_iterable(map(_handovers, days)))
    transitions = statistics.median(map(_transitions, histories))
    calls = [_call_seconds(history) for history in histories]
    # Each job run's end calls job_finished once more, outside the execution.
    count = statistics.median(len(seconds) + len(day.jobs) for seconds, day in zip(calls, days, strict=True))
    gb_seconds = MEMORY_GB * statistics.median(map(sum, calls))
    usd = transitions * USD_A_TRANSITION + count * USD_A_CALL + gb_seconds * USD_A_GB_SECOND
    return {
        "transitions_a_day": (transitions, "state transitions", None),
        "lambda_calls_a_day": (count, "calls", None),
        "orchestration_usd_a_day": (usd, "USD on AWS", None),
        "handover_p50": (statistics.median(handovers), "s from a job's end to the next state", None),
        "handover_p99": (handovers[math.ceil(0.99 * len(handovers)) - 1], "s from a job's end to the next state", None),
    }


def _handovers(day: Progress) -> list[float]:
    found = []
    for job in day.jobs:
        state = state_of(job["step"])
        subject = job["subject"] if state == INGEST_STATE else None
        ends = [step.ended for step in day.steps if (step.name, step.subject) == (state, subject) and step.ended]
        found += [max(0.0, (end - job["updated"]).total_seconds()) for end in ends[-1:]]
    return found


def _transitions(history: Sequence[Event]) -> int:
    """States entered, and retries, which Step Functions bills like them."""
    entered = sum(event["type"].endswith("StateEntered") for event in history)
    tasks = sum(event["type"] == "TaskStateEntered" for event in history)
    calls = sum(event["type"] == "TaskScheduled" for event in history)
    return int(entered + calls - tasks)


def _call_seconds(history: Sequence[Event]) -> list[float]:
    """The seconds of each call of a Lambda function by a Task."""
    by_id: Mapping[int, Any] = {event["id"]: event for event in history}
    found = []
    for event in history:
        before = by_id.get(event.get("previousEventId", 0))
        if before is not None and before["type"] == "TaskStarted":
            found.append((event["timestamp"] - before["timestamp"]).total_seconds())
    return found
