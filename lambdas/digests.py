"""Contracts and code as a run pinned them, against those of today."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contracts import contract as contracts
from contracts.errors import BreakingContractChangeError

ANNOTATIONS = frozenset({"$schema", "$id", "$comment", "title", "description", "examples", "deprecated"})


@dataclass(frozen=True, kw_only=True)
class Released:
    """The contracts in this code.

    Attributes:
        digest: over the latest version of every dataset.
        schemas: dataset to version to digest of its row schema, oldest version first.
    """

    digest: str
    schemas: Mapping[str, Mapping[str, str]]

    def latest(self) -> dict[str, list[str]]:
        """Dataset to [latest version, digest of its row schema]: what OpenRun pins."""
        return {dataset: list(list(versions.items())[-1]) for dataset, versions in self.schemas.items()}


def released() -> Released:
    """The contracts in this code."""
    return Released(
        digest=contracts.digest(),
        schemas={
            dataset: {
                version: schema_digest(contracts.load(dataset, version).schema)
                for version in contracts.versions(dataset)
            }
            for dataset in contracts.datasets()
        },
    )


def schema_digest(schema: Mapping[str, Any]) -> str:
    """A digest of what a schema demands; titles and descriptions may change without changing it."""
    return digest_of(_demands(schema))


def digest_of(value: Any) -> str:
    """SHA-256, in hex, of a value's canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def check_compatible(pinned: Mapping[str, list[str]], today: Released) -> None:
    """Nothing, when a run that pinned those contracts may go on with today's.

    Expectations, tolerance and compatible new versions may change under a run: that is how a gate is mended.

    Args:
        pinned: dataset to [version, digest of its row schema].
        today: the contracts in this code.
    Raises:
        BreakingContractChangeError: a pinned version is gone, its row schema is another, or a new model replaced it.
    """
    for dataset, (version, digest) in sorted(pinned.items()):
        versions = today.schemas.get(dataset, {})
        if version not in versions:
            problem = "is no longer released"
        elif versions[version] != digest:
            problem = "was altered in place"
        elif _model(list(versions)[-1]) > _model(version):
            problem = f"was replaced by the breaking {list(versions)[-1]}"
        else:
            continue
        raise BreakingContractChangeError(
            f"{dataset} {version}: {problem} since the run was opened; deploy contracts that keep {version}, then "
            "redrive, or let a new run supersede this one"
        )


def _model(version: str) -> int:
    return int(version.split("-")[0])


def _demands(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_demands(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        # a column may be called "title": names of properties are not annotations
        keyword: {name: _demands(inner) for name, inner in value.items()}
        if keyword == "properties"
        else _demands(value)
        for keyword, value in schema.items()
        if keyword not in ANNOTATIONS
    }
