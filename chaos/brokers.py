"""The brokers under test: one node, or three with every record on all of them; each can be killed, paused and lost.

They are the embedded broker's version and settings with what a fault needs: several nodes, a log cleaner that starts
within a second, producers forgotten after seconds instead of a day, and a network that can be cut: clients are told
the address of a relay, brokers talk to each other directly.
"""

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

from chaos.proxy import Proxy
from streams.broker import HOST, PROPERTIES, answers, cluster_id_of, free_ports, last_words
from streams.jars import kafka_jars
from streams.java import java_command

START_S = 90.0
STOP_S = 30.0
PRODUCER_EXPIRATION_MS = 15_000
_JVM = ("-Xms192m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


class Broker:
    """One node on a folder of its own; it keeps its ports and its data over restarts."""

    def __init__(
        self, number: int, folder: Path, config: Path, port: int, proxy: Proxy, command: Sequence[str]
    ) -> None:
        self.number = number
        self.port = port
        self.proxy = proxy
        self._folder = folder
        self._config = config
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts the process; `await_ready` says when it answers."""
        with (self._folder / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command, "kafka.Kafka", str(self._config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def await_ready(self) -> None:
        """Returns when it answers a request."""
        deadline = time.monotonic() + START_S
        while not answers(self.port):
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"broker {self.number} did not come up. {last_words(self._folder)}")
            time.sleep(0.1)

    def send(self, number: int) -> None:
        """A signal to the process."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> None:
        """An orderly stop, which becomes a kill when it takes too long: a lone node may wait for a quorum."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._process.wait()

    def kill(self) -> None:
        """As a crash of the process; what the operating system has of its files stays."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()


class Brokers:
    """All nodes of the cluster."""

    def __init__(self, folder: Path, jars: Path, count: int) -> None:
        self.count = count
        java = [java_command(), *_JVM, "-cp", os.pathsep.join(map(str, kafka_jars(jars)))]
        ports = _Ports.of(count)
        voters = ",".join(f"{number}@{HOST}:{each.controller}" for number, each in enumerate(ports, 1))
        cluster_id = cluster_id_of(secrets.token_bytes(16))
        self.nodes = []
        for number, each in enumerate(ports, 1):
            home = folder / f"broker-{number}"
            config = _configure(home, number, count, each, voters)
            _format(home, java, cluster_id, config)
            proxy = Proxy(each.relay, each.client)
            self.nodes.append(Broker(number, home, config, each.client, proxy, java))

    @property
    def bootstrap(self) -> str:
        """host:port of every node's relay."""
        return ",".join(f"{HOST}:{node.proxy.port}" for node in self.nodes)

    def start(self) -> None:
        """All nodes, up to where they answer."""
        for node in self.nodes:
            node.proxy.start()
            node.start()
        for node in self.nodes:
            node.await_ready()

    def stop(self) -> None:
        """All nodes; for the end, so without waiting for a quorum that goes away."""
        for node in self.nodes:
            node.send(signal.SIGCONT)
            node.kill()
            node.proxy.stop()


class _Ports(NamedTuple):
    """Of one node: for clients and for brokers, for controllers, and of the relay that clients are told of."""

    client: int
    broker: int
    controller: int
    relay: int

    @classmethod
    def of(cls, count: int) -> list[Self]:
        free = free_ports(4 * count)
        return [cls(*free[start : start + 4]) for start in range(0, 4 * count, 4)]


def _configure(home: Path, node: int, count: int, ports: _Ports, voters: str) -> Path:
    """Writes server.properties and returns its path."""
    home.mkdir(parents=True)
    plain = PROPERTIES.format(host=HOST, port=ports.client, controller_port=ports.controller, log=home / "log")
    properties = dict(line.split("=", 1) for line in plain.splitlines())
    insync = str(max(1, count - 1))
    properties |= {
        "node.id": str(node),
        "controller.quorum.voters": voters,
        "listeners": properties["listeners"] + f",BROKER://{HOST}:{ports.broker}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{ports.relay},BROKER://{HOST}:{ports.broker}",
        "listener.security.protocol.map": properties["listener.security.protocol.map"] + ",BROKER:PLAINTEXT",
        "inter.broker.listener.name": "BROKER",
        "log.cleaner.backoff.ms": "1000",
        "producer.id.expiration.ms": str(PRODUCER_EXPIRATION_MS),
        "producer.id.expiration.check.interval.ms": "2000",
    }
    for name in ("default", "offsets.topic", "transaction.state.log", "share.coordinator.state.topic"):
        properties[f"{name}.replication.factor"] = str(count)
    for name in ("min.insync.replicas", "transaction.state.log.min.isr", "share.coordinator.state.topic.min.isr"):
        properties[name] = insync
    path = home / "server.properties"
    path.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
    return path


def _format(home: Path, java: Sequence[str], cluster_id: str, config: Path) -> None:
    command = [*java, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(config)]
    with (home / "broker.log").open("w") as log:
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True)
