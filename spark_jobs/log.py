"""Log lines as JSON, on standard output, with nothing in them but names, numbers and the run.

A line is built from an allow-list of fields, so that a secret or a person's data cannot slip in with an object.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any

_ALLOWED = {
    "action", "attempt", "dataset", "error", "expectation", "files", "files_a_day", "path", "published", "round",
    "rows", "run_id", "runs", "seconds", "small_files", "step", "subject", "table", "vacuumed", "verdict", "version",
}  # fmt: skip


class Log:
    """Writes lines that all carry the same run, step, subject and attempt."""

    def __init__(self, **context: str | int) -> None:
        self._context = context

    def write(self, event: str, **fields: Any) -> None:
        """One line; a field that is not on the allow-list is a programming error."""
        if unknown := sorted(set(fields) - _ALLOWED):
            raise ValueError(f"not allowed in a log line: {', '.join(unknown)}")
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **self._context, **fields}
        print(json.dumps(line), file=sys.stdout, flush=True)
