"""What happened in a schedule, in its order."""

from __future__ import annotations

import hashlib

from .kernel import Kernel


class Trace:
    """Lines of time, who and what; kept as they come, written when a person asks."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._lines: list[tuple[float, str, tuple[object, ...]]] = []

    def add(self, who: str, *what: object) -> None:
        """Note something; `what` must not change later."""
        self._lines.append((self._kernel.now, who, what))

    def text(self) -> str:
        """One line each, the time in seconds since the start."""
        return "".join(f"{when:12.3f}  {who:<34} {' '.join(map(str, what))}\n" for when, who, what in self._lines)

    @property
    def digest(self) -> str:
        """SHA-256 of the text."""
        return hashlib.sha256(self.text().encode()).hexdigest()
