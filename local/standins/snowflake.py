"""Snowflake on the laptop: fakesnow's server, holding the sample company's orders and customers.

Run as a child of the laptop cloud: `python -m local.standins.snowflake --port P --tpch FOLDER`. A test switches a fault
on with `POST /faults {"name": ..., "times": ...}`: `refused`, `down`, `too_many`, `truncated` (half a query's answer).
Source: fakesnow 0.12.1, server.py (one shared in-memory database behind Snowflake's HTTP protocol).
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse

from local.processes import die_with_parent
from local.standins import tpch
from local.standins.web import Faults

# `from fakesnow import server` gives a function of that name instead of the module.
server = importlib.import_module("fakesnow.server")
DATABASE, SCHEMA = "ANALYTICS", "SALES"
USER, PASSWORD = "assay", "laptop-only"
LOGIN, QUERY = "/session/v1/login-request", "/queries/v1/query-request"
App = Callable[[Any, Any, Any], Awaitable[None]]


def secret(port: int) -> dict[str, str | int]:
    """What Secrets Manager holds for this stand-in: keyword arguments for the real Snowflake connector."""
    return {
        "account": "laptop",
        "user": USER,
        "password": PASSWORD,
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


def guarded(app: App) -> App:
    """The server, with a login that asks for the password and the faults that are switched on.

    Source: Snowflake's answers to the connector: code 390100 in a body of status 200 for a refused login, statuses 503
    and 429 for requests to come again.
    """
    faults = Faults()

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return await app(scope, receive, send)
        body = await Request(scope, receive).body()
        if scope["path"] == "/faults":
            asked = json.loads(body)
            faults.left[asked["name"]] = asked["times"]
            return await JSONResponse({})(scope, receive, send)
        for name, status in (("down", 503), ("too_many", 429)):
            if faults.fault(name):
                return await JSONResponse({"message": name}, status_code=status)(scope, receive, send)
        if scope["path"] == LOGIN and (not _may_enter(scope, body) or faults.fault("refused")):
            said = {"data": {}, "code": "390100", "message": "Incorrect username or password was specified."}
            return await JSONResponse({**said, "success": False, "headers": None})(scope, receive, send)

        async def again() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def half(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                others = [header for header in message["headers"] if header[0] != b"content-length"]
                message = {**message, "headers": others}
            elif "body" in message:
                message = {**message, "body": message["body"][: len(message["body"]) // 2]}
            await send(message)

        return await app(scope, again, half if scope["path"] == QUERY and faults.fault("truncated") else send)

    return answer


def _may_enter(scope: Any, body: bytes) -> bool:
    packed = (b"content-encoding", b"gzip") in scope["headers"]
    said = json.loads(gzip.decompress(body) if packed else body)["data"]
    return (said.get("LOGIN_NAME"), said.get("PASSWORD")) == (USER, PASSWORD)


def main() -> None:
    """Serve on loopback until the parent dies."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tpch", type=Path, required=True)
    arguments = parser.parse_args()
    die_with_parent()
    load(tpch.generate(arguments.tpch))
    uvicorn.run(guarded(server.app), host="127.0.0.1", port=arguments.port, log_level="warning")


if __name__ == "__main__":
    main()
