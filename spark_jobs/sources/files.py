"""Vendors' delimited files from the landing prefix, every cell as the text that it is.

Source: the contract's `source` and `parse`; Spark's CSV options (mode PERMISSIVE keeps a malformed line whole).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from contracts import text
from contracts.contract import Contract
from contracts.errors import InvalidRequestError, SourceUnavailableError
from spark_jobs.lake import Lake
from spark_jobs.request import LandedFile
from spark_jobs.row_rules import LAYOUT_COLUMN, text_schema

HEAD_BYTES = 64 * 1024
LARGEST_FILE_SEARCHED = 64 * 1024 * 1024  # for the line of a violation; beyond, the row itself must do
_TRAILING = "_trailing"


def read_files(lake: Lake, contract: Contract, files: Sequence[LandedFile]) -> DataFrame:
    """The rows of the files, one or more, as text.

    Returns:
        The contract's columns, `_layout` (the raw line where it has not as many cells as the header, else null),
        `_file` (the object key) and `_received_at` (when the object was put there).
    Raises:
        ContractViolationError: a file's header breaks the contract, or no row follows it.
        SourceUnavailableError: a file is gone, or changed since the request was written.
    """
    return reduce(DataFrame.unionByName, (_read_file(lake, contract, file) for file in files))


def find_line(lake: Lake, contract: Contract, key: str, row: Mapping[str, str] | str) -> int | None:
    """The line of a file that holds a row or is a malformed line; None when the file is too large to search."""
    head = lake.store.head(key, 1)
    if head is None or head.size > LARGEST_FILE_SEARCHED:
        return None
    return text.line_of(contract, lake.store.get(key) or b"", row)


def _read_file(lake: Lake, contract: Contract, file: LandedFile) -> DataFrame:
    header = _checked_header(lake, contract, file)
    columns = [*header.columns, *([_TRAILING] if header.trailing_empty_column else [])]
    delimiter = contract.parse.delimiter if contract.parse else ","
    lines = (
        lake.spark.read.format("csv")
        .schema(text_schema([*columns, LAYOUT_COLUMN]))
        .options(header=True, enforceSchema=True, sep=delimiter, quote='"', escape='"', encoding="UTF-8")
        .options(mode="PERMISSIVE", columnNameOfCorruptRecord=LAYOUT_COLUMN, columnPruning=False, maxCharsPerColumn=-1)
        .load(lake.uri(file.key))
    )
    layout = sf.col(LAYOUT_COLUMN)
    if header.trailing_empty_column:
        # Spark's null is an empty cell; anything else after the last column makes the line malformed
        whole_line = sf.concat_ws(delimiter, *(sf.coalesce(column, sf.lit("")) for column in columns))
        layout = sf.coalesce(layout, sf.when(sf.col(_TRAILING).isNotNull(), whole_line))
    return lines.select(
        *(sf.coalesce(field.name, sf.lit("")).alias(field.name) for field in contract.fields),
        layout.alias(LAYOUT_COLUMN),
        sf.lit(file.key).alias("_file"),
        sf.lit(file.modified_at).alias("_received_at"),
    )


def _checked_header(lake: Lake, contract: Contract, file: LandedFile) -> text.Header:
    source = contract.source or {}
    name = file.key.removeprefix(source["prefix"])
    if name == file.key or not re.fullmatch(source["pattern"], name):
        raise InvalidRequestError(f"{file.key}: not a file of {contract.source_name}; expected {source['pattern']}")
    head = lake.store.head(file.key, HEAD_BYTES)
    if head is None:
        raise SourceUnavailableError(f"{file.key}: gone since the request was written; redrive the execution")
    if head.etag and file.etag and head.etag != file.etag:
        raise SourceUnavailableError(f"{file.key}: replaced since the request was written; redrive the execution")
    return text.read_header(contract, file.key, head.data, truncated=head.size > len(head.data))
