"""A real Apache Kafka of one node, started here: KRaft, its data in one folder, no Docker and no Java to install.

The law: one broker per folder, ever. The lock on `{folder}/lock` is held by the Java process itself, so the folder is
free exactly when no broker writes to it. The broker ends with its owner (see `broker_guard`). Its data survives
kill -9, not a loss of power: one replica, and Kafka leaves flushing to the operating system.
"""

import base64
import contextlib
import fcntl
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from streams import broker_guard
from streams.errors import UnavailableError, UsageError
from streams.jars import Progress, kafka_jars
from streams.java import java_command

START_S = 60.0
HOST = "127.0.0.1"
_PORTS = range(20_000, 32_768)
"""Below what systems give to connections and to who asks for any: Linux from 32768, others from 49152."""

# Measured beside its clients on two cores, against G1 and the second compiler: start-up in 1.8 instead of 2.6 s, half
# the processor time per produced record (0.4 against 0.8 s per 480,000), 250 instead of 390 MB resident.
_JVM_OPTIONS = (
    "-Xms256m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS",
)

PROPERTIES = """\
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
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
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
            # Until this broker answers nobody may be sent to the address of the last one, where another may listen now.
            (folder / "address.json").unlink(missing_ok=True)
            config = _write_properties(folder, *ports)
            command = [java, *_JVM_OPTIONS, "-cp", os.pathsep.join(map(str, class_path))]
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
        port = int(self.bootstrap_servers.rsplit(":", 1)[1])
        deadline = time.monotonic() + START_S
        while not answers(port):
            if not self.is_running() or time.monotonic() > deadline:
                state = "did not answer within a minute" if self.is_running() else "ended while it started"
                raise UnavailableError(f"The embedded Kafka {state}. {last_words(folder)}")
            time.sleep(0.05)


def running_broker(folder: Path, *, wait_s: float = 0.0) -> str | None:
    """The bootstrap servers of the broker that runs on `folder`, or None when none does.

    A broker that is just starting is waited for, at most `wait_s` seconds.
    """
    deadline = time.monotonic() + wait_s
    while (running := _running(folder)) is None and _is_locked(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    return running[0] if running else None


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[IO[str]]:
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
        f"A Kafka runs already on {folder}: pid {running[1]}, address {running[0]}. A folder holds the data of one"
        f" broker. Use it with `--bootstrap-servers {running[0]}`, stop it, or choose another folder with `--folder`."
    )


def _running(folder: Path) -> tuple[str, int] | None:
    """Address and pid of the broker that holds the folder's lock and answers."""
    address = _last_address(folder)
    if address is None or not _is_locked(folder):
        return None
    return address if answers(int(address[0].rsplit(":", 1)[1])) else None


def _is_locked(folder: Path) -> bool:
    """Whether a broker has the folder: one that runs, or one that is starting or stopping."""
    try:
        with (folder / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True


def _last_address(folder: Path) -> tuple[str, int] | None:
    """Address and pid of the folder's last broker, which may have ended."""
    try:
        address = json.loads((folder / "address.json").read_text())
    except FileNotFoundError:
        return None
    return address["bootstrap_servers"], address["pid"]


def _choose_ports(folder: Path, port: int | None) -> tuple[int, int]:
    """The broker's and the controller's port, both free now."""
    if port is not None and not _is_free(port):
        raise UsageError(
            f"Port {port} of {HOST} is taken by another program. Choose another one, or none for a free one."
        )
    if port is None:
        last = _last_address(folder)
        port = int(last[0].rsplit(":", 1)[1]) if last else None
    one, *others = free_ports(3)
    if port is None or not _is_free(port):
        port = one
    return port, next(other for other in others if other != port)


def free_ports(count: int) -> list[int]:
    """Different ports that no program listens on now; none that a system gives to whoever asks for any, for who gets
    one here may listen seconds later only."""
    found: list[int] = []
    while len(found) < count:
        port = secrets.choice(_PORTS)
        if port not in found and _is_free(port):
            found.append(port)
    return found


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
    path.write_text(PROPERTIES.format(host=HOST, port=port, controller_port=controller_port, log=log))
    return path


def _format(folder: Path, java: list[str], config: Path) -> None:
    """Gives a new folder its cluster id. meta.properties comes last in it, so its presence means that it was done."""
    if (folder / "log" / "meta.properties").exists():
        return
    cluster_id = cluster_id_of(secrets.token_bytes(16))
    command = [*java, "kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", cluster_id, "-c", str(config)]
    with (folder / "broker.log").open("w") as log:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False)
    if done.returncode:
        raise UnavailableError(f"The embedded Kafka could not prepare {folder}. {last_words(folder)}")


def cluster_id_of(random: bytes) -> str:
    """16 bytes as a cluster id: base64, never with a `-` in front, which Kafka's tool would read as an option."""
    return base64.urlsafe_b64encode(bytes([random[0] & 0x7F]) + random[1:]).decode().rstrip("=")


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
        raise UnavailableError(f"The embedded Kafka could not be run. {last_words(folder)}")
    return guard, int(told)


def last_words(folder: Path) -> str:
    """The end of the broker's log, for an error message."""
    path = folder / "broker.log"
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()][-5:]
    return f"{path} ends with:\n" + "\n".join(line[:300] for line in lines) if lines else f"{path} is empty."


def answers(port: int) -> bool:
    """Whether a Kafka answers there: asks for ApiVersions (key 18, version 0), expects the correlation id back."""
    request = b"\x00\x12\x00\x00\x00\x00\x00\x07\xff\xff"
    try:
        with socket.create_connection((HOST, port), 1.0) as connection:
            connection.sendall(len(request).to_bytes(4, "big") + request)
            return connection.recv(8)[4:8] == b"\x00\x00\x00\x07"
    except OSError:
        return False


def _write_whole(path: Path, text: str) -> None:
    """Writes a file that readers see either as it was or as it is."""
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(path)
