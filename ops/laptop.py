"""Starts, stops and describes the laptop cloud."""

from __future__ import annotations

import concurrent.futures
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from local.emr.jars import lean_spark_home
from local.home import ACCOUNT, DEFAULT_PORT, REGION, ROOT, SECRET_ACCESS_KEY, CloudState, Home
from local.processes import port_is_free, wait_for_port
from ops import deploy
from ops.errors import OpsError
from ops.platform import Access, platform

NEEDED_GB = 2.0
SPARK_SECONDS = 180
JARS = ROOT / "build" / "jars"
# Clouds that this very process started, so that it can reap them.
_started: dict[int, subprocess.Popen[bytes]] = {}


def up(say: Callable[[str], None], *, fresh: bool = False) -> None:
    """Start the laptop cloud, with what the last one held, and deploy the platform to it.

    Args:
        say: told what is being done, a few words a step.
        fresh: begin with nothing instead.
    Raises:
        OpsError: it is up already, its port is taken, the disk is full, Java is missing, or it did not come up.
    """
    home, port = Home.default(), int(os.environ.get("ASSAY_PORT", DEFAULT_PORT))
    check(home, port)
    platform.cache_clear()
    if fresh:
        home.kept.forget()
    say("archives and templates")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        templates = pool.submit(deploy.prepare)
        state = start(home, port)
        try:
            deploy.deploy(Access.laptop(), templates.result(), state.standin_ports, say)
            for name, standin_port in state.standin_ports.items():
                say(f"{name}'s stand-in")
                if not wait_for_port(standin_port, 60):
                    raise OpsError(f"{name}'s stand-in did not come up: see {home.standin_log(name)}")
        except BaseException:
            down()
            raise


def wait_for_spark() -> None:
    """Wait until Spark is warm; jobs that come before wait for it too.

    Raises:
        OpsError: it does not start.
    """
    pid = Home.default().spark_pid
    deadline = time.monotonic() + SPARK_SECONDS
    while not pid.exists():
        if time.monotonic() > deadline:
            raise OpsError(f"Spark was not up after {SPARK_SECONDS} s: see {pid.parent / 'spark.log'}")
        time.sleep(0.1)


def check(home: Home, port: int) -> None:
    """Refuse what cannot work, each with its reason, before anything is started.

    Raises:
        OpsError: as in `up`.
    """
    tools = subprocess.run(["sh", "ops/tools.sh"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tools.returncode:
        raise OpsError(tools.stderr.strip().splitlines()[0].removeprefix("assay: "))
    if not (JARS / ".ready").exists() or not lean_spark_home(JARS).exists():
        raise OpsError("Spark's jars are not there: run `make setup`")
    if home.is_held():
        raise OpsError(f"the laptop cloud is up already (home {home.path}): use it, or stop it with `assay down`")
    if not port_is_free(port):
        raise OpsError(f"port {port} is taken by another program: stop that one, or choose another: ASSAY_PORT=4600")
    home.path.mkdir(parents=True, exist_ok=True)
    free_gb = shutil.disk_usage(home.path).free / 1e9
    if free_gb < NEEDED_GB:
        raise OpsError(f"only {free_gb:.1f} GB are free where {home.path} lies: the laptop cloud needs {NEEDED_GB:.0f}")


def start(home: Home, port: int) -> CloudState:
    """Start the cloud's process and wait until its endpoint answers.

    Raises:
        OpsError: it ended, or did not answer within 3 minutes; the sentence names its log.
    """
    command = [sys.executable, "-m", "local.cloud", "--port", str(port), "--jars", str(JARS)]
    with home.log.open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
        )
    _started[process.pid] = process
    deadline = time.monotonic() + 180  # a cold disk on a busy machine
    while time.monotonic() < deadline and process.poll() is None:
        state = home.read()
        if state is not None and wait_for_port(port, 0.2):
            return state
        time.sleep(0.1)
    process.kill()
    last = (home.log.read_text(errors="replace").strip().splitlines() or ["it printed nothing"])[-1]
    raise OpsError(f"the laptop cloud did not come up: {last} (log: {home.log})")


def down() -> bool:
    """Stop the laptop cloud, which keeps what it holds; true when there was one to stop."""
    home = Home.default()
    platform.cache_clear()
    state = home.read()
    if state is None:
        return False
    os.kill(state.pid, signal.SIGTERM)
    deadline = time.monotonic() + 60  # it writes down what it holds
    while home.is_held():
        if time.monotonic() > deadline:
            os.kill(state.pid, signal.SIGKILL)
        time.sleep(0.05)
    if (process := _started.pop(state.pid, None)) is not None:
        process.wait()
    return True


def environment() -> dict[str, Any]:
    """What another program needs to speak to the laptop cloud.

    Raises:
        OpsError: it is not up.
    """
    stage = platform("local")
    return {
        "endpoint_url": stage.access.endpoint_url,
        "region": REGION,
        "access_key_id": ACCOUNT,
        "secret_access_key": SECRET_ACCESS_KEY,
        "lake_bucket": stage.lake_bucket,
        "code_bucket": stage.code_bucket,
        "ledger_table": stage.ledger_table,
        "application_id": stage.application_id,
        "state_machines": dict(stage.state_machines),
    }
