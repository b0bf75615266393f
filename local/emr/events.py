"""State change events in the order in which states changed, from a thread of their own.

A rule's target may take a while; neither a request nor the running job waits for it.
"""

from __future__ import annotations

import logging
import queue
import threading
from typing import Any

from local.emr.model import Application, JobRun
from local.seams import ministack_cloud

logger = logging.getLogger(__name__)
SOURCE = "aws.emr-serverless"
APPLICATION = "EMR Serverless Application State Change"
JOB_RUN = "EMR Serverless Job Run State Change"


class Events:
    """A queue of events and the thread that puts them on the default bus."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[Application, str, dict[str, Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._deliver, name="emr-events", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def stop(self) -> None:
        """Deliver what is queued, then end."""
        self._queue.put(None)
        self._thread.join(timeout=5)

    def application_changed(self, application: Application) -> None:
        """Queue the event of an application's present state."""
        self._queue.put((application, APPLICATION, application.event()))

    def job_run_changed(self, job_run: JobRun) -> None:
        """Queue the event of a job run's present state."""
        self._queue.put((job_run.application, JOB_RUN, job_run.event()))

    def _deliver(self) -> None:
        while (item := self._queue.get()) is not None:
            application, detail_type, detail = item
            try:
                with ministack_cloud.scope(application.account, application.region):
                    # AWS names no resources in these events.
                    ministack_cloud.emit_event(SOURCE, detail_type, detail, [])
            except Exception:
                logger.exception("%s was not delivered", detail_type)
