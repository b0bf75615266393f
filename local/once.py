"""Files and folders that are made once and kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path


def once(path: Path, make: Callable[[Path], object]) -> Path:
    """`path`, made by `make` unless it is there.

    What is half made never takes the name, and of two processes that make the same at once, the first one's stands.
    """
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        make(partial)
        partial.rename(path)
    except OSError:
        if not path.is_dir():
            raise
    finally:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        partial.unlink(missing_ok=True)
    return path
