"""Python drivers: one process a job, the next one started ahead so that pyspark is imported when its job comes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.emr.spark_settings import base_environment

ATTACH = Path(__file__).parent / "attach.py"


class Driver:
    """A process of `attach.py`, in a group of its own so that what a job starts ends with it."""

    def __init__(self, log: Path) -> None:
        environment = {
            **base_environment(),
            # As spark-submit runs a Python driver.
            "PYTHONUNBUFFERED": "YES",
            "PYTHONHASHSEED": "0",
        }
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(ATTACH)],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id, which is the process group too."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def start(self, job: Mapping[str, Any]) -> bool:
        """Hand over the job; false when the process was dead already."""
        assert self._process.stdin is not None  # noqa: S101  # a pipe was asked for
        try:
            self._process.stdin.write(json.dumps(job).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return False
        return True

    def wait(self) -> int:
        """The exit code; negative for the signal that ended the process. Nothing of its group is left."""
        code = self._process.wait()
        self.signal(signal.SIGKILL)
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        return code

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process and all it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


class SpareDriver:
    """Keeps one driver started ahead."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._spare: Driver | None = None

    def prepare(self) -> None:
        """Start the next driver unless there is one."""
        with self._lock:
            if self._spare is None or not self._spare.alive:
                self._spare = Driver(self._log)

    def start(self, job: Mapping[str, Any]) -> Driver:
        """A driver that runs `job`: the spare one, or a new one when somebody killed it."""
        with self._lock:
            spare, self._spare = self._spare, None
        if spare is not None and spare.alive and spare.start(job):
            return spare
        driver = Driver(self._log)
        driver.start(job)
        return driver

    def stop(self) -> None:
        """End the spare driver."""
        with self._lock:
            spare, self._spare = self._spare, None
        if spare is not None:
            spare.signal(signal.SIGKILL)
            spare.wait()
