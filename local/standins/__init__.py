"""Stand-ins for the outside world: each is spoken to by the real client, and holds real data.

A module of SERVERS is a program (`--port P --tpch FOLDER`), with a function `secret(port)`: what Secrets Manager holds
for it.
"""

from __future__ import annotations

import importlib
from typing import Any

SERVERS = ("snowflake", "salesforce", "hubspot", "redshift")


def secret(name: str, port: int) -> dict[str, Any]:
    """What Secrets Manager holds for a server of SERVERS that listens on a port."""
    found: dict[str, Any] = importlib.import_module(f"{__name__}.{name}").secret(port)
    return found
