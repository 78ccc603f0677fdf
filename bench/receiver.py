"""A receiver of webhooks in a process of its own, which notes when each message came.

Both processes read the same monotonic clock, which is the machine's.
"""

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any

import msgspec

WAIT_S_MAX = 60.0


class Message(msgspec.Struct, frozen=True, array_like=True):
    """at_s: time.monotonic when it was there whole. event_id: of the last touchpoint that led to its alert."""

    id: str
    event_id: str
    at_s: float


class Receiver:
    """The other process, as this one has it. url: where it listens."""

    def __init__(self, connection: Connection, url: str) -> None:
        self.url = url
        self._connection = connection

    def count(self) -> int:
        """How many messages came so far."""
        return msgspec.msgpack.decode(self._asked(b"count"), type=int)

    def messages(self) -> list[Message]:
        """All that came so far, in their order."""
        return msgspec.msgpack.decode(self._asked(b"messages"), type=list[Message])

    def _asked(self, what: bytes) -> bytes:
        self._connection.send_bytes(what)
        if not self._connection.poll(WAIT_S_MAX):
            raise RuntimeError("the receiver does not answer")
        return self._connection.recv_bytes()


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that listens."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_receive, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(WAIT_S_MAX):
            raise RuntimeError("the receiver does not start")
        yield Receiver(ours, ours.recv_bytes().decode())
    finally:
        process.kill()
        process.join()


class _Touchpoint(msgspec.Struct):
    event_id: str


class _Alert(msgspec.Struct):
    touchpoints: list[_Touchpoint]


class _Body(msgspec.Struct):
    id: str
    data: _Alert


_decode_body = msgspec.json.Decoder(_Body).decode


def _receive(connection: Connection) -> None:
    messages: list[Message] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = _decode_body(self.rfile.read(int(self.headers["Content-Length"])))
            messages.append(Message(body.id, body.data.touchpoints[-1].event_id, time.monotonic()))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    connection.send_bytes(f"http://127.0.0.1:{server.server_address[1]}/".encode())
    while True:
        asked = connection.recv_bytes()
        connection.send_bytes(msgspec.msgpack.encode(len(messages) if asked == b"count" else messages))
