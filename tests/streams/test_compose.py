"""docker-compose.yml is the embedded broker in another coat; what differs is on purpose."""

from pathlib import Path

from ruamel.yaml import YAML

from streams.broker import PROPERTIES
from streams.jars import KAFKA_VERSION

COMPOSE = Path(__file__).parents[2] / "docker-compose.yml"
ADDRESSES = {"listeners", "listener.security.protocol.map", "controller.quorum.voters", "log.dirs"}


def test_compose_has_the_settings_of_the_embedded_broker() -> None:
    """Every setting but addresses and the folder has the embedded broker's value, on the same version of Kafka."""
    kafka = YAML(typ="safe").load(COMPOSE.read_text())["services"]["kafka"]
    assert kafka["image"] == f"apache/kafka:{KAFKA_VERSION}"
    embedded = dict(line.split("=", 1) for line in PROPERTIES.splitlines())
    for key in embedded.keys() - ADDRESSES:
        assert kafka["environment"]["KAFKA_" + key.upper().replace(".", "_")] == embedded[key], key


def test_compose_listens_on_this_machine_only() -> None:
    """No port is published to the network: the broker asks nobody for a password."""
    kafka = YAML(typ="safe").load(COMPOSE.read_text())["services"]["kafka"]
    assert all(port.startswith("127.0.0.1:") for port in kafka["ports"])
