"""Bronze ingest of the Snowflake and Redshift stand-ins against one thread that only fetches, with the same clients."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from local.processes import free_port, wait_for_port
from ops.bench import Figures
from ops.errors import OpsError
from ops.package import ROOT

SYSTEMS = {"snowflake": "snowflake_orders", "redshift": "redshift_order_lines"}
START_SECONDS = 120


def measure() -> Figures:
    """Rows a second of the whole ingest job, of reading alone, and of one thread that fetches and keeps nothing.

    The job reads, judges each row by its contract and writes Delta. Where its pace is that of reading alone, the source
    bounds it, else judging and writing do.

    Raises:
        OpsError: a stand-in does not start.
    """
    with ExitStack() as servers:
        ports = {system: servers.enter_context(_stand_in(system)) for system in SYSTEMS}
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYSPARK_PYTHON": sys.executable, "TZ": "UTC"}
        race = Path(__file__).with_name("ingest_race.py")
        command = [sys.executable, str(race), json.dumps(ports)]
        found = subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    figures: dict[str, tuple[float, str, str | None]] = {}
    for system, timed in json.loads(found.stdout.splitlines()[-1]).items():
        pace = {name: timed["rows"] / statistics.median(seconds) for name, seconds in timed["seconds"].items()}
        figures |= {
            f"{system}_ingest_rows_per_second": (pace["ingest"], "rows/s to bronze", None),
            f"{system}_read_rows_per_second": (pace["read"], "rows/s read, none kept", None),
            f"{system}_fetch_rows_per_second": (pace["fetch"], "rows/s by one thread", None),
            f"{system}_ingest_vs_fetch": (pace["ingest"] / pace["fetch"], "times as fast", None),
        }
    return figures


@contextmanager
def _stand_in(system: str) -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", f"local.standins.{system}", "--port", str(port)]
    server = subprocess.Popen([*command, "--tpch", str(ROOT / "build" / "tpch")], cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        if not wait_for_port(port, START_SECONDS):
            raise OpsError(
                f"the stand-in for {system} does not listen after {START_SECONDS} s; run it by hand: {command}"
            )
        yield port
    finally:
        server.kill()
        server.wait()
