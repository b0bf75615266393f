"""`assay report`: what a run's gates saw, as one HTML file for a person to look at."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from ops.errors import OpsError
from ops.platform import Platform

FOLDER = Path("build/reports")


def write(platform: Platform, wanted: str, out: Path | None) -> dict[str, Any]:
    """Write a run's report and return where it lies and what it says.

    Args:
        platform: the stage that the run is of.
        wanted: as `run.find` takes it, or a run id.
        out: the file; build/reports/<run_id>.html by default.
    Raises:
        OpsError: no such run, or the file cannot be written.
    """
    from ops.report import gather, page  # jinja2 and delta-rs are read in when a report is asked for

    found = gather.gather(platform, wanted)
    path = out or FOLDER / f"{found.head.run_id}.html"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page.render(found), encoding="utf-8")
    except OSError as error:
        raise OpsError(f"--out: {path} cannot be written: {error.strerror}") from error
    return {"path": str(path), **dataclasses.asdict(found)}
