"""What the stand-ins for HTTP APIs share: answers in JSON, faults that a test switches on, and a life as a child."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import duckdb

from local.processes import die_with_parent
from local.standins import tpch

Customer = tuple[int, str, str, str]  # number, name, phone, nation


class Faults:
    """The faults that are switched on, by `POST /faults {"name": ..., "times": ...}`."""

    def __init__(self) -> None:
        self.left: dict[str, int] = {}

    def fault(self, name: str) -> bool:
        """Whether a fault is on for this request; each request uses one of its times up."""
        left = self.left.get(name, 0)
        self.left[name] = max(0, left - 1)
        return left > 0


class JsonHandler(BaseHTTPRequestHandler):
    """Reads bodies and answers in JSON; a fault `truncated` cuts a page of records in half, an empty one too."""

    protocol_version = "HTTP/1.1"
    faults: Faults

    def body(self) -> str:
        """The request's body."""
        return self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()

    def switched(self, body: str) -> bool:
        """Whether the request switches a fault; then it is answered."""
        if self.path != "/faults":
            return False
        asked = json.loads(body)
        self.faults.left[asked["name"]] = asked["times"]
        self.answer(200, {})
        return True

    def answer(self, status: int, body: Any, headers: Mapping[str, str] | None = None, *, records: str = "") -> None:
        """Send a body; `records` names its member that holds records."""
        data = json.dumps(body).encode()
        if records and records in body and self.faults.fault("truncated"):
            data = data[: len(data) // 2]
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Nothing: the addresses of requests are no news."""


def serve(handler_of: Callable[[Sequence[Customer]], type[BaseHTTPRequestHandler]]) -> None:
    """Serve on loopback until the parent dies, over the sample company's customers."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tpch", type=Path, required=True)
    arguments = parser.parse_args()
    die_with_parent()
    handler = handler_of(customers(arguments.tpch))
    ThreadingHTTPServer(("127.0.0.1", arguments.port), handler).serve_forever()


def customers(folder: Path) -> list[Customer]:
    """The sample company's customers."""
    query = tpch.CUSTOMERS_SQL.format(folder=tpch.generate(folder))
    found: list[Customer] = (
        duckdb.connect().execute(f"SELECT customer_id, name, phone, nation FROM ({query})").fetchall()  # noqa: S608
    )
    return found
