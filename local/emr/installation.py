"""Put EMR Serverless together: API, events, runner, warm Spark."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from local.emr.api import Api
from local.emr.events import Events
from local.emr.runner import Runner
from local.emr.service import EmrServerless
from local.emr.spark_settings import spark_settings
from local.emr.warm_spark import WarmSpark
from local.seams import ministack_cloud


class EmrService:
    """EMR Serverless, registered and ready to start.

    Attributes:
        spark: the warm JVM and its drivers.
        runner: the job runs' queue and logs.
    """

    def __init__(self, *, service: EmrServerless, events: Events, spark: WarmSpark, runner: Runner) -> None:
        self._service = service
        self._events = events
        self.spark = spark
        self.runner = runner

    @property
    def jvm_starts(self) -> int:
        """How often Spark's JVM was started."""
        return self.spark.jvm_starts

    def start(self) -> None:
        """Boot Spark in the background and take job runs; those that come before it is up wait."""
        self._events.start()
        self.spark.start()
        self.runner.start()

    def keep(self, file: Path) -> None:
        """Write applications and job runs to `file`; what runs is cancelled, as its driver ends with this process."""
        file.write_text(json.dumps(self._service.state()))

    def restore(self, file: Path) -> None:
        """Take up what `keep` wrote, if there is such a file."""
        if file.exists():
            self._service.restore(json.loads(file.read_text()))

    def stop(self) -> None:
        """End Spark, its drivers and the threads."""
        self.runner.stop()
        self.spark.stop()
        self._events.stop()


def install(*, endpoint_url: str, jars: Path, state_dir: Path, driver_memory: str = "2g") -> EmrService:
    """Register EMR Serverless in the embedded AWS of this process.

    Args:
        endpoint_url: where the embedded AWS will serve, on loopback.
        jars: the folder that `local.emr.jars` fills.
        state_dir: logs, code and scratch of the jobs go to `emr` in it.
        driver_memory: the heap of Spark's JVM.
    """
    folder = (state_dir / "emr").resolve()
    scratch = folder / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)  # of a cloud that was killed
    scratch.mkdir(parents=True)
    settings = spark_settings(
        jars=jars,
        scratch=scratch,
        endpoint_url=endpoint_url,
        region=ministack_cloud.region(),
        driver_memory=driver_memory,
    )
    events = Events()
    service = EmrServerless(events)
    spark = WarmSpark(settings=settings, jars=jars, folder=folder)
    runner = Runner(service, spark, endpoint_url=endpoint_url, folder=folder)
    Api(service).register()
    return EmrService(service=service, events=events, spark=spark, runner=runner)
