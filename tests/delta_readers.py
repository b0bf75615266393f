"""What readers other than Spark make of a Delta table: delta-rs here, DuckDB's extension in an environment of its own."""

import json
import subprocess
from pathlib import Path

from ops import apart

ORACLE = Path(__file__).parent / "oracle"
_PRIMITIVES = {"byte": "tinyint", "short": "smallint", "integer": "int", "long": "bigint"}


def columns(table):
    """Name and type of a table's columns, as delta-rs reads them in the log, in the words of Glue and Hive."""
    return [(each["name"].lower(), _hive(each["type"])) for each in json.loads(table.schema().to_json())["fields"]]


def _hive(kind):
    if isinstance(kind, str):
        return _PRIMITIVES.get(kind, kind).replace(" ", "")
    if kind["type"] == "array":
        return f"array<{_hive(kind['elementType'])}>"
    if kind["type"] == "map":
        return f"map<{_hive(kind['keyType'])},{_hive(kind['valueType'])}>"
    inner = ",".join(f"{each['name'].lower()}:{_hive(each['type'])}" for each in kind["fields"])
    return f"struct<{inner}>"


def hindrances(table):
    """What in a table would keep Athena, Trino, delta-rs or DuckDB from reading it; empty when nothing does.

    All of them read protocol 1, which knows neither deletion vectors nor column mapping nor any feature by name.
    """
    protocol, settings = table.protocol(), table.metadata().configuration
    found = []
    if protocol.min_reader_version != 1 or protocol.reader_features:
        found.append(f"reader protocol {protocol.min_reader_version} {protocol.reader_features}")
    # those that are for readers too bind a reader even where a writer named them
    if features := {"deletionVectors", "columnMapping", "v2Checkpoint", "typeWidening"} & set(
        protocol.writer_features or ()
    ):
        found.append(f"features {sorted(features)}")
    if settings.get("delta.enableDeletionVectors", "false") != "false":
        found.append("deletion vectors are on")
    if settings.get("delta.columnMapping.mode", "none") != "none":
        found.append("column mapping is on")
    return found


def duckdb(folder, locations, secret=None):
    """Each table as DuckDB's Delta extension reads it, written to a Parquet file; location to its path.

    Args:
        folder: for the files.
        locations: s3:// addresses or folders.
        secret: the options of DuckDB's `CREATE SECRET` for S3; None for folders.
    """
    python = apart.python("duckdb", ORACLE / "duckdb.txt")
    found = {location: str(folder / f"{at}.parquet") for at, location in enumerate(locations)}
    # by standard input: keys do not belong into argv
    asked = json.dumps({"tables": found, "secret": secret})
    result = subprocess.run(
        [python, ORACLE / "duckdb_reader.py"], input=asked, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return found
