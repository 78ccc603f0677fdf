"""The one thing of a worker that listens: its metrics and its answers over HTTP. To this machine only, or to whoever
brings the token.

There is no TLS: a token that crosses a network belongs behind a proxy that has it.
"""

import contextlib
import hmac
import re
import socket
import threading
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import msgspec
from prometheus_client import make_wsgi_app
from pydantic import SecretStr

from agents.settings import Settings
from streams.errors import UnavailableError, UsageError

PATH = "/metrics"
QUERIES = "/v1/"
_READING = ("GET", "HEAD")
REQUEST_S_MAX = 10.0
CONNECTIONS_MAX = 64
CONNECTION_S_MAX = 120.0
"""From a connection's begin to its end, however slowly somebody reads or writes: more than any answer takes."""
_FILE_BYTES_MAX = 4_096
_TOKEN = re.compile(r"[\x21-\x7e]{16,1024}")

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Listening(msgspec.Struct, frozen=True):
    """Where to listen, and the token that a request must bring, if any; it is not shown."""

    host: str
    port: int
    token: SecretStr | None


def listening_of(settings: Settings) -> Listening | None:
    """What the settings ask for; None where nothing is to listen.

    Raises UsageError for a token that is none, and for an address of the network without a token; UnavailableError
    when the token's file can not be read.
    """
    if settings.metrics_port is None:
        return None
    token = token_of(settings)
    if token is None and not _is_this_machine(settings.metrics_host):
        raise UsageError(
            f"MILEPOST_METRICS_HOST is {settings.metrics_host!r}, which others reach, and there is no token. Set"
            f" MILEPOST_METRICS_TOKEN or MILEPOST_METRICS_TOKEN_FILE, for example to what `openssl rand -hex 24` gives,"
            f" or leave the host at 127.0.0.1"
        )
    return Listening(settings.metrics_host, settings.metrics_port, token)


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def token_of(settings: Settings) -> SecretStr | None:
    """The token that a request must bring, if any. Raises UsageError for what is none, UnavailableError for a file that
    can not be read."""
    path = settings.metrics_token_file
    if path is None:
        token, whence = settings.metrics_token, "MILEPOST_METRICS_TOKEN"
    elif settings.metrics_token is None:
        token, whence = SecretStr(_content(path)), f"MILEPOST_METRICS_TOKEN_FILE {path}"
    else:
        raise UsageError("MILEPOST_METRICS_TOKEN and MILEPOST_METRICS_TOKEN_FILE are both set; take one away")
    if token is not None and not _TOKEN.fullmatch(token.get_secret_value()):
        raise UsageError(
            f"{whence}: a token has 16 to 1,024 letters, digits and signs of ASCII, and no blanks; `openssl rand -hex"
            f" 24` gives one"
        )
    return token


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_FILE_BYTES_MAX).decode("ascii", errors="replace").strip()
    except OSError as error:
        raise UnavailableError(f"MILEPOST_METRICS_TOKEN_FILE {path} can not be read: {error.strerror}") from error


def serve_metrics(listening: Listening, queries: Application | None = None) -> int:
    """Serves the metrics, and what `queries` answers below /v1/, from threads that end with the process; returns the
    port: where 0 is asked for, a free one.

    Raises UsageError when it can not listen there.
    """
    try:
        family, *_, address = socket.getaddrinfo(listening.host, listening.port, type=socket.SOCK_STREAM)[0]
        server = _server_of(family)((str(address[0]), listening.port), Handler)
    except OSError as error:
        raise UsageError(
            f"metrics can not be served on {listening.host} port {listening.port}: {error.strerror}; see"
            " MILEPOST_METRICS_HOST and MILEPOST_METRICS_PORT"
        ) from error
    server.set_app(_guarded(make_wsgi_app(), queries, listening.token))
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    port: int = server.server_address[1]
    return port


def url_of(listening: Listening, port: int) -> str:
    """Where others reach it; behind an address that stands for all of this machine's, by the machine's name."""
    host = listening.host
    with contextlib.suppress(ValueError):
        address = ip_address(host)
        host = socket.getfqdn() if address.is_unspecified else f"[{host}]" if address.version == 6 else host
    return f"http://{host}:{port}"


def _guarded(metrics: Application, queries: Application | None, token: SecretStr | None) -> Application:
    """The metrics at their one path and the answers below theirs, for requests with the token."""
    wanted = None if token is None else token.get_secret_value().encode()

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if wanted is not None and not _is_allowed(environ.get("HTTP_AUTHORIZATION", ""), wanted):
            start_response("401 Unauthorized", [("WWW-Authenticate", "Bearer"), ("Content-Type", "text/plain")])
            return [b"Authorization: Bearer TOKEN is missing, or the token is another one\n"]
        is_plain = environ["REQUEST_METHOD"] in _READING and environ["PATH_INFO"] == PATH
        if wanted is None and not is_plain and not _is_asked_here(environ):
            start_response("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"Host is not this machine; but for the metrics all is told to it only, or with a token\n"]
        if queries is not None and environ["PATH_INFO"].startswith(QUERIES):
            return queries(environ, start_response)
        if environ["PATH_INFO"] != PATH:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [f"there is {PATH}\n".encode()]
        return metrics(environ, start_response)

    return answer


def _is_asked_here(environ: dict[str, Any]) -> bool:
    """Whether who asks calls this machine by a name of its own. A page of elsewhere, in a browser of this machine, can
    have its own name lead here, and says that one."""
    try:
        host = urlsplit(f"//{environ.get('HTTP_HOST', 'localhost')}").hostname
    except ValueError:
        return False
    return host is not None and _is_this_machine(host)


def _is_allowed(header: str, wanted: bytes) -> bool:
    """In constant time for every token of the right length."""
    scheme, _, token = header.partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode("latin-1", "replace"), wanted)


class Handler(WSGIRequestHandler):
    """One request; it is not logged."""

    timeout = REQUEST_S_MAX  # of a connection that says nothing

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a request is no event of the worker, and its text is anybody's."""


class _Server(ThreadingMixIn, WSGIServer):
    """A thread per connection, up to CONNECTIONS_MAX: whoever opens more than that finds them closed."""

    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._places = threading.BoundedSemaphore(CONNECTIONS_MAX)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread for it
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        late = threading.Timer(CONNECTION_S_MAX, _cut, [request])
        late.daemon = True
        try:
            late.start()
            super().process_request_thread(request, client_address)
        finally:
            late.cancel()
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing, as of a request: who asked has gone, or was too slow."""


def _cut(request: socket.socket) -> None:
    """Ends a connection from beside the thread that reads from it or writes to it."""
    with contextlib.suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)


class _Server6(_Server):
    address_family = socket.AF_INET6


def _server_of(family: int) -> type[_Server]:
    return _Server6 if family == socket.AF_INET6 else _Server
