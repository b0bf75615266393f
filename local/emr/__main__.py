"""The embedded AWS with EMR Serverless alone: `python -m local.emr --port 4599 --jars build/jars --state DIR`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

ACCOUNT = "000000000000"
REGION = "eu-west-1"


def main() -> None:
    """Serve on loopback until told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--jars", type=Path, default=Path("build/jars"))
    parser.add_argument("--state", type=Path, required=True)
    arguments = parser.parse_args()
    os.environ.update(
        AUTH="true",
        AWS_ACCESS_KEY_ID=ACCOUNT,
        AWS_DEFAULT_REGION=REGION,
        BIND_HOST="127.0.0.1",
        GATEWAY_PORT=str(arguments.port),
        LOG_LEVEL="WARNING",
        MINISTACK_ACCOUNT_ID=ACCOUNT,
        MINISTACK_HOST="127.0.0.1",
        MINISTACK_REGION=REGION,
    )
    # ministack reads its settings from the environment while it is imported.
    from ministack import app as ministack_app

    import local.emr
    from local.seams import ministack_cloud

    ministack_cloud.count_loopback_as_secure()
    endpoint_url = f"http://127.0.0.1:{arguments.port}"
    emr = local.emr.install(endpoint_url=endpoint_url, jars=arguments.jars, state_dir=arguments.state)
    emr.start()
    sys.argv = ["ministack"]
    try:
        ministack_app.main()
    finally:
        emr.stop()


if __name__ == "__main__":
    main()
