"""Vendors' files from the landing prefix, every cell or value as the text that it is.

Source: the contract's `source` and `parse`; contracts/text.py and contracts/json_lines.py for what a line may be.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping, Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from contracts import json_lines, landing, packing, text
from contracts.contract import JSON_LINES, Contract
from contracts.errors import InvalidRequestError, SourceUnavailableError
from spark_jobs.lake import Lake
from spark_jobs.request import LandedFile
from spark_jobs.row_rules import LAYOUT_COLUMN, SHAPE_COLUMN
from spark_jobs.sources.csv_lines import rows_of_lines as rows_of_cells
from spark_jobs.sources.json_lines import LINE_COLUMN, rows_of_lines
from spark_jobs.storage import Head

HEAD_BYTES = 64 * 1024
LARGEST_FILE_SEARCHED = 64 * 1024 * 1024  # for the line of a violation; beyond, the row itself must do
_LINE_END = re.compile(rb"\r\n|\n|\r")
_HEAD = "_head"  # whether a line comes no later than the header
_PLACES = (1 << 33) - 1  # the bits of monotonically_increasing_id that say where in its partition a row is


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
    if packing.is_packed(key):
        data = packing.unpacked(contract, key, data)
    if isinstance(row, str) and text.parse_of(contract).layout == JSON_LINES:
        return json_lines.line_of(data, row)
    return text.line_of(contract, data, row)


def _read_lines(lake: Lake, contract: Contract, file: LandedFile) -> DataFrame:
    head, content = _head(lake, contract, file)
    truncated, minimum = head.size > len(head.data), _minimum_rows(lake, contract, file)
    json_lines.check_count(contract, file.key, head.data, truncated, minimum)
    if content is not None:
        lines = _frame(lake, content.split(b"\n"))
    else:
        lines = lake.spark.read.option("lineSep", "\n").text(_path(lake, file))
    return rows_of_lines(contract, lines).select(
        *(field.name for field in contract.fields), LAYOUT_COLUMN, SHAPE_COLUMN, LINE_COLUMN, *_origin(file)
    )


def _read_cells(lake: Lake, contract: Contract, file: LandedFile) -> DataFrame:
    head, content = _head(lake, contract, file)
    truncated, minimum = head.size > len(head.data), _minimum_rows(lake, contract, file)
    header = text.read_header(contract, file.key, head.data, truncated, minimum)
    if content is not None:
        lines = _frame(lake, _LINE_END.split(content)[header.line :])
        return rows_of_cells(contract, header, lines).select("*", *_origin(file))
    # a file's first block is the first of its partition, whose rows are counted from 0
    place = sf.monotonically_increasing_id().bitwiseAND(sf.lit(_PLACES))
    lines = lake.spark.read.text(_path(lake, file)).select(
        "value", ((sf.col("_metadata.file_block_start") == 0) & (place < header.line)).alias(_HEAD)
    )
    rows = rows_of_cells(contract, header, lines.where(~sf.col(_HEAD)))
    return rows.select("*", *_origin(file))


def _frame(lake: Lake, lines: Sequence[bytes]) -> DataFrame:
    """Lines of a packed file, which has been read whole, in the column `value`: text, whatever their bytes are."""
    import pyarrow as pa  # type: ignore[import-untyped]

    held = lake.spark.createDataFrame(pa.table({"value": pa.array(lines, pa.binary())}))
    return held.select(sf.col("value").cast("string").alias("value"))


def _origin(file: LandedFile) -> list[Column]:
    return [sf.lit(file.key).alias("_file"), sf.lit(file.modified_at).alias("_received_at")]


def _path(lake: Lake, file: LandedFile) -> str:
    """The file as Spark spells it, which else takes some characters of a key for a pattern of names."""
    return re.sub(r"([\\{}\[\]*?])", r"\\\1", lake.uri(file.key))


def _minimum_rows(lake: Lake, contract: Contract, file: LandedFile) -> int:
    return landing.minimum_rows(contract, file.key, lake.request.data_date)


def _head(lake: Lake, contract: Contract, file: LandedFile) -> tuple[Head, bytes | None]:
    """The head of a file, and the whole of one that came packed, without its byte order mark."""
    if not landing.takes(contract, file.key):
        pattern = (contract.source or {})["pattern"]
        raise InvalidRequestError(f"{file.key!r}: not a file of {contract.source_name}; expected {pattern}")
    packed = packing.is_packed(file.key)
    if packed:
        packing.check_size(contract, file.key, file.size)
    head = lake.store.head(file.key, packing.LARGEST_PACKED if packed else HEAD_BYTES)
    if head is None:
        raise SourceUnavailableError(f"{file.key}: gone since the request was written; redrive the execution")
    if head.etag and file.etag and head.etag != file.etag:
        raise SourceUnavailableError(f"{file.key}: replaced since the request was written; redrive the execution")
    if not packed:
        return head, None
    content = packing.unpacked(contract, file.key, head.data)
    unpacked = Head(data=content[:HEAD_BYTES], size=len(content), etag=head.etag)
    return unpacked, content.removeprefix(codecs.BOM_UTF8)
