"""docker-compose.yml is the embedded broker in another coat; what differs is on purpose.

No container engine is needed: the image's entry point (`/etc/kafka/docker/run`, `launch`) does no more than call
`kafka.docker.KafkaDockerWrapper setup`, which is in the jars that milepost has, and start Kafka with the properties
that it wrote. Both happen here with the file's own environment.
"""

import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from ruamel.yaml import YAML

from streams.admin import check_topics, create_topics
from streams.broker import PROPERTIES, free_ports
from streams.jars import KAFKA_VERSION, kafka_jars
from streams.java import java_command
from streams.topics import topic_name

COMPOSE = Path(__file__).parents[2] / "docker-compose.yml"
ADDRESSES = {"listeners", "listener.security.protocol.map", "controller.quorum.voters", "log.dirs"}
# What the image has: from its Dockerfile, docker/jvm/Dockerfile in apache/kafka.
VOLUMES = {"/etc/kafka/secrets", "/var/lib/kafka/data", "/mnt/shared/config"}
CLUSTER_ID = "5L6g3nShT-eMCtK--X86sw"  # its configureDefaults, where the environment names none
LOGGERS = "Configuration: {Loggers: {Root: {level: INFO}, Logger: [{name: kafka, level: INFO}]}}\n"
UP_S = 60.0


def service() -> dict[str, Any]:
    """The one service of the file."""
    services = YAML(typ="safe").load(COMPOSE.read_text())["services"]
    assert list(services) == ["kafka"]
    found: dict[str, Any] = services["kafka"]
    return found


def test_compose_has_the_settings_of_the_embedded_broker() -> None:
    """Every setting but addresses and the folder has the embedded broker's value, on the same version of Kafka."""
    kafka = service()
    assert kafka["image"] == f"apache/kafka:{KAFKA_VERSION}"
    embedded = dict(line.split("=", 1) for line in PROPERTIES.splitlines())
    for key in embedded.keys() - ADDRESSES:
        assert kafka["environment"]["KAFKA_" + key.upper().replace(".", "_")] == embedded[key], key


def test_compose_listens_on_this_machine_only() -> None:
    """No port is published to the network: the broker asks nobody for a password."""
    assert all(port.startswith("127.0.0.1:") for port in service()["ports"])


def test_compose_keeps_data_where_the_image_may_write() -> None:
    """A named volume takes owner and rights of the folder it covers: that must be one that the image gave appuser."""
    kafka = service()
    (volume,) = kafka["volumes"]
    name, folder = volume.split(":")
    assert name in YAML(typ="safe").load(COMPOSE.read_text())["volumes"]
    assert folder in VOLUMES
    assert kafka["environment"]["KAFKA_LOG_DIRS"] == folder


class Container:
    """What the service's container would be, in folders and on ports of this test."""

    def __init__(self, folder: Path, jars: Path) -> None:
        kafka = service()
        self._folder = folder
        # The first two only to be quicker: the image's Java has its own options, none of them in this file.
        quick = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
        self._java = [java_command(), *quick, "-cp", os.pathsep.join(map(str, kafka_jars(jars)))]
        self._grace_s = float(kafka["stop_grace_period"].removesuffix("s"))
        self._places = dict(zip(("9092", "9093", "19092"), map(str, free_ports(3)), strict=True))
        for each in ("default", "mounted", "final", "data"):
            (folder / each).mkdir(parents=True)
        # Only its loggers count: properties of its own the wrapper takes where the environment has none.
        (folder / "default" / "server.properties").write_text("process.roles=nobody\n")
        for each in ("log4j2.yaml", "tools-log4j2.yaml"):
            (folder / "default" / each).write_text(LOGGERS)
        self.environment = {key: self._moved(value) for key, value in kafka["environment"].items()}
        self.environment["CLUSTER_ID"] = CLUSTER_ID
        self._health = [self._moved(part) for part in kafka["healthcheck"]["test"]]
        self.bootstrap = f"127.0.0.1:{self._places['9092']}"

    def _moved(self, text: str) -> str:
        """The text on this test's ports, in its folder, and without the container's own name."""
        text = re.sub(r"\b(?:9092|9093|19092)\b", lambda port: self._places[port[0]], text)
        return text.replace("kafka:", "127.0.0.1:").replace("/var/lib/kafka/data", str(self._folder / "data"))

    @contextmanager
    def running(self) -> Iterator[None]:
        """The entry point, then the broker until it is stopped as `docker stop` does."""
        self._set_up()
        heap = shlex.split(self.environment["KAFKA_HEAP_OPTS"])
        command = [self._java[0], *heap, *self._java[1:], "kafka.Kafka", str(self._folder / "final/server.properties")]
        with (self._folder / "log").open("ab") as log:
            broker = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment)
        try:
            self._await_health(broker)
            yield
        finally:
            broker.send_signal(signal.SIGTERM)
            try:
                code = broker.wait(self._grace_s)
            except subprocess.TimeoutExpired:
                broker.kill()
                broker.wait()
                raise
        assert code == 128 + signal.SIGTERM, self.log()

    def _set_up(self) -> None:
        """As `launch` has it: what was formatted before is no error."""
        folders = [f"--{each}-configs-dir={self._folder / each}" for each in ("default", "mounted", "final")]
        command = [*self._java, "kafka.docker.KafkaDockerWrapper", "setup", *folders]
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment, check=False)
        said = done.stdout + done.stderr
        assert done.returncode == 0 or "already formatted" in said.lower(), said

    def _await_health(self, broker: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + UP_S
        while not self.is_healthy():
            assert broker.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.2)

    def is_healthy(self) -> bool:
        """Runs the file's own health check. Its shell is the one that the entry point is written in."""
        kind, *command = self._health
        assert kind == "CMD"
        return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0

    def log(self) -> str:
        """What the broker said last."""
        return (self._folder / "log").read_text()[-4000:]

    def properties(self) -> dict[str, str]:
        """What the wrapper made of the environment."""
        lines = (self._folder / "final/server.properties").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


@pytest.mark.broker
def test_compose_starts_holds_data_and_stops(tmp_path: Path, jars: Path, prefix: str) -> None:
    """By the image's own class: topics as promised, records that outlive a stop, a health check that tells."""
    container = Container(tmp_path, jars)
    assert not container.is_healthy()
    topic = topic_name("touchpoints", prefix, 0)
    with container.running():
        assert container.is_healthy()
        create_topics(container.bootstrap, prefix, 0, 4, 1)
        assert check_topics(container.bootstrap, prefix, 0, 4, 1) == []
        producer = KafkaProducer(bootstrap_servers=container.bootstrap, acks="all", enable_idempotence=True)
        offset = producer.send(topic, b"value", b"key", partition=2).get(30).offset
        producer.close()
        assert read(container.bootstrap, topic, 2) == [(offset, b"key", b"value")]
    assert not container.is_healthy()
    with container.running():
        assert check_topics(container.bootstrap, prefix, 0, 4, 1) == []
        assert read(container.bootstrap, topic, 2) == [(offset, b"key", b"value")]
    written = container.properties()
    embedded = dict(line.split("=", 1) for line in PROPERTIES.splitlines())
    assert {key: written.get(key) for key in embedded.keys() - ADDRESSES} == {
        key: value for key, value in embedded.items() if key not in ADDRESSES
    }
    assert written.keys() - embedded.keys() == {"advertised.listeners", "inter.broker.listener.name"}


def read(bootstrap: str, topic: str, partition: int) -> list[tuple[int, bytes | None, bytes | None]]:
    """Offset, key and value of all records of a partition."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None, auto_offset_reset="earliest")
    place = TopicPartition(topic, partition)
    try:
        consumer.assign([place])
        consumer.seek_to_beginning(place)
        end = consumer.end_offsets([place])[place]
        found: list[tuple[int, bytes | None, bytes | None]] = []
        while consumer.position(place) < end:
            for records in consumer.poll(500).values():
                found += [(record.offset, record.key, record.value) for record in records]
        return found
    finally:
        consumer.close()
