"""A Spark driver of its own that publishes a day: `killed_publish.py LAKE REQUEST`, to be killed at any moment."""

from __future__ import annotations

import sys
from pathlib import Path

from spark_session import new_session

from spark_jobs import entry
from spark_jobs.request import parse_request
from spark_jobs.storage import FolderStore


def main() -> None:
    """Say that Spark is up, wait for a line, publish."""
    lake, request = Path(sys.argv[1]), parse_request(Path(sys.argv[2]).read_bytes())
    spark = new_session()
    spark.range(1).count()
    print("up", flush=True)
    sys.stdin.readline()
    code = entry.perform(request, FolderStore(lake), spark)
    print(f"ended {code}", flush=True)


if __name__ == "__main__":
    main()
