"""A small real HTTP server that answers as a test says, and keeps every request that it received whole."""

import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import msgspec


class Received(NamedTuple):
    """One request. at: when (time.time)."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def message(self) -> dict[str, Any]:
        message: dict[str, Any] = msgspec.json.decode(self.body)
        return message


class Reply(NamedTuple):
    """status: 0 resets the connection, without an answer or (`cut`) in the middle of it."""

    status: int = 200
    headers: dict[str, str] = {}
    cut: bool = False
    wait_s: float = 0.0


Answering = Callable[[Received, int], Reply]
"""What to answer to a request, and how many of the same id came before it."""


def accept(_: Received, __: int) -> Reply:
    """As a receiver should."""
    return Reply()


class Receiver:
    """answer: may be replaced at any time. tls: speaks it from the next start on."""

    def __init__(self) -> None:
        self.answer: Answering = accept
        self.tls: ssl.SSLContext | None = None
        self.received: list[Received] = []
        self.accepted: list[Received] = []
        """Those that were answered with a status of 2xx, whole."""
        self._count_by_id: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None
        self.port = 0

    def start(self) -> None:
        """On the port that it had before, else a free one."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 10

            def _take(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length)
                if len(body) < length:  # who sent it died in the middle, and said nothing
                    self.close_connection = True
                    return
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver._serve(self, Received(self.path, headers, body, time.time()))

            do_POST = do_PUT = do_PATCH = _take

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # clients that die are part of the tests

        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Nobody listens any more; who has a connection still is answered."""
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()
        self._server = None

    def close(self) -> None:
        """Stops if it listens."""
        if self._server is not None:
            self.stop()

    def _serve(self, handler: BaseHTTPRequestHandler, received: Received) -> None:
        with self._lock:
            before = self._count_by_id[received.headers.get("webhook-id", "")]
            self._count_by_id[received.headers.get("webhook-id", "")] += 1
            self.received.append(received)
        reply = self.answer(received, before)
        time.sleep(reply.wait_s)
        if reply.status == 0 or reply.cut:
            if reply.cut:
                handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
                handler.wfile.flush()
            # A reset instead of an orderly end.
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()
            handler.close_connection = True
            return
        with self._lock:
            if 200 <= reply.status < 300:
                self.accepted.append(received)
        handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def ids(self) -> list[str]:
        with self._lock:
            return [each.id for each in self.received]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that listens."""
    receiver = Receiver()
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.close()
