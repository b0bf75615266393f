"""The runner with a Spark that does what the test says."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from local.emr import runner as runner_module
from local.emr.events import Events
from local.emr.model import Application, JobRun
from local.emr.runner import Runner
from local.emr.service import EmrServerless
from local.emr.spark_jvm import SparkJvmError
from local.emr.staging import StagedJob
from local.emr.warm_spark import Ended


class FakeSpark:
    """A driver that runs until it is let go or killed."""

    def __init__(self) -> None:
        self.jobs: list[str] = []
        self.signals: list[signal.Signals] = []
        self.driver_pid: int | None = None
        self.ended = Ended(exit_code=0)
        self.up = True
        self._let_go = threading.Event()

    def wait_until_ready(self) -> None:
        if not self.up:
            raise SparkJvmError("Spark does not start: no memory")

    def run(self, job: Mapping[str, Any], *, cancelled: Callable[[], bool]) -> Ended:
        self.jobs.append(job["name"])
        self.driver_pid = 1
        Path(job["stderr"]).write_text("Traceback\nValueError: rates are negative\n", encoding="utf-8")
        if cancelled():
            return Ended(exit_code=-9)
        self._let_go.wait(20)
        self._let_go.clear()
        self.driver_pid = None
        return self.ended

    def let_go(self, ended: Ended) -> None:
        self.ended = ended
        self._let_go.set()

    def kill_driver(self, number: signal.Signals) -> None:
        self.signals.append(number)
        if number == signal.SIGKILL:
            self.let_go(Ended(exit_code=-9))


class World:
    def __init__(self, folder: Path) -> None:
        self.spark = FakeSpark()
        self.events = Events()
        self.service = EmrServerless(self.events)
        spark: Any = self.spark
        self.runner = Runner(self.service, spark, endpoint_url="http://127.0.0.1:1", folder=folder)
        settings = {"clientToken": "app", "releaseLabel": "emr-spark-8.1.0", "type": "SPARK"}
        self.application: Application = self.service.create_application("000000000000", "eu-west-1", settings)

    def submit(self, name: str, **more: Any) -> JobRun:
        request = {
            "clientToken": name,
            "name": name,
            "executionRoleArn": "arn:aws:iam::000000000000:role/bronze",
            "jobDriver": {"sparkSubmit": {"entryPoint": "s3://code/main.py"}},
            **more,
        }
        return self.service.start_job_run(self.application, request, "arn:aws:iam::000000000000:root")


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    def stage(_submit: Any, *, folder: Path, **_rest: Any) -> StagedJob:
        work = folder / "work"
        work.mkdir(parents=True)
        return StagedJob(
            entry_point=folder / "main.py", working_folder=work, python_path=(), environment={}, worker_environment={}
        )

    monkeypatch.setattr(runner_module, "stage", stage)
    monkeypatch.setattr(runner_module.ministack_emr, "may_assume_role", lambda *_: True)
    world = World(tmp_path)
    world.runner.start()
    yield world
    world.runner.stop()
    world.spark.let_go(Ended(exit_code=0))


def test_job_runs_go_one_after_the_other_in_their_order(world: World) -> None:
    first, second = world.submit("first"), world.submit("second")
    until(lambda: first.state == "RUNNING")
    assert second.state == "PENDING"
    world.spark.let_go(Ended(exit_code=0))
    until(lambda: second.state == "RUNNING")
    assert first.state == "SUCCESS"
    assert world.spark.jobs == ["first", "second"]


@pytest.mark.parametrize(
    ("ended", "details"),
    [
        pytest.param(
            Ended(exit_code=-9),
            "Job failed: its driver was killed by SIGKILL. Start the job again.",
            id="driver-killed",
        ),
        pytest.param(
            Ended(exit_code=1, lost="Spark's JVM ended with SIGKILL"),
            "Job failed: Spark's JVM ended with SIGKILL while it ran. Spark is started again; start the job again.",
            id="jvm-killed",
        ),
    ],
)
def test_a_lost_process_is_named_in_the_state_details(world: World, ended: Ended, details: str) -> None:
    job_run = world.submit("one")
    until(lambda: job_run.state == "RUNNING")
    world.spark.let_go(ended)
    until(lambda: job_run.state == "FAILED")
    assert job_run.state_details == details


def test_a_failed_job_ends_its_state_details_with_its_error(world: World) -> None:
    job_run = world.submit("one")
    until(lambda: job_run.state == "RUNNING")
    world.spark.let_go(Ended(exit_code=1))
    until(lambda: job_run.state == "FAILED")
    assert "ExitCode: 1" in job_run.state_details
    assert job_run.state_details.endswith("ValueError: rates are negative")
    assert len(job_run.state_details) <= 256


def test_a_job_run_past_its_timeout_is_cancelled(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "SECONDS_PER_MINUTE", 0.02)
    job_run = world.submit("one", executionTimeoutMinutes=5)
    until(lambda: job_run.state == "CANCELLED")
    assert job_run.state_details == "Job run exceeded its timeout of 5 minutes"
    assert world.spark.signals == [signal.SIGKILL]


def test_a_cancelled_driver_gets_its_grace(world: World) -> None:
    job_run = world.submit("one")
    until(lambda: world.spark.driver_pid is not None)
    world.service.cancel_job_run(job_run, grace_seconds=1)
    assert world.spark.signals == [signal.SIGTERM]
    assert job_run.state == "CANCELLING"
    until(lambda: job_run.state == "CANCELLED")
    assert world.spark.signals == [signal.SIGTERM, signal.SIGKILL]


def test_a_job_run_cancelled_while_it_waits_never_runs(world: World) -> None:
    first, second = world.submit("first"), world.submit("second")
    until(lambda: first.state == "RUNNING")
    world.service.cancel_job_run(second)
    assert second.state == "CANCELLED"
    third = world.submit("third")
    world.spark.let_go(Ended(exit_code=0))
    until(lambda: third.state == "RUNNING")
    assert world.spark.jobs == ["first", "third"]


def test_without_spark_a_job_run_fails_with_the_reason(world: World) -> None:
    world.spark.up = False
    job_run = world.submit("one")
    until(lambda: job_run.state == "FAILED")
    assert job_run.state_details == "Job failed before its driver started: Spark does not start: no memory"
