"""What Spark says of its own work: rows and bytes that tasks read, and the same for Delta's log alone.

Source: Spark 4.1.1, AppStatusStore.stageList, StageData.inputBytes and inputRecords; what is read from memory counts
too. Delta 4.2.0 describes its own jobs, such as "Delta: Compute snapshot for version: 3".
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import SparkSession

_LOG = ("Delta: Compute snapshot", "Delta: Filtering files", "Delta: Replay")


@dataclass(kw_only=True)
class Cost:
    """What a step cost."""

    seconds: float = 0.0
    rows: int = 0
    bytes: int = 0
    log_rows: int = 0
    log_bytes: int = 0
    jobs: int = 0
    tasks: int = 0
    files: int = 0
    file_bytes: int = 0
    descriptions: list[str] = field(default_factory=list)


class Meter:
    """Measures blocks of work in a session."""

    def __init__(self, spark: SparkSession) -> None:
        self._context: Any = spark._jsc.sc()
        jvm: Any = spark._jvm
        gateway: Any = spark.sparkContext._gateway
        no_quantiles = gateway.new_array(jvm.double, 0)
        # every status, without tasks and summaries
        self._every_stage = (None, False, False, no_quantiles, jvm.java.util.ArrayList())
        self._last = -1

    def measure(self, work: Callable[[], None]) -> Cost:
        """Do the work; what it cost."""
        self._new_stages()
        started = time.perf_counter()
        work()
        cost = Cost(seconds=time.perf_counter() - started)
        for stage in self._new_stages():
            description = stage.description()
            text = description.get() if description.isDefined() else ""
            rows, size = stage.inputRecords(), stage.inputBytes()
            cost.tasks += stage.numCompleteTasks()
            cost.jobs += 1
            if text.startswith(_LOG):
                cost.log_rows, cost.log_bytes = cost.log_rows + rows, cost.log_bytes + size
            else:
                cost.rows, cost.bytes = cost.rows + rows, cost.bytes + size
            cost.descriptions.append(f"{text[:60]}|{stage.name()[:60]}|{rows}|{size}")
        return cost

    def _new_stages(self) -> list[Any]:
        self._context.listenerBus().waitUntilEmpty()
        stages = self._context.statusStore().stageList(*self._every_stage)
        found = []
        for index in range(stages.size()):  # newest first
            stage = stages.apply(index)
            if stage.stageId() <= self._last:
                break
            found.append(stage)
        if found:
            self._last = max(self._last, found[0].stageId())
        return found
