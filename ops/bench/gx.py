"""An environment of its own for Great Expectations: its pandas would change how other clients behave here."""

from __future__ import annotations

from pathlib import Path

from ops import apart

PINNED = Path(__file__).with_name("gx.txt")


def python() -> Path:
    """The Python that has Great Expectations, as gx.txt pins it; made on first use."""
    return apart.python("gx", PINNED)
