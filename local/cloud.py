"""The process that is the laptop cloud: embedded AWS, Step Functions, EMR Serverless, and the stand-ins.

Run by `assay up` as `python -m local.cloud --port P`; it binds loopback only and takes its children with it. What it
holds is kept on disk when it goes down in good order, and found again by the next one in the same home.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from local import standins
from local.home import ACCOUNT, REGION, ROOT, SECRET_ACCESS_KEY, CloudState, Home
from local.processes import free_port


def environment(home: Home, port: int) -> dict[str, str]:
    """The embedded AWS's settings; credentials and endpoints of the user's own are left out on purpose."""
    # Without bytecode on disk every Lambda worker and every Spark driver would compile all that it imports.
    left_out = ("AWS_", "PYTHONDONTWRITEBYTECODE")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return inherited | {
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",  # it would listen on every interface
        "LAMBDA_EXECUTOR": "local",
        "LOG_LEVEL": "WARNING",
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "PERSIST_STATE": "1",
        "S3_DATA_DIR": str(home.kept.folder / "s3"),
        "S3_PERSIST": "1",
        "STATE_DIR": str(home.kept.folder / "services"),
        "TMPDIR": str(home.scratch),
    }


def start_standin(home: Home, name: str, port: int) -> subprocess.Popen[bytes]:
    """A source's stand-in as a child process; it loads its data and then listens on `port`."""
    command = [sys.executable, "-m", f"local.standins.{name}", "--port", str(port)]
    command += ["--tpch", str(ROOT / "build" / "tpch")]
    with home.standin_log(name).open("wb") as log:
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)


def serve(home: Home, port: int, jars: Path) -> None:
    """Serve until told to stop."""
    # ministack reads its settings from the environment while it is imported
    from ministack import app as ministack_app

    import local.emr
    import local.stepfunctions
    from local.seams import ministack_cloud

    state = CloudState(pid=os.getpid(), port=port, standin_ports={name: free_port() for name in standins.SERVERS})
    ministack_cloud.count_loopback_as_secure()
    ministack_cloud.unpack_code_once(home.scratch / "lambda-code")
    local.stepfunctions.install(state.endpoint_url)
    emr = local.emr.install(endpoint_url=state.endpoint_url, jars=jars, state_dir=home.path)
    emr_state = home.kept.folder / "emr.json"
    emr.restore(emr_state)
    servers = [start_standin(home, name, each) for name, each in state.standin_ports.items()]
    emr.start()
    home.write(state)
    sys.argv = ["ministack"]
    try:
        ministack_app.main()
        emr.keep(emr_state)
        home.kept.close()
    finally:
        emr.stop()
        for server in servers:
            server.kill()


def main() -> None:
    """Take the home's lock, then serve in it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--jars", type=Path, required=True)
    arguments = parser.parse_args()
    home = Home.default()
    with home.lock():
        (home.path / "cloud.json").unlink(missing_ok=True)
        shutil.rmtree(home.scratch, ignore_errors=True)
        home.scratch.mkdir()
        home.kept.open()
        os.environ.clear()
        os.environ.update(environment(home, arguments.port))
        serve(home, arguments.port, arguments.jars)


if __name__ == "__main__":
    main()
