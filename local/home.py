"""Where the laptop cloud keeps what it needs while it is up, and how one finds it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ACCOUNT, REGION = "000000000000", "eu-west-1"
SECRET_ACCESS_KEY = "laptop"  # noqa: S105 - guards nothing: the cloud listens on loopback and holds sample data
DEFAULT_PORT = 4577


class CloudAlreadyUpError(Exception):
    """Another process holds this home."""


@dataclass(frozen=True, kw_only=True)
class CloudState:
    """What a running laptop cloud tells about itself in `cloud.json`."""

    pid: int
    port: int
    standin_ports: Mapping[str, int]

    @property
    def endpoint_url(self) -> str:
        """The one endpoint of all AWS services."""
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Kept:
    """The state of a laptop cloud on disk: whole once the cloud has gone down in good order, and not before."""

    folder: Path

    @property
    def is_whole(self) -> bool:
        """Whether an earlier cloud left all of it."""
        return self._mark.exists()

    @property
    def _mark(self) -> Path:
        return self.folder / "whole"

    def forget(self) -> None:
        """Drop it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def open(self) -> None:
        """Begin to use it; what a cloud that was killed left behind fits together no more, and is dropped."""
        if not self.is_whole:
            self.forget()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._mark.unlink(missing_ok=True)

    def close(self) -> None:
        """Say that all of it has been written."""
        self._mark.touch()


@dataclass(frozen=True)
class Home:
    """A folder of one laptop cloud: lock, state, logs and scratch space."""

    path: Path

    @classmethod
    def default(cls) -> Home:
        """`ASSAY_HOME`, or `.assay` in the checkout."""
        return cls(Path(os.environ.get("ASSAY_HOME") or ROOT / ".assay"))

    @property
    def log(self) -> Path:
        """What the cloud prints."""
        return self.path / "cloud.log"

    @property
    def spark_pid(self) -> Path:
        """Where Spark's JVM says who it is, once it is warm."""
        return self.path / "emr" / "spark.pid"

    def standin_log(self, name: str) -> Path:
        """What a source's stand-in prints."""
        return self.path / f"{name}.log"

    @property
    def scratch(self) -> Path:
        """Files of job runs and Lambda workers; emptied at each start."""
        return self.path / "scratch"

    @property
    def kept(self) -> Kept:
        """What the cloud holds, over `assay down` and `assay up`."""
        return Kept(self.path / "state")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the home for as long as the block runs; the kernel lets go when the process ends, however it ends.

        Raises:
            CloudAlreadyUpError: another process holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "cloud.lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CloudAlreadyUpError(f"a laptop cloud is up already in {self.path}") from None
            yield

    def is_held(self) -> bool:
        """Whether a cloud runs in this home."""
        try:
            with self.lock():
                return False
        except CloudAlreadyUpError:
            return True

    def write(self, state: CloudState) -> None:
        """Publish `state` in one move, so that no reader sees half of it."""
        partial = self.path / "cloud.json.partial"
        partial.write_text(json.dumps(asdict(state)))
        partial.rename(self.path / "cloud.json")

    def read(self) -> CloudState | None:
        """The state of the running cloud; None when none runs, whatever a killed one left behind."""
        file = self.path / "cloud.json"
        if not file.exists() or not self.is_held():
            return None
        return CloudState(**json.loads(file.read_text()))
