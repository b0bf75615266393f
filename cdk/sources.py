"""The sources that a stage may run: those that a bronze contract describes and a reader reads.

The contracts are read as files: cdk imports no runtime code.

Source: contracts/schemas; READERS in spark_jobs/ingest.py, which a test compares with KINDS.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SCHEMAS = Path(__file__).resolve().parents[1] / "contracts" / "schemas"


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """The secret of a system that sources are read from.

    Attributes:
        description: whose credentials they are, and what they must allow.
        keys: what to fill in.
        generated: the key whose value is generated until it is filled in, so that it opens nothing.
    """

    description: str
    keys: Sequence[str]
    generated: str


CREDENTIALS = {
    "snowflake": Credentials(
        description="Read-only user for ANALYTICS.SALES; fill in after the first deployment",
        keys=("account", "user", "database", "schema", "warehouse", "role"),
        generated="password",
    ),
    "salesforce": Credentials(
        description="Client credentials of a read-only integration user; fill in after the first deployment",
        keys=("instance_url", "client_id"),
        generated="client_secret",
    ),
    "redshift": Credentials(
        description="Read-only user of the warehouse; fill in after the first deployment",
        keys=("engine", "host", "port", "dbname", "username", "unload_role_arn"),
        generated="password",
    ),
    "hubspot": Credentials(
        description="Access token of a private app that may read contacts; fill in after the first deployment",
        keys=("api_url",),
        generated="access_token",
    ),
}
KINDS = ("files", *CREDENTIALS)


def check(names: Sequence[str], schemas: Path = SCHEMAS) -> None:
    """Nothing, when each name is that of a source which can be read.

    Raises:
        ValueError: a sentence that names the source, what is wrong and what to do.
    """
    known = kinds(schemas)
    for name in names:
        if name not in known:
            raise ValueError(f"no bronze contract has a source {name!r}; there are {', '.join(sorted(known))}")
        if known[name] not in KINDS:
            raise ValueError(
                f"{name} is of kind {known[name]}, which has no reader in spark_jobs/sources/ yet, or is not named in"
                " CREDENTIALS of cdk/sources.py; add what is missing, or leave the source out"
            )


def systems(names: Sequence[str], schemas: Path = SCHEMAS) -> dict[str, str]:
    """Source to the system whose credentials it needs, of the named sources that need any."""
    known = kinds(schemas)
    return {name: known[name] for name in names if known[name] in CREDENTIALS}


def kinds(schemas: Path = SCHEMAS) -> dict[str, str]:
    """Source to kind, from the latest contract of every bronze dataset."""
    found = {}
    for folder in sorted(schemas.iterdir()):
        versions = sorted(folder.glob("*.json"), key=lambda path: [int(part) for part in path.stem.split("-")])
        source = json.loads(versions[-1].read_bytes())["x-assay"].get("source") if versions else None
        if source is not None:
            found[source["name"]] = source["kind"]
    return found
