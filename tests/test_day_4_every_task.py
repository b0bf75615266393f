"""Every Task of both workflows fails once, by an error, a kill or silence; at most one redrive ends it, rows and all."""

import contextlib
import datetime
import json
import os
import re
import signal
import time
from dataclasses import dataclass

import pytest
from laptop import DAY, assert_equals_sources, expected, fx_file

from local.home import ROOT, Home
from local.standins import vendor

FIRST = "2020-05-04"
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
    "PublishSilver": "publish-silver",
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
WORKFLOWS = ("daily_batch", "file_arrival")
ERROR, KILL, SILENCE = "error", "kill", "silence"


def tasks(workflow):
    """The Tasks of a workflow, in the order of its file."""
    text = (ROOT / "state_machines" / f"{workflow}.asl.json").read_text()
    found = []
    for name, state in json.loads(re.sub(r"\$\{\w+\}", "1", text))["States"].items():
        states = {name: state} | state.get("ItemProcessor", {}).get("States", {})
        found += [each for each, inner in states.items() if inner["Type"] == "Task"]
    return found


@dataclass(frozen=True)
class Case:
    """A Task that fails, and the day whose data it does so with: a day of the daily batch, or a file that arrives."""

    workflow: str
    state: str
    day: datetime.date

    def start(self, laptop):
        """Start it; a gate holds only for data that deserves it."""
        content = fx_file(self.day, **BAD.get(self.state, {}))
        if self.workflow == "file_arrival":
            return laptop.arrive(self.day, content)
        if self.state in BAD:
            laptop.put_fx(self.day, content)
        return laptop.start(self.day)


def cases(fault):
    """The cases of a fault; each has a day of its own on which the vendor quotes, later than those before it."""
    wanted = [
        (each, workflow, state)
        for each in (ERROR, KILL, SILENCE)
        for workflow in WORKFLOWS
        for state in tasks(workflow)
    ]
    quoted = sorted(line[:10] for line in vendor.history()[1:] if line >= FIRST)
    return [
        pytest.param(Case(workflow, state, datetime.date.fromisoformat(day)), id=f"{workflow}-{state}")
        for (each, workflow, state), day in zip(wanted, quoted, strict=False)
        if each == fault
    ]


def test_every_task_of_the_workflows_has_its_turn():
    assert {state for workflow in WORKFLOWS for state in tasks(workflow)} == set(LAMBDAS | JOBS)
    found = [each.values[0] for fault in (ERROR, KILL, SILENCE) for each in cases(fault)]
    assert len({case.day for case in found}) == len(found) == 3 * sum(len(tasks(workflow)) for workflow in WORKFLOWS)


@pytest.fixture(scope="module")
def cloud(laptop):
    """The laptop cloud after its first day, so that a file arrives to a silver that there is."""
    first = datetime.date.fromisoformat(FIRST) - DAY
    ended = laptop.run(first)
    assert ended.status == "SUCCEEDED", ended.failure
    return laptop


@pytest.mark.slow
@pytest.mark.parametrize("case", cases(ERROR))
def test_an_error_costs_one_redrive(cloud, case):
    """The Task's own role loses every right, which is given back before the redrive."""
    before = Before(cloud)
    with denied(cloud, LAMBDAS.get(case.state) or JOBS[case.state], after=BEFORE.get(case.state)) as failing:
        execution_arn = case.start(cloud)
        failing(execution_arn)
        ended = cloud.finish(execution_arn, 400)
    assert ended.status == "FAILED"
    assert ended.failure.state == case.state
    if case.state in JOBS:
        assert ended.failure.error == "SparkJobFailedError"  # no job run without rights can say why it failed
    assert_one_redrive_ends(cloud, case, ended, before)


@pytest.mark.slow
@pytest.mark.parametrize("case", cases(KILL))
def test_a_kill_costs_at_most_one_redrive(cloud, case):
    """A Lambda function's process once, in the middle of its work; Spark twice, as its state retries once."""
    before = Before(cloud)
    ended = interrupted(cloud, case, KILL)
    if case.state in JOBS:
        assert (ended.status, ended.failure.error) == ("FAILED", "SparkJobFailedError")
    assert_one_redrive_ends(cloud, case, ended, before)


@pytest.mark.slow
@pytest.mark.parametrize("case", cases(SILENCE))
def test_silence_costs_at_most_one_redrive(cloud, case):
    """A Lambda function hangs until its time is over; Spark says nothing for longer than a heartbeat, then goes on."""
    before = Before(cloud)
    ended = interrupted(cloud, case, SILENCE)
    if case.state in JOBS:
        started = [job["subject"] for job in ended.jobs if job["step"] == STEPS[case.state]]
        assert len(started) == len(set(started))  # what was silent is waited for, not started again
    assert_one_redrive_ends(cloud, case, ended, before)


def interrupted(cloud, case, fault):
    """How it ended, with the Task's work killed or fallen silent."""
    if case.state in LAMBDAS:
        return _interrupted_function(cloud, case, fault)
    times, number = (2, signal.SIGKILL) if fault == KILL else (1, signal.SIGSTOP)
    watcher, hit = cloud.kill_when(STEPS[case.state], jvm, times=times, with_signal=number)
    execution_arn = case.start(cloud)
    if fault == SILENCE:
        watcher.join()
        try:
            # the history tells a missed heartbeat as a timeout
            cloud.wait_for(lambda: "States.Timeout" in cloud.errors(execution_arn), 120)
        finally:
            os.kill(jvm()[0], signal.SIGCONT)
    ended = cloud.finish(execution_arn, 400)
    watcher.join()
    assert len(hit) == times
    return ended


def _interrupted_function(cloud, case, fault):
    actor = LAMBDAS[case.state]
    cloud.freeze(actor)
    try:
        execution_arn = case.start(cloud)
        if fault == KILL:
            cloud.wait_until_entered(execution_arn, case.state)
            time.sleep(1)  # until the call has come to the process
            assert cloud.signal_workers(actor, signal.SIGKILL)
        return cloud.finish(execution_arn, 900)
    finally:
        cloud.signal_workers(actor, signal.SIGKILL)


class Before:
    """What the tables held, of which a file that arrives changes nothing but its own day's rates."""

    def __init__(self, cloud):
        self.rates = cloud.business("silver/fx_rates")
        self.others = self.versions(cloud)

    @staticmethod
    def versions(cloud):
        return cloud.version("silver/orders"), cloud.version("gold/fct_daily_revenue")


def assert_one_redrive_ends(cloud, case, ended, before):
    if case.state in BAD:
        cloud.put_fx(case.day, fx_file(case.day))
    if ended.status != "SUCCEEDED":
        ended = cloud.redrive(ended)
    assert ended.status == "SUCCEEDED", ended.failure
    if case.workflow == "daily_batch":
        assert_equals_sources(cloud, case.day)
        return
    sources, tables = expected(case.day, cloud.pii_key)
    arrived = [row for row in sources.sql(tables["silver/fx_rates"]).fetchall() if row[0] == case.day]
    assert cloud.business("silver/fx_rates") == sorted([*before.rates, *arrived])
    assert before.versions(cloud) == before.others


def jvm():
    return [int(Home.default().spark_pid.read_text())]


@contextlib.contextmanager
def denied(cloud, actor, after):
    """Take every right from an actor's role: at once, or when an execution has come to the state `after`."""
    role, policy, iam = f"assay-local-{actor}", "denied-by-a-test", cloud.access._client("iam")
    statement = {"Effect": "Deny", "Action": "*", "Resource": "*"}

    def deny(execution_arn=None):
        if execution_arn and after:
            cloud.wait_until_entered(execution_arn, after)
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=document)

    if after is None:
        deny()
    try:
        yield deny
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName=policy)
