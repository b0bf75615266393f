"""Delta tables as DuckDB's own extension reads them, from an interpreter that has it; what to read comes by stdin."""

import importlib.resources
import json
import sys

import duckdb

asked = json.load(sys.stdin)
connection = duckdb.connect(config={"allow_unsigned_extensions": "false"})
connection.execute("SET TimeZone = 'UTC'")
for name in ("delta", "httpfs"):
    folder = importlib.resources.files(f"duckdb_extension_{name}") / "extensions" / f"v{duckdb.__version__}"
    connection.execute(f"LOAD '{folder / name}.duckdb_extension'")
if asked["secret"]:
    options = ", ".join(f"{key} '{value}'" for key, value in asked["secret"].items())
    connection.execute(f"CREATE SECRET lake (TYPE s3, {options})")
for location, path in asked["tables"].items():
    connection.execute(f"COPY (FROM delta_scan('{location}')) TO '{path}' (FORMAT parquet)")
