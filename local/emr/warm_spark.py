"""Warm Spark: one JVM that outlives jobs, watched and started again when it dies; one job at a time."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.emr.drivers import Driver, SpareDriver
from local.emr.spark_jvm import START_SECONDS, SparkJvm, SparkJvmError

# A JVM that dies this often before it is up has a reason that another try will not mend.
MAX_FAILED_STARTS = 3


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a driver ended.

    Attributes:
        exit_code: of the driver; negative for the signal that ended it.
        lost: why Spark itself was lost meanwhile; empty when it was not.
    """

    exit_code: int
    lost: str = ""


class WarmSpark:
    """Runs Python drivers on a warm JVM.

    Attributes:
        jvm_starts: how often a JVM was started; 1 in a life without accidents.
    """

    def __init__(self, *, settings: Mapping[str, str], jars: Path, folder: Path) -> None:
        self.jvm_starts = 0
        self._settings = settings
        self._jars = jars
        self._folder = folder
        self._spare = SpareDriver(folder / "drivers.log")
        self._changed = threading.Condition()
        self._jvm: SparkJvm | None = None
        self._driver: Driver | None = None
        self._starting_or_up: SparkJvm | None = None
        self._waiting = 0
        self._stopping = False
        self._failure = ""
        self._supervisor: threading.Thread | None = None

    @property
    def log(self) -> Path:
        """The log of the JVM, of all jobs."""
        return self._folder / "spark.log"

    @property
    def jvm_pid(self) -> int | None:
        """The JVM that is up."""
        jvm = self._jvm
        return jvm.process.pid if jvm is not None and jvm.alive else None

    @property
    def driver_pid(self) -> int | None:
        """The driver of the job that runs."""
        driver = self._driver
        return driver.pid if driver is not None else None

    def start(self) -> None:
        """Boot in the background."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._supervisor = threading.Thread(target=self._supervise, name="emr-spark", daemon=True)
        self._supervisor.start()

    def stop(self) -> None:
        """End the JVM and every driver."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self.kill_driver(signal.SIGKILL)
        self._spare.stop()
        jvm = self._starting_or_up
        if jvm is not None:
            jvm.stop()
        if self._supervisor is not None:
            self._supervisor.join(timeout=10)

    def wait_until_ready(self, timeout_seconds: float = 3 * START_SECONDS) -> SparkJvm:
        """The JVM, once it is up.

        Raises:
            SparkJvmError: it does not come up.
        """
        with self._changed:
            self._waiting += 1
            self._changed.wait_for(lambda: self._jvm or self._stopping or self._failure, timeout=timeout_seconds)
            self._waiting -= 1
            if self._jvm is None:
                raise SparkJvmError(self._failure or f"Spark is not up after {timeout_seconds:.0f} s; see {self.log}")
            return self._jvm

    def kill_driver(self, number: signal.Signals) -> None:
        """Signal the driver that runs, if one does."""
        driver = self._driver
        if driver is not None:
            driver.signal(number)

    def run(self, job: Mapping[str, Any], *, cancelled: Callable[[], bool]) -> Ended:
        """Run a driver to its end and leave the JVM clean. Called by one thread only.

        Args:
            job: what `attach.py` reads, without the gateway.
            cancelled: asked once the driver can be killed, for a cancellation that came before.
        """
        jvm = self.wait_until_ready()
        self._driver = self._spare.start({**job, "gateway_port": jvm.port, "gateway_secret": jvm.secret})
        if cancelled():
            self.kill_driver(signal.SIGKILL)
        self._spare.prepare()
        exit_code = self._driver.wait()
        self._driver = None
        lost = ""
        try:
            jvm.clean_up(job["job_run_id"], killed=exit_code != 0)
        except SparkJvmError as error:
            died_by_itself = _ended_within(jvm, seconds=2)
            lost = f"Spark's JVM ended with {_describe(jvm)}" if died_by_itself else str(error)
            jvm.process.kill()
            with self._changed:
                self._changed.wait_for(lambda: self._jvm is not jvm, timeout=10)
        return Ended(exit_code=exit_code, lost=lost)

    def _supervise(self) -> None:
        failed_starts = 0
        while not self._stopping and failed_starts < MAX_FAILED_STARTS:
            self.jvm_starts += 1
            pid = self._folder / "spark.pid"  # names the JVM, once that is warm
            pid.unlink(missing_ok=True)
            jvm = SparkJvm(settings=self._settings, jars=self._jars, folder=self._folder, log=self.log)
            self._starting_or_up = jvm
            self._spare.prepare()
            try:
                jvm.boot()
                with contextlib.suppress(Exception):  # warmth is a matter of speed only
                    jvm.warm_up(self._folder / "scratch", wanted=lambda: not self._waiting)
                    jvm.clean_up("warm-up", killed=False)
            except Exception as error:  # noqa: BLE001  # py4j raises many kinds when the JVM dies under it
                failed_starts += 1
                self._failure = f"Spark does not start: {error}"
                jvm.process.kill()
                jvm.process.wait()
                continue
            failed_starts = 0
            pid.write_text(str(jvm.process.pid), encoding="utf-8")
            with self._changed:
                self._failure = ""
                self._jvm = jvm
                self._changed.notify_all()
            jvm.process.wait()
            # Its driver can do nothing more; some would wait for an answer that never comes.
            self.kill_driver(signal.SIGKILL)
            with self._changed:
                self._jvm = None
                self._changed.notify_all()
        with self._changed:
            self._failure = self._failure or "the laptop cloud is stopping"
            self._changed.notify_all()


def _ended_within(jvm: SparkJvm, *, seconds: float) -> bool:
    with contextlib.suppress(Exception):
        jvm.process.wait(timeout=seconds)
    return not jvm.alive


def _describe(jvm: SparkJvm) -> str:
    code = jvm.process.returncode
    return signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"
