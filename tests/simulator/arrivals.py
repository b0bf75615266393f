"""S3's events of objects created, their queue, and the function that gathers them."""

from __future__ import annotations

import json
from typing import Any

from .cloud import BUCKET, Functions, Site
from .engine import CONFIG

WINDOW_SECONDS = float(CONFIG["arrivals"]["window_seconds"])
VISIBILITY_SECONDS = 360.0
MOST_RECEIVES = 5
ARRIVAL_EVENT = ("event_late", "event_twice")
LATE_SECONDS = (100.0, 4000.0)


class Queue:
    """SQS between the bucket and gather_arrivals: a window's messages come together, and again until they are done."""

    def __init__(self, site: Site, functions: Functions) -> None:
        self._site, self._functions = site, functions
        self._waiting: list[tuple[dict[str, Any], int]] = []
        self._count = 0
        self.dead: list[dict[str, Any]] = []

    def tell(self, key: str, etag: str, size: int) -> None:
        """An object was created: its event comes at least once, and in its own time."""
        self._count += 1
        detail = {"key": key, "etag": etag, "size": size, "sequencer": f"{self._count:08X}"}
        event = {
            "source": "aws.s3",
            "detail-type": "Object Created",
            "time": self._site.kernel.moment().isoformat(),
            "detail": {"bucket": {"name": BUCKET}, "object": detail},
        }
        point = f"arrival of {key}"
        fault = self._site.faults.at(point, ARRIVAL_EVENT)
        if fault is not None:
            self._site.trace.add("events", "FAULT", fault, point)
        for _ in range(2 if fault == "event_twice" else 1):
            least, most = LATE_SECONDS if fault == "event_late" else (0.2, 5.0)
            self._site.kernel.at(self._site.kernel.random.uniform(least, most), lambda: self._send(event, 0))

    def revive(self) -> None:
        """A person sends back what has come too often."""
        dead, self.dead = self.dead, []
        for event in dead:
            self._send(event, 0)

    def _send(self, event: dict[str, Any], received: int) -> None:
        if not self._waiting:
            self._site.kernel.at(WINDOW_SECONDS, lambda: self._site.kernel.spawn(self._take))
        self._waiting.append((event, received))

    def _take(self) -> None:
        batch, self._waiting = self._waiting, []
        records = [
            {"messageId": str(number), "eventSource": "aws:sqs", "body": json.dumps(event)}
            for number, (event, _) in enumerate(batch)
        ]
        _, failed = self._functions.run("gather_arrivals", {"Records": records})
        if not failed:
            return
        for event, received in batch:
            if received + 1 >= MOST_RECEIVES:
                self._site.trace.add("queue", "gives up a message")
                self.dead.append(event)
            else:
                again = lambda event=event, received=received: self._send(event, received + 1)  # noqa: E731
                self._site.kernel.at(VISIBILITY_SECONDS, again)
