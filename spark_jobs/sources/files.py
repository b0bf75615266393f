"""Vendors' files from the landing prefix, every cell or value as the text that it is.

Source: the contract's `source` and `parse`; Spark's CSV options (mode PERMISSIVE keeps a malformed line whole).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from contracts import json_lines, landing, text
from contracts.contract import JSON_LINES, Contract
from contracts.errors import InvalidRequestError, SourceUnavailableError
from spark_jobs.lake import Lake
from spark_jobs.request import LandedFile
from spark_jobs.row_rules import LAYOUT_COLUMN, SHAPE_COLUMN, text_schema
from spark_jobs.sources.json_lines import LINE_COLUMN, rows_of_lines
from spark_jobs.storage import Head

HEAD_BYTES = 64 * 1024
LARGEST_FILE_SEARCHED = 64 * 1024 * 1024  # for the line of a violation; beyond, the row itself must do
_TRAILING = "_trailing"


def read_files(lake: Lake, contract: Contract, files: Sequence[LandedFile]) -> DataFrame:
    """The rows of the files, one or more, as text.

    Returns:
        The contract's columns, `_layout` (the raw line where it has not as many cells as the header, else null),
        `_file` (the object key) and `_received_at` (when the object was put there); of JSON lines also the columns of
        rows_of_lines.
    Raises:
        ContractViolationError: a file's header breaks the contract, or it has too few rows.
        SourceUnavailableError: a file is gone, or changed since the request was written.
    """
    read = _read_lines if text.parse_of(contract).layout == JSON_LINES else _read_cells
    return reduce(DataFrame.unionByName, (read(lake, contract, file) for file in files))


def find_line(lake: Lake, contract: Contract, key: str, row: Mapping[str, str] | str) -> int | None:
    """The line of a file that holds a row or is a malformed line; None when the file is too large to search."""
    head = lake.store.head(key, 1)
    if head is None or head.size > LARGEST_FILE_SEARCHED:
        return None
    data = lake.store.get(key) or b""
    if isinstance(row, str) and text.parse_of(contract).layout == JSON_LINES:
        return json_lines.line_of(data, row)
    return text.line_of(contract, data, row)


def _read_lines(lake: Lake, contract: Contract, file: LandedFile) -> DataFrame:
    head = _head(lake, contract, file)
    truncated, minimum = head.size > len(head.data), _minimum_rows(lake, contract, file)
    json_lines.check_count(contract, file.key, head.data, truncated, minimum)
    lines = lake.spark.read.option("lineSep", "\n").text(_path(lake, file))
    return rows_of_lines(contract, lines).select(
        *(field.name for field in contract.fields), LAYOUT_COLUMN, SHAPE_COLUMN, LINE_COLUMN, *_origin(file)
    )


def _read_cells(lake: Lake, contract: Contract, file: LandedFile) -> DataFrame:
    head = _head(lake, contract, file)
    truncated, minimum = head.size > len(head.data), _minimum_rows(lake, contract, file)
    header = text.read_header(contract, file.key, head.data, truncated, minimum)
    columns = [*header.columns, *([_TRAILING] if header.trailing_empty_column else [])]
    delimiter = text.parse_of(contract).delimiter
    lines = (
        lake.spark.read.format("csv")
        .schema(text_schema([*columns, LAYOUT_COLUMN]))
        .options(header=True, enforceSchema=True, sep=delimiter, quote='"', escape='"', encoding="UTF-8")
        .options(mode="PERMISSIVE", columnNameOfCorruptRecord=LAYOUT_COLUMN, columnPruning=False, maxCharsPerColumn=-1)
        .load(_path(lake, file))
    )
    layout = sf.col(LAYOUT_COLUMN)
    if header.trailing_empty_column:
        # Spark's null is an empty cell; anything else after the last column makes the line malformed
        whole_line = sf.concat_ws(delimiter, *(sf.coalesce(column, sf.lit("")) for column in columns))
        layout = sf.coalesce(layout, sf.when(sf.col(_TRAILING).isNotNull(), whole_line))
    return lines.select(
        *(_cell(field.name, header) for field in contract.fields), layout.alias(LAYOUT_COLUMN), *_origin(file)
    )


def _cell(name: str, header: text.Header) -> Column:
    """A column's text; null where the file leaves the column out."""
    given = sf.coalesce(name, sf.lit("")) if name in header.columns else sf.lit(None).cast("string")
    return given.alias(name)


def _origin(file: LandedFile) -> list[Column]:
    return [sf.lit(file.key).alias("_file"), sf.lit(file.modified_at).alias("_received_at")]


def _path(lake: Lake, file: LandedFile) -> str:
    """The file as Spark spells it, which else takes some characters of a key for a pattern of names."""
    return re.sub(r"([\\{}\[\]*?])", r"\\\1", lake.uri(file.key))


def _minimum_rows(lake: Lake, contract: Contract, file: LandedFile) -> int:
    return landing.minimum_rows(contract, file.key, lake.request.data_date)


def _head(lake: Lake, contract: Contract, file: LandedFile) -> Head:
    if not landing.takes(contract, file.key):
        pattern = (contract.source or {})["pattern"]
        raise InvalidRequestError(f"{file.key!r}: not a file of {contract.source_name}; expected {pattern}")
    head = lake.store.head(file.key, HEAD_BYTES)
    if head is None:
        raise SourceUnavailableError(f"{file.key}: gone since the request was written; redrive the execution")
    if head.etag and file.etag and head.etag != file.etag:
        raise SourceUnavailableError(f"{file.key}: replaced since the request was written; redrive the execution")
    return head
