"""Snowflake on the laptop: fakesnow's server, holding the sample company's orders and customers.

Run as a child of the laptop cloud: `python -m local.standins.snowflake --port P --tpch FOLDER`.
Source: fakesnow 0.12.1, server.py (one shared in-memory database behind Snowflake's HTTP protocol).
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

import uvicorn

from local.processes import die_with_parent
from local.standins import tpch

# `from fakesnow import server` gives a function of that name instead of the module.
server = importlib.import_module("fakesnow.server")
DATABASE, SCHEMA = "ANALYTICS", "SALES"


def secret(port: int) -> dict[str, str | int]:
    """What Secrets Manager holds for this stand-in: keyword arguments for the real Snowflake connector."""
    return {
        "account": "laptop",
        "user": "assay",
        "password": "laptop-only",
        "warehouse": "COMPUTE_WH",
        "database": DATABASE,
        "schema": SCHEMA,
        "host": "127.0.0.1",
        "port": port,
        "protocol": "http",
    }


def load(folder: Path) -> None:
    """Fill ANALYTICS.SALES.ORDERS and .CUSTOMERS from TPC-H's files in `folder`."""
    connection = server.shared_fs.connect(DATABASE, SCHEMA)
    for table, query in (("ORDERS", tpch.ORDERS_SQL), ("CUSTOMERS", tpch.CUSTOMERS_SQL)):
        select = query.format(folder=folder)
        server.shared_fs.duck_conn.execute(f"CREATE TABLE {DATABASE}.{SCHEMA}.{table} AS {select}")
    connection.close()


def main() -> None:
    """Serve on loopback until the parent dies."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tpch", type=Path, required=True)
    arguments = parser.parse_args()
    die_with_parent()
    load(tpch.generate(arguments.tpch))
    uvicorn.run(server.app, host="127.0.0.1", port=arguments.port, log_level="warning")


if __name__ == "__main__":
    main()
