"""Vendors' files that come packed: gzip, or a zip archive of the one file.

A packed file is unpacked whole, in memory, so what it may hold is bounded: one that unpacks to more is refused without
unpacking the rest. Its check sums are verified before any Spark is paid for.

Source: RFC 1952 (gzip, with several members); APPNOTE.TXT 6.3.10 (zip); Python's gzip and zipfile.
"""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from typing import IO

from contracts.contract import CSV, JSON_LINES, Contract
from contracts.errors import ContractViolationError
from contracts.text import EVERY_COLUMN, parse_of, violation

GZIP, ZIP = ".gz", ".zip"
LARGEST_UNPACKED = 64 * 1024 * 1024
LARGEST_PACKED = LARGEST_UNPACKED  # what does not shrink either
RULE = "packing"
_ENDINGS = {CSV: (".csv", ".txt"), JSON_LINES: (".jsonl", ".ndjson", ".json")}
_ENCRYPTED = 0x1


def is_packed(key: str) -> bool:
    """Whether a file is packed, as its name says."""
    return key.endswith((GZIP, ZIP))


def unpacked(contract: Contract, key: str, data: bytes) -> bytes:
    """The file that a packed one holds.

    Args:
        contract: a contract of files.
        key: the packed file's object key.
        data: all of its bytes.
    Raises:
        ContractViolationError: rule `packing`: it is not what its name says, is damaged, holds something else than one
            file of the layout, or unpacks to more than LARGEST_UNPACKED.
    """
    try:
        content = _of_zip(contract, key, data) if key.endswith(ZIP) else _of_gzip(data)
    except (EOFError, OSError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        kind = "zip archive" if key.endswith(ZIP) else "gzip file"
        raise refused(contract, key, f"not a whole {kind} ({type(error).__name__})") from None
    if len(content) > LARGEST_UNPACKED:
        raise refused(contract, key, f"unpacks to more than {LARGEST_UNPACKED // 1024**2} MiB")
    return content


def check_size(contract: Contract, key: str, size: int) -> None:
    """Nothing, when a packed file is small enough to be read whole.

    Raises:
        ContractViolationError: rule `packing`: it has more than LARGEST_PACKED bytes.
    """
    if size > LARGEST_PACKED:
        raise refused(contract, key, f"{size} bytes, packed; at most {LARGEST_PACKED // 1024**2} MiB are read")


def refused(contract: Contract, key: str, detail: str) -> ContractViolationError:
    """The error for a packed file that cannot be taken."""
    return violation(contract, key, EVERY_COLUMN, RULE, detail)


def _of_gzip(data: bytes) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
        return _read(file)


def _of_zip(contract: Contract, key: str, data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        endings = _ENDINGS[parse_of(contract).layout]
        if len(entries) != 1 or not entries[0].filename.lower().endswith(endings):
            # names are the vendor's text: how many there are tells enough
            raise refused(contract, key, f"holds {len(entries)} entries; expected one file, {' or '.join(endings)}")
        if entries[0].flag_bits & _ENCRYPTED:
            raise refused(contract, key, "its file is encrypted")
        with archive.open(entries[0]) as file:
            return _read(file)


def _read(file: IO[bytes] | gzip.GzipFile) -> bytes:
    """All of a file, whose check sum is then verified, or one byte more than is allowed."""
    return file.read(LARGEST_UNPACKED + 1)
