"""Serve the embedded AWS with this service alone: `python -m local.stepfunctions --port 4566`."""

from __future__ import annotations

import argparse
import os
import sys


def main() -> None:
    """Serve on loopback until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="loopback port to listen on")
    parser.add_argument("--auth", action="store_true", help="enforce IAM policies")
    arguments = parser.parse_args()
    # ministack reads these when it is imported.
    os.environ.update(GATEWAY_PORT=str(arguments.port), BIND_HOST="127.0.0.1", AUTH=str(arguments.auth).lower())
    from ministack import app

    from local.stepfunctions import install

    install(f"http://127.0.0.1:{arguments.port}")
    sys.argv = ["ministack"]
    app.main()


if __name__ == "__main__":
    main()
