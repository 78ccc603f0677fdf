"""What listens: the metrics, to this machine or to whoever brings the token; and what a worker does not offer."""

import contextlib
import http.client
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import SecretStr

from agents import metrics_server
from agents.commands.demo import everyday_definitions
from agents.connection import settings_of
from agents.defining import apply_definitions, load_definitions
from agents.metrics_server import Listening, listening_of, serve_metrics
from agents.pipeline import Workers
from agents.settings import Settings
from streams.admin import create_topics
from streams.broker import EmbeddedBroker
from streams.errors import UnavailableError, UsageError

TOKEN = "0123456789abcdef"


def get(port: int, path: str = "/metrics", host: str = "127.0.0.1", **headers: str) -> tuple[int, str]:
    """Status and body of a request."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def served(monkeypatch: pytest.MonkeyPatch, **variables: str) -> int:
    """The port on which a worker with these variables serves."""
    for name, value in {"PORT": "0", **variables}.items():
        monkeypatch.setenv(f"MILEPOST_METRICS_{name}", value)
    listening = listening_of(settings_of())
    assert listening is not None
    return serve_metrics(listening)


def test_metrics_are_served_to_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a host on loopback only, at one path; nothing else is there."""
    port = served(monkeypatch)
    status, body = get(port)
    assert status == 200
    assert "python_info" in body
    assert get(port, "/")[0] == get(port, "/metrics/x")[0] == get(port, "/favicon.ico")[0] == 404
    listening = [each.laddr for each in psutil.Process().net_connections() if each.status == "LISTEN"]
    assert ("127.0.0.1", port) in [tuple(address) for address in listening]


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:9", 200), ("localhost", 200), ("[::1]:9", 200), ("elsewhere.example:9", 403), ("[", 403), ("", 403)],
)
def test_without_a_token_what_changes_something_is_asked_for_by_name(host: str, status: int) -> None:
    """So is what tells names and stories. A page of elsewhere, in a browser of this machine, may have its name lead
    here, but can not say another one. With a token it could not know it; and the metrics name nobody."""

    def application(_: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b""]

    open_, guarded = (
        serve_metrics(Listening("127.0.0.1", 0, token), application) for token in (None, SecretStr(TOKEN))
    )

    def asked(port: int, method: str, path: str = "/v1/definitions/a", **headers: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request(method, path, headers={"Host": host, **headers})
            return connection.getresponse().status
        finally:
            connection.close()

    assert asked(open_, "PUT") == asked(open_, "POST") == status
    assert asked(open_, "GET") == status
    assert asked(open_, "GET", "/metrics") == 200
    assert asked(guarded, "PUT") == 401
    assert asked(guarded, "PUT", Authorization=f"Bearer {TOKEN}") == 200


def test_whoever_opens_many_connections_finds_them_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """And whoever sends a little now and then is cut off: the worker's files are for its work."""
    monkeypatch.setattr(metrics_server, "CONNECTIONS_MAX", 3)
    monkeypatch.setattr(metrics_server, "CONNECTION_S_MAX", 3.0)
    port = served(monkeypatch)
    slow = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(3)]
    for each in slow:
        each.sendall(b"GET /metrics HTTP/1.1\r\n")
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        get(port)  # they are taken in their order
    begun = time.monotonic()
    deadline = begun + 30
    for each in slow:
        with contextlib.suppress(OSError):
            for _ in range(400):
                each.sendall(b"X: y\r\n")
                time.sleep(0.05)
                if select.select([each], [], [], 0)[0] and not each.recv(1):
                    break
        each.close()
    assert time.monotonic() - begun < 15
    while True:  # their places are free a moment later
        try:
            assert get(port)[0] == 200
            break
        except (http.client.HTTPException, ConnectionError):
            assert time.monotonic() < deadline


@pytest.mark.parametrize("host", ["localhost", "127.0.0.2", "::1"])
def test_other_names_of_this_machine_need_no_token(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """What only this machine reaches is open to it."""
    assert get(served(monkeypatch, HOST=host), host=host)[0] == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "some.host", "127.0.0.1.example"])
def test_another_host_needs_a_token(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """A worker that would serve the network without one does not start, and says what to do."""
    with pytest.raises(UsageError, match=r"MILEPOST_METRICS_TOKEN.*openssl"):
        served(monkeypatch, HOST=host)


def test_a_token_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on loopback, once it is set; neither a wrong one nor none sees a metric, or learns of a path."""
    port = served(monkeypatch, HOST="0.0.0.0", TOKEN=TOKEN)
    assert get(port, Authorization=f"Bearer {TOKEN}")[0] == 200
    assert get(port, Authorization=f"bearer  {TOKEN}")[0] == 200
    for wrong in (TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer ", "Bearer \xe9" * 9):
        status, body = get(port, Authorization=wrong)
        assert status == 401
        assert "milepost" not in body
        assert TOKEN not in body
    assert get(port, "/nothing")[0] == 401


def test_a_token_may_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the line break that editors add; two places at once are refused."""
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    port = served(monkeypatch, TOKEN_FILE=str(tmp_path / "token"))
    assert get(port)[0] == 401
    assert get(port, Authorization=f"Bearer {TOKEN}")[0] == 200
    with pytest.raises(UsageError, match="both set"):
        served(monkeypatch, TOKEN=TOKEN)
    monkeypatch.delenv("MILEPOST_METRICS_TOKEN")
    with pytest.raises(UnavailableError, match="can not be read"):
        served(monkeypatch, TOKEN_FILE=str(tmp_path / "absent"))


@pytest.mark.parametrize("token", ["", "short", "with blanks in it", "0123456789abcd\u00e9f", "x" * 2_000])
def test_a_token_that_protects_nothing_is_refused(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    """Short ones and those that no header holds; the message does not repeat it."""
    with pytest.raises(UsageError, match="16 to 1,024") as refused:
        served(monkeypatch, TOKEN=token)
    assert not token or token not in str(refused.value)


def test_a_token_is_shown_nowhere_and_reaches_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings, errors and what listens hide it; the environment of a worker has it."""
    monkeypatch.setenv("MILEPOST_METRICS_TOKEN", TOKEN)
    monkeypatch.setenv("MILEPOST_METRICS_PORT", "0")
    settings = settings_of()
    assert TOKEN not in f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()}"
    assert TOKEN not in repr(listening_of(settings))
    assert settings.as_environment()["MILEPOST_METRICS_TOKEN"] == TOKEN
    with pytest.raises(UsageError) as refused:
        settings_of(metrics_token=17)
    assert "17" not in str(refused.value)


def test_a_port_that_is_taken_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the settings that name another one."""
    port = served(monkeypatch)
    with pytest.raises(UsageError, match="MILEPOST_METRICS_PORT"):
        served(monkeypatch, PORT=str(port))


def test_a_silent_connection_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever connects and says nothing holds no thread for ever."""
    monkeypatch.setattr(metrics_server.Handler, "timeout", 0.2)
    with socket.create_connection(("127.0.0.1", served(monkeypatch)), timeout=5) as silent:
        assert silent.recv(100) == b""


@pytest.mark.broker
def test_a_worker_listens_to_nothing_else_and_has_no_debugger(
    kafka: EmbeddedBroker, prefix: str, tmp_path: Path
) -> None:
    """A real one: no port but the metrics', and the two signals that Faust gives a meaning do no harm."""
    bootstrap = kafka.bootstrap_servers
    settings = Settings(
        folder=tmp_path, prefix=prefix, bootstrap_servers=bootstrap, metrics_port=0, metrics_token=TOKEN
    )
    create_topics(bootstrap, prefix, settings.generation, settings.partitions, settings.replication)
    apply_definitions(load_definitions(everyday_definitions()), bootstrap, settings, 0)
    workers = Workers(settings, bootstrap, [["ingest", "accounts", "snapshots"]])
    workers.start()
    try:
        log = tmp_path / "logs" / "ingest-accounts-snapshots.log"
        deadline = time.monotonic() + 60
        while "event=ready" not in log.read_text():
            workers.require_running()
            assert time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.2)
        (pid,) = workers.pids
        (listening,) = [each.laddr for each in psutil.Process(pid).net_connections() if each.status == "LISTEN"]
        for number in (signal.SIGUSR2, signal.SIGUSR1, signal.SIGUSR2):
            os.kill(pid, number)
        time.sleep(0.5)
        status, body = get(listening.port, Authorization=f"Bearer {TOKEN}")
        assert status == 200
        assert 'milepost_ready{role="accounts"} 1.0' in body
        said = log.read_text()
        assert "pdb" not in said.lower()
        assert "most recent call first" in said
        assert TOKEN not in said
    finally:
        workers.stop()
