"""Adopt: the files of audited candidates become a table, in a commit that reads no row of them again.

What a first load has written and checked is what its tables hold; to read it and write it anew took a quarter of the
load's time. The store copies each file to where the table is, and delta-rs, which can be told of files that there are,
makes the table of them. S3's conditional put lets one of two writers make it.

Source: Delta Transaction Log Protocol, "Add File", "Per-file Statistics", "Version Checksum File"; deltalake 1.6.6,
transaction.create_table_with_add_actions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from contracts.errors import SourceUnavailableError
from spark_jobs.storage import Store

if TYPE_CHECKING:
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

FILES_SUMMED_UP = 50  # as Delta does
LONGEST_TEXT = 32  # that the statistics hold; longer ones would have to be cut, the larger one upwards


def create_table(
    store: Store,
    table: str,
    *,
    candidates: str,
    schema: str,
    properties: Mapping[str, str],
    note: str,
    transaction: str,
) -> None:
    """Make a table of the Parquet files under a folder, in one commit; the same files again change nothing.

    Args:
        store: the lake.
        table: its path in the lake, where no table is yet.
        candidates: the folder's path in the lake.
        schema: of the table, as Delta and Spark write it.
        properties: of the table.
        note: what a rerun needs to rebuild the receipt.
        transaction: the id that the commit carries.
    Raises:
        SourceUnavailableError: the files cannot be read or copied, or another has made the table.
    """
    from deltalake import CommitProperties, Schema, Transaction
    from deltalake.exceptions import DeltaError
    from deltalake.transaction import create_table_with_add_actions

    # Delta forgets a transaction without a time at once, where a table says how long to keep them
    now = int(datetime.now(UTC).timestamp() * 1000)
    try:
        files = _added(store, table, candidates)
        create_table_with_add_actions(
            f"{store.root}/{table}",
            Schema.from_json(schema),
            files,
            mode="error",
            configuration=properties,
            storage_options=store.options(),
            commit_properties=CommitProperties(
                custom_metadata={"userMetadata": note},
                app_transactions=[Transaction(app_id=transaction, version=1, last_updated=now)],
            ),
        )
    except (DeltaError, OSError) as error:
        raise SourceUnavailableError(f"{table}: no table could be made of {candidates}: {error}") from error
    _sum_up(store, table)


def statistics(footer: pq.FileMetaData) -> dict[str, Any]:
    """What Delta keeps of a file: its rows, and smallest, largest and nulls of each column whose bounds are exact.

    Args:
        footer: the Parquet file's.
    """
    smallest: dict[str, Any] = {}
    largest: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    for index in range(footer.num_columns):
        chunks = [footer.row_group(group).column(index).statistics for group in range(footer.num_row_groups)]
        name = footer.schema.column(index).path
        if not chunks or any(chunk is None for chunk in chunks):
            continue
        if all(chunk.has_null_count for chunk in chunks):
            nulls[name] = sum(chunk.null_count for chunk in chunks)
        held = [chunk for chunk in chunks if chunk.num_values]
        if held and all(chunk.has_min_max for chunk in held):
            first, last = min(chunk.min for chunk in held), max(chunk.max for chunk in held)
            if _is_exact(first) and _is_exact(last):
                smallest[name], largest[name] = _told(first), _told(last)
    return {"numRecords": footer.num_rows, "minValues": smallest, "maxValues": largest, "nullCount": nulls}


def _sum_up(store: Store, table: str) -> None:
    """Write beside the commit what the table is as a whole, so that Spark need not lay that out for its next commit.

    delta-rs leaves this file out, which any writer may; an append to the table then costs Spark four times as much.
    """
    commit = store.get(f"{table}/_delta_log/{0:020}.json")
    assert commit is not None  # noqa: S101  # it was just made
    found: dict[str, list[Any]] = {"add": []}
    for action in map(json.loads, commit.splitlines()):
        for kind, content in action.items():
            found.setdefault(kind, []).append(content)
    files = [{**each, "dataChange": False} for each in found["add"]]
    summary = {
        "tableSizeBytes": sum(each["size"] for each in files),
        "numFiles": len(files),
        "numMetadata": 1,
        "numProtocol": 1,
        "metadata": found["metaData"][0],
        "protocol": found["protocol"][0],
        "setTransactions": found["txn"],
        "domainMetadata": [],
        **({"allFiles": files} if len(files) <= FILES_SUMMED_UP else {}),
    }
    store.put(f"{table}/_delta_log/{0:020}.crc", json.dumps(summary).encode())


def _added(store: Store, table: str, candidates: str) -> list[Any]:
    """The files, copied to where the table is, as its log names them."""
    import pyarrow.parquet as pq
    from deltalake.fs import DeltaStorageHandler
    from deltalake.transaction import AddAction
    from pyarrow.fs import FileSelector, PyFileSystem  # type: ignore[import-untyped]

    files = PyFileSystem(DeltaStorageHandler(f"{store.root}/{candidates}", store.options()))
    added = []
    for file in files.get_file_info(FileSelector("")):
        if not file.path.endswith(".parquet"):
            continue
        footer = pq.read_metadata(file.path, filesystem=files)
        if not footer.num_rows:
            continue
        store.copy(f"{candidates}/{file.path}", f"{table}/{file.path}")
        modified_at = int(file.mtime.timestamp() * 1000)
        added.append(AddAction(file.path, file.size, {}, modified_at, True, json.dumps(statistics(footer))))
    return added


def _is_exact(value: Any) -> bool:
    return isinstance(value, (bool, int, date)) or (isinstance(value, str) and len(value) <= LONGEST_TEXT)


def _told(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value
