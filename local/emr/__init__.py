"""EMR Serverless of the laptop cloud: the API in the embedded AWS, and each job on a warm Spark as its own role."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local.emr.installation import EmrService


def install(*, endpoint_url: str, jars: Path, state_dir: Path, driver_memory: str = "2g") -> EmrService:
    """Register EMR Serverless in the embedded AWS of this process.

    Args:
        endpoint_url: where the embedded AWS will serve, on loopback.
        jars: the folder that `local.emr.jars` fills.
        state_dir: logs, code and scratch of the jobs go to `emr` in it.
        driver_memory: the heap of Spark's JVM.
    """
    # The embedded AWS reads its settings when it is imported, so it is imported as late as can be.
    from local.emr.installation import install as install_service

    return install_service(endpoint_url=endpoint_url, jars=jars, state_dir=state_dir, driver_memory=driver_memory)
