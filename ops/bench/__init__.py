"""Timings, each a ratio or a median of interleaved rounds within one run, as a table and as `build/bench.json`."""

from __future__ import annotations

from collections.abc import Mapping

Figures = Mapping[str, tuple[float, str, str | None]]
"""Name to value, unit and goal."""
