"""A large result by way of S3: Redshift's nodes write it as Parquet, and Spark reads what the manifest names.

Source: Amazon Redshift Database Developer Guide, "UNLOAD" (MANIFEST VERBOSE, ALLOWOVERWRITE, PARQUET).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from pyspark.sql import DataFrame

from contracts.contract import Contract
from contracts.errors import SourceUnavailableError
from spark_jobs.lake import Lake
from spark_jobs.row_rules import received_schema

FOLDER = "unload"
_ROLE = r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=.@/-]+"
_ROLES = re.compile(rf"{_ROLE}(,{_ROLE})*")


def unloaded(lake: Lake, contract: Contract, execute: Callable[[str], None], query: str, role: str) -> DataFrame:
    """The rows of a query, unloaded into a folder of this attempt's own and read from there.

    Args:
        lake: the job's lake; the role may write to its prefix `unload/`.
        contract: the source's.
        execute: runs a statement on Redshift.
        query: what to unload.
        role: the ARN of a role that Redshift may take on; several, with commas between, are chained.
    Raises:
        SourceUnavailableError: the role is not one, there is no manifest, or the files hold other rows than it says.
    """
    if not _ROLES.fullmatch(role):
        raise SourceUnavailableError(
            f"{contract.source_name}: unload_role_arn in its secret is not a role's ARN; put it right, then redrive"
        )
    request = lake.request
    folder = f"{FOLDER}/{request.run_id}/{contract.source_name}/{request.attempt}/"
    execute(statement_of(query, lake.uri(folder), role))
    content = lake.store.get(f"{folder}manifest")
    if content is None:
        raise SourceUnavailableError(f"{contract.location}: the UNLOAD left no manifest in {folder}; redrive")
    files, rows = read_manifest(contract, content, lake.uri(folder))
    if not files:
        return lake.nothing(received_schema(contract))
    received = lake.spark.read.parquet(*files)
    if (found := received.count()) != rows:
        raise SourceUnavailableError(
            f"{contract.location}: the manifest in {folder} tells of {rows} rows, its files hold {found}; redrive"
        )
    return received


def statement_of(query: str, target: str, role: str) -> str:
    """The UNLOAD of a query; a retry in the same folder replaces what an earlier try left, and its manifest."""
    return (
        f"UNLOAD ({_text(query)}) TO {_text(target)} IAM_ROLE {_text(role)}"
        " FORMAT AS PARQUET MANIFEST VERBOSE ALLOWOVERWRITE"
    )


def read_manifest(contract: Contract, content: bytes, folder: str) -> tuple[list[str], int]:
    """The files that hold rows and how many rows that are, as a verbose manifest tells.

    Raises:
        SourceUnavailableError: it is not one, or names a file elsewhere.
    """
    try:
        entries: list[dict[str, Any]] = json.loads(content)["entries"]
        counted = [(str(each["url"]), int(each["meta"]["record_count"])) for each in entries]
    except (ValueError, KeyError, TypeError):
        raise SourceUnavailableError(
            f"{contract.location}: {folder}manifest is not a verbose manifest; redrive"
        ) from None
    for url, _ in counted:
        if not url.startswith(folder):
            raise SourceUnavailableError(
                f"{contract.location}: {folder}manifest names {url}, which is not its own file"
            )
    held = [(url, rows) for url, rows in counted if rows]
    return [url for url, _ in held], sum(rows for _, rows in held)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
