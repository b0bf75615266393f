"""Files in the landing prefix: which of them are a source's, how each is read, and whether a day's has come."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from contracts import json_lines, text
from contracts.contract import JSON_LINES, Contract
from contracts.errors import ContractViolationError

LONGEST_KEY = 1024  # bytes, as in S3
# Hadoop reads no path with a colon, and takes `..` and an empty step for another path; control characters and the line
# ends of Unicode would break a log line in two.
_UNREADABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029:]")
# Spark skips such files without a word
_HIDDEN_START, _HIDDEN_END = ("_", "."), "._COPYING_"


def takes(contract: Contract, key: str) -> bool:
    """Whether an object key is that of one of the source's files: its pattern, and a name that Spark can read."""
    source = contract.source or {}
    prefix = str(source["prefix"])
    name = key.removeprefix(prefix)
    if name == key or not re.fullmatch(str(source["pattern"]), name):
        return False
    steps = name.split("/")
    return (
        len(key.encode()) <= LONGEST_KEY
        and not _UNREADABLE.search(name)
        and not name.endswith(_HIDDEN_END)
        and all(step and not step.startswith(_HIDDEN_START) for step in steps)
    )


def read_head(contract: Contract, key: str, data: bytes, truncated: bool, data_date: date) -> list[dict[str, Any]]:
    """The rows at the head of a file, parsed and judged in its layout.

    Args:
        contract: a contract of files.
        key: the file's object key.
        data: the first bytes of the file.
        truncated: whether the file goes on after `data`.
        data_date: that of the run which took it.
    Raises:
        ContractViolationError: the first rule broken, with the line.
    """
    read = json_lines.read_head if text.parse_of(contract).layout == JSON_LINES else text.read_head
    return read(contract, key, data, truncated, minimum_rows(contract, key, data_date))


def minimum_rows(contract: Contract, key: str, data_date: date) -> int:
    """The rows that a file must have: none, if it is that of a day that need not bring one.

    A file whose name states no day is one of the run's data date.
    """
    minimum, expected = text.parse_of(contract).minimum_rows, contract.expected_days
    if expected is None:
        return minimum
    day = expected.day_of(_name(contract, key)) or data_date
    return minimum if day in expected else 0


def check_arrived(
    contract: Contract, *, first: date, data_date: date, own: Iterable[str], others: Sequence[str]
) -> None:
    """Nothing, when the files have come that the days of a run must bring.

    Args:
        contract: a contract of files.
        first: the first day of the run's interval; its data date when it reads the whole history.
        data_date: the last day of the run.
        own: keys of the files that the run took.
        others: keys of those that other runs took.
    Raises:
        ContractViolationError: the day whose file is missing, and what to do.
    """
    expected = contract.expected_days
    if expected is None:
        return
    names = [[_name(contract, key) for key in keys] for keys in (own, others)]
    day = expected.without_file(first, data_date, *names)
    if day is not None:
        detail = (
            f"no file came for {day} ({day:%A}): {contract.location}{expected.name_of(day)} is missing."
            f" Have the vendor deliver it under {contract.location}, then redrive the execution."
        )
        raise ContractViolationError(contract.dataset, contract.version, text.EVERY_COLUMN, "expected_file", detail)


def _name(contract: Contract, key: str) -> str:
    return key.removeprefix(contract.location)
