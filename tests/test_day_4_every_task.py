"""Every Task of a day fails once, by an error, a kill or silence; at most one redrive ends it, with the right rows."""

import contextlib
import datetime
import json
import os
import re
import signal
import threading
import time

import pytest
from laptop import DAY, assert_equals_sources, fx_file

from local.home import ROOT, Home

FIRST = datetime.date(2020, 4, 20)
HEARTBEAT_SECONDS = 60
# What a Task's work runs as: a Lambda function, or a Spark job and its role.
LAMBDAS = {
    "OpenRun": "open-run",
    "ValidateContracts": "validate-contracts",
    "HoldAtBronzeGate": "hold-at-gate",
    "HoldAtSilverGate": "hold-at-gate",
    "HoldAtGoldGate": "hold-at-gate",
    "RegisterCatalog": "register-catalog",
    "EmitLineageAndMetrics": "emit-lineage-and-metrics",
    "CloseRun": "close-run",
}
JOBS = {
    "IngestSource": "ingest",
    "CheckBronze": "check",
    "BronzeToSilver": "silver",
    "CheckSilver": "check",
    "SilverToGold": "gold",
    "CheckGold": "check",
    "PublishGold": "publish",
}
STEPS = {"IngestSource": "ingest"} | {
    state: re.sub(r"(?<!^)(?=[A-Z])", "_", state).lower() for state in JOBS if state != "IngestSource"
}
BEFORE = {"CheckSilver": "BronzeToSilver", "CheckGold": "SilverToGold"}  # they share a role with an earlier Task
BAD = {
    "HoldAtBronzeGate": {"USD": "N/A"},
    "HoldAtSilverGate": {"USD": "10.8"},
    "HoldAtGoldGate": {"GBP": "0.0001"},
}
ERROR, KILL, SILENCE = range(3)


def days(fault):
    """A day for each Task: the days of the three faults do not touch."""
    return [
        pytest.param(state, FIRST + (fault * len(LAMBDAS | JOBS) + number) * DAY, id=state)
        for number, state in enumerate(LAMBDAS | JOBS)
    ]


def test_every_task_of_the_workflow_has_its_turn():
    definition = json.loads(re.sub(r"\$\{\w+\}", "1", (ROOT / "state_machines" / "daily_batch.asl.json").read_text()))
    states = dict(definition["States"])
    for state in definition["States"].values():
        states |= state.get("ItemProcessor", {}).get("States", {})
    assert {name for name, state in states.items() if state["Type"] == "Task"} == set(LAMBDAS | JOBS)


@pytest.mark.slow
@pytest.mark.parametrize(("state", "day"), days(ERROR))
def test_an_error_costs_one_redrive(laptop, state, day):
    """The Task's own role loses every right, which is given back before the redrive."""
    broken = prepare(laptop, state, day)
    with denied(laptop, LAMBDAS.get(state) or JOBS[state], after=BEFORE.get(state)) as failing:
        execution_arn = laptop.start(day)
        failing(execution_arn)
        ended = laptop.finish(execution_arn, 400)
    assert ended.status == "FAILED"
    assert ended.failure.state == state
    if state in JOBS:
        assert ended.failure.error == "SparkJobFailedError"  # no job run without rights can say why it failed
    assert_one_redrive_ends(laptop, ended, day, broken)


@pytest.mark.slow
@pytest.mark.parametrize(("state", "day"), days(KILL))
def test_a_kill_costs_at_most_one_redrive(laptop, state, day):
    """A Lambda function's process once, in the middle of its work; Spark twice, as its state retries once."""
    broken = prepare(laptop, state, day)
    if state in JOBS:
        killer, killed = laptop.kill_when(STEPS[state], jvm, times=2)
        ended = laptop.run(day)
        killer.join()
        assert len(killed) == 2
        assert (ended.status, ended.failure.error) == ("FAILED", "SparkJobFailedError")
    else:
        execution_arn = laptop.start_frozen(day, LAMBDAS[state])
        laptop.wait_until_entered(execution_arn, state)
        time.sleep(1)
        assert laptop.signal_workers(LAMBDAS[state], signal.SIGKILL)
        ended = laptop.finish(execution_arn, 400)
    assert_one_redrive_ends(laptop, ended, day, broken)


@pytest.mark.slow
@pytest.mark.parametrize(("state", "day"), days(SILENCE))
def test_silence_costs_at_most_one_redrive(laptop, state, day):
    """A Lambda function hangs until its time is over; Spark says nothing for longer than a heartbeat, then goes on."""
    broken = prepare(laptop, state, day)
    if state in JOBS:
        frozen = threading.Event()
        freezer, stopped = laptop.kill_when(STEPS[state], jvm, with_signal=signal.SIGSTOP)
        execution_arn = laptop.start(day)
        freezer.join()
        assert stopped
        frozen.wait(HEARTBEAT_SECONDS + 15)
        os.kill(jvm()[0], signal.SIGCONT)
        ended = laptop.finish(execution_arn, 400)
        assert "States.HeartbeatTimeout" in laptop.errors(execution_arn)
        assert sum(job["step"] == STEPS[state] and job["subject"] == "all" for job in ended.jobs) <= 1
    else:
        execution_arn = laptop.start_frozen(day, LAMBDAS[state])
        ended = laptop.finish(execution_arn, 900)
        laptop.signal_workers(LAMBDAS[state], signal.SIGKILL)
    assert_one_redrive_ends(laptop, ended, day, broken)


def prepare(laptop, state, day):
    """A day on which the Task runs: a gate holds only for a day that deserves it. Returns whether one does."""
    if state in BAD:
        laptop.put_fx(day, fx_file(day, **BAD[state]))
    return state in BAD


def assert_one_redrive_ends(laptop, ended, day, broken):
    if broken:
        laptop.put_fx(day, fx_file(day))
    if ended.status != "SUCCEEDED":
        ended = laptop.redrive(ended)
    assert ended.status == "SUCCEEDED", ended.failure
    assert_equals_sources(laptop, day)


def jvm():
    return [int((Home.default().path / "emr" / "spark.pid").read_text())]


@contextlib.contextmanager
def denied(laptop, actor, after):
    """Take every right from an actor's role: at once, or when an execution has come to the state `after`."""
    role, policy, iam = f"assay-local-{actor}", "denied-by-a-test", laptop.access._client("iam")
    statement = {"Effect": "Deny", "Action": "*", "Resource": "*"}

    def deny(execution_arn=None):
        if execution_arn and after:
            laptop.wait_until_entered(execution_arn, after)
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=document)

    if after is None:
        deny()
    try:
        yield deny
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName=policy)
