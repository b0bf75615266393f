"""Environments of their own, for programs whose packages would change how the project's own behave."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ops.package import ROOT


def python(name: str, pinned: Path) -> Path:
    """The Python of the environment build/<name>, which has what `pinned` names; made on first use.

    Args:
        name: of the folder.
        pinned: a file of requirements, every version pinned.
    """
    home = ROOT / "build" / name
    ready, interpreter = home / "pinned.txt", home / "bin" / "python"
    if not ready.exists() or ready.read_text() != pinned.read_text():
        uv = [str(Path(sys.executable).with_name("uv")), "--quiet"]
        subprocess.run([*uv, "venv", "--clear", "--python", sys.executable, str(home)], check=True)
        install = [*uv, "pip", "install", "--python", str(interpreter), "-r", str(pinned)]
        subprocess.run(install, check=True, timeout=500)
        ready.write_text(pinned.read_text())
    return interpreter
