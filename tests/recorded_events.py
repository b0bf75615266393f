"""What AWS and the sources themselves send, from `tests/events`."""

import json
from pathlib import Path
from typing import Any


def recorded(name: str) -> Any:
    """A recorded event or answer, by the name of its file."""
    return json.loads((Path(__file__).parent / "events" / f"{name}.json").read_text())
