"""What holds the contract files as a whole: released ones never change, and each version is raised enough.

`contracts/released.json` pins each released version as `<dataset>/<version>` to the SHA-256 of its file. A version
that is not in it is a draft: it may still change.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from itertools import pairwise

from contracts import contract as contracts
from contracts.diff import diff, shortfall
from contracts.errors import ContractError


def pinned() -> dict[str, str]:
    """The released versions, `<dataset>/<version>`, with the SHA-256 of each file in hex."""
    found: dict[str, str] = json.loads(resources.files("contracts").joinpath("released.json").read_bytes())
    return found


def drafts(released: Mapping[str, str]) -> dict[str, str]:
    """The versions that are not released yet, as `released` would pin them."""
    return {name: contracts.load(*name.split("/")).digest for name in _names() if name not in released}


def problems(released: Mapping[str, str]) -> list[str]:
    """A sentence for each thing that is wrong with the contract files; empty when nothing is."""
    broken = dict(_broken())
    found = [*broken.values(), *_altered(released, broken)]
    if broken:
        return found
    try:
        contracts.verify_tables()
    except ContractError as error:
        found.append(str(error))
    return [*found, *_not_raised()]


@cache
def problems_as_released() -> tuple[str, ...]:
    """What is wrong with the contract files of this code against its own pins; looked at once a process.

    A deployed function's files do not change, and to verify them all takes longer than to judge a day's files.
    """
    return tuple(problems(pinned()))


def _names() -> list[str]:
    return [f"{dataset}/{version}" for dataset in contracts.datasets() for version in contracts.versions(dataset)]


def _broken() -> Iterator[tuple[str, str]]:
    """Each version that is not a contract, with why."""
    for name in _names():
        dataset, version = name.split("/")
        try:
            contracts.verify(dataset, version)
        except ContractError as error:
            yield name, str(error)


def _altered(released: Mapping[str, str], broken: Mapping[str, str]) -> Iterator[str]:
    there = set(_names())
    for name, digest in sorted(released.items()):
        dataset, version = name.split("/")
        if name not in there:
            yield f"{dataset} {version}: is released, but its file is gone; put it back"
        elif name not in broken and contracts.load(dataset, version).digest != digest:
            yield f"{dataset} {version}: was altered after its release; put it back and write a new version instead"


def _not_raised() -> Iterator[str]:
    for dataset in contracts.datasets():
        for before, after in pairwise(contracts.versions(dataset)):
            old, new = contracts.load(dataset, before), contracts.load(dataset, after)
            if (sentence := shortfall(old, new, diff(old, new))) is not None:
                yield sentence
