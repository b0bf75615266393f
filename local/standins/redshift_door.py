"""The door of the stand-in for Redshift: lets Redshift's driver into Postgres.

The driver tells the server of itself (driver_version, client_protocol_version ...) in its start-up message, and
Postgres refuses a session that sets a parameter which it does not know. So those are left out of the message; all else
passes as it is, in both directions.

Source: PostgreSQL 18, "Frontend/Backend Protocol", StartupMessage, SSLRequest, GSSENCRequest; seen with redshift-jdbc42
2.3.0.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from pathlib import Path

START_UP, SSL_REQUEST, GSS_REQUEST = 196608, 80877103, 80877104
KNOWN = (
    *(b"user", b"database", b"options", b"client_encoding", b"DateStyle", b"TimeZone", b"extra_float_digits"),
    b"application_name",
)
_PIECE = 1 << 18


def without_unknown(message: bytes) -> bytes:
    """A start-up message's body with the parameters alone that Postgres knows."""
    parts = message[4:].split(b"\0")
    pairs = zip(parts[0::2], parts[1::2], strict=False)
    kept = b"".join(name + b"\0" + value + b"\0" for name, value in pairs if name in KNOWN)
    return message[:4] + kept + b"\0"


def serve(port: int, postgres: Path) -> None:
    """Let clients of a port on loopback in to the Postgres behind a socket, for ever."""
    with socket.create_server(("127.0.0.1", port), backlog=64) as listener:
        while True:
            client, _ = listener.accept()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_let_in, args=(client, postgres), daemon=True).start()


def _let_in(client: socket.socket, postgres: Path) -> None:
    with client, socket.socket(socket.AF_UNIX) as server, contextlib.suppress(OSError, EOFError):
        message = _first_message(client)
        server.connect(str(postgres))
        server.sendall(struct.pack("!i", len(message) + 4) + message)
        answers = threading.Thread(target=_pass_on, args=(server, client), daemon=True)
        answers.start()
        _pass_on(client, server)
        answers.join()


def _first_message(client: socket.socket) -> bytes:
    """The body of the message that begins the session, or cancels another's query."""
    while True:
        (length,) = struct.unpack("!i", _exactly(client, 4))
        message = _exactly(client, length - 4)
        (kind,) = struct.unpack("!i", message[:4])
        if kind not in (SSL_REQUEST, GSS_REQUEST):
            return without_unknown(message) if kind == START_UP else message
        client.sendall(b"N")


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    """Pass on what comes until either side is done, then end both."""
    piece = memoryview(bytearray(_PIECE))
    with contextlib.suppress(OSError):
        while count := source.recv_into(piece):
            target.sendall(piece[:count])
    for each in (source, target):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def _exactly(client: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = client.recv(count - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data
