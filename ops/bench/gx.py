"""An environment of its own for Great Expectations: its pandas would change how other clients behave here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ops.package import ROOT

HOME = ROOT / "build" / "gx"
PINNED = Path(__file__).with_name("gx.txt")


def python() -> Path:
    """The Python that has Great Expectations, as gx.txt pins it; made on first use."""
    ready, interpreter = HOME / "gx.txt", HOME / "bin" / "python"
    if not ready.exists() or ready.read_text() != PINNED.read_text():
        uv = [str(Path(sys.executable).with_name("uv")), "--quiet"]
        subprocess.run([*uv, "venv", "--clear", "--python", sys.executable, str(HOME)], check=True)
        install = [*uv, "pip", "install", "--python", str(interpreter), "-r", str(PINNED)]
        subprocess.run(install, check=True, timeout=500)
        ready.write_text(PINNED.read_text())
    return interpreter
