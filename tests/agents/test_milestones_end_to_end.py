"""Milestones on a real Kafka: events in, alerts out; a worker that dies before or behind telling, late events that
revoke, and what time alone brings about while nothing comes."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

from agents.checking import run_check
from agents.defining import apply_definitions
from agents.pipeline import Workers
from agents.reading import read_topic
from agents.settings import Settings
from state.definitions import DefinitionFile
from streams.admin import create_topics
from streams.alert import Alert, decode_alert
from streams.broker import EmbeddedBroker
from streams.topics import topic_name

PATIENCE_S = 90.0


def is_(type_: str) -> dict[str, Any]:
    """A condition on the type."""
    return {"field": "type", "op": "=", "value": type_}


FILE = DefinitionFile.model_validate(
    {
        "version": 1,
        "analyses": [
            {
                "name": "far",
                "kind": "canvas",
                "container": "account",
                "nodes": [{"id": "form", "match": is_("Form")}, {"id": "won", "match": is_("Won")}],
                "arrows": [{"from": "form", "to": "won"}],
            }
        ],
        "milestones": [
            {"name": "won", "container": "account", "when": {"canvas": "far", "node": "won"}, "tier": "high"},
            {"name": "visits", "container": "person", "when": {"match": is_("Visit"), "at_least": 2, "within": "1h"}},
            {
                "name": "no-reply",
                "container": "account",
                "when": {"after": is_("Quote"), "without": is_("Reply"), "within": "2s"},
                "links": {"crm": "https://crm.example/{account}"},
            },
        ],
    }
)


@pytest.fixture
def settings(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> Settings:
    """Settings of a pipeline of the test's own, with its topics and definitions."""
    made = Settings(folder=tmp_path, prefix=prefix, bootstrap_servers=kafka.bootstrap_servers, session_timeout_s=6)
    create_topics(kafka.bootstrap_servers, prefix, made.generation, made.partitions, made.replication)
    apply_definitions(FILE, kafka.bootstrap_servers, made, now_ms() - 60_000)
    return made


def now_ms() -> int:
    """As a publisher's clock says it."""
    return int(time.time() * 1000)


@pytest.fixture
def ingest(settings: Settings) -> Iterator[Workers]:
    """What makes touchpoints."""
    yield from _running(settings, ["ingest"])


def _running(settings: Settings, roles: list[str]) -> Iterator[Workers]:
    assert settings.bootstrap_servers is not None
    running = Workers(settings, settings.bootstrap_servers, [roles])
    running.start()
    try:
        yield running
    finally:
        running.stop()


def send(settings: Settings, *events: dict[str, Any]) -> None:
    """Events of one CRM."""
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers)
    for event in events:
        value = json.dumps({"version": 1, "source": "crm", "account": "acme", **event}).encode()
        producer.send(topic_name("crm-events", settings.prefix, settings.generation), value, key=b"acme")
    producer.flush()
    producer.close()


def told(settings: Settings) -> dict[str, list[Alert]]:
    """All revisions by milestone, in their order. What is there more than once is the same, byte for byte."""
    assert settings.bootstrap_servers is not None
    values: dict[tuple[str, int], bytes] = {}
    for record in read_topic(settings.bootstrap_servers, topic_name("milestones", settings.prefix, 0)):
        if not record.key.startswith(b"!"):
            assert record.value is not None
            alert = decode_alert(record.value)
            assert record.key.decode() == alert.id
            assert values.setdefault((alert.id, alert.revision), record.value) == record.value
    found: dict[str, list[Alert]] = {}
    for (_, revision), value in sorted(values.items()):
        alert = decode_alert(value)
        found.setdefault(alert.milestone, []).append(alert)
        assert len(found[alert.milestone]) == revision
    return found


def wait_for(settings: Settings, running: Workers | None, **counts: int) -> dict[str, list[Alert]]:
    """Until so many revisions of each milestone were told."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = told(settings)
        if {name: len(alerts) for name, alerts in found.items()} == counts:
            return found
        assert time.monotonic() < deadline, found
        if running is not None:
            running.require_running()
        time.sleep(0.3)


def wait_for_touchpoints(settings: Settings, count: int) -> None:
    """Until ingest has made them."""
    assert settings.bootstrap_servers is not None
    deadline = time.monotonic() + PATIENCE_S
    topic = topic_name("touchpoints", settings.prefix, settings.generation)
    while sum(1 for _ in read_topic(settings.bootstrap_servers, topic)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.3)


def crashes(settings: Settings, at: str) -> bool:
    """Whether a worker that is to end at a point does so, and not in another way."""
    environment = {**settings.as_environment(), "MILEPOST_CRASH_AT": at}
    command = [sys.executable, "-m", "agents.main", "worker", "--roles", "accounts"]
    return subprocess.run(command, env=environment, timeout=PATIENCE_S, check=False).returncode == 137


@pytest.mark.parametrize("point", ["changelog"])
def test_alerts_survive_a_crash_and_are_revoked_and_brought_about_by_time(
    settings: Settings, ingest: Workers, point: str
) -> None:
    """The first commit with events dies around being told: its alerts are told all the same, each once or the same
    again; then a late event revokes one, time brings another about on an idle partition, and a late reply revokes
    that."""
    begun = now_ms()
    send(
        settings,
        {"event_id": "1", "event_time": begun - 5_000, "type": "Form", "attributes": {"owner": "Ann"}},
        {"event_id": "2", "event_time": begun - 4_000, "type": "Won", "person": "bob"},
        {"event_id": "3", "event_time": begun - 3_000, "type": "Visit", "person": "bob"},
        {"event_id": "4", "event_time": begun - 2_000, "type": "Visit", "person": "bob"},
        {"event_id": "5", "event_time": begun - 90_000, "type": "Visit", "person": "eve"},
        {"event_id": "6", "event_time": begun - 80_000, "type": "Visit", "person": "eve"},
    )
    wait_for_touchpoints(settings, 6)
    assert crashes(settings, f"{point}:{settings.partitions + 1}")
    for running in _running(settings, ["accounts"]):
        found = wait_for(settings, running, won=1, visits=1)  # eve's visits were before the definitions
        won, visits = found["won"][0], found["visits"][0]
        assert (won.state, won.who.owner, won.who.people, won.path) == ("asserted", "Ann", ["bob"], ["form"])
        assert [each.event_id for each in won.touchpoints] == ["1", "2"]
        assert (won.happened_ms, won.tier, won.known_ms >= won.happened_ms) == (begun - 4_000, "high", True)
        assert (visits.who.kind, visits.who.id, visits.happened_ms) == ("person", "bob", begun - 2_000)
        send(settings, {"event_id": "1", "event_time": begun, "type": "Form", "operation": "withdraw", "revision": 1})
        found = wait_for(settings, running, won=2, visits=1)
        assert (found["won"][1].state, found["won"][1].happened_ms) == ("revoked", begun - 4_000)
        quoted = now_ms()
        send(settings, {"event_id": "7", "event_time": quoted, "type": "Quote"})
        found = wait_for(settings, running, **{"won": 2, "visits": 1, "no-reply": 1})
        alert = found["no-reply"][0]
        assert (alert.happened_ms, alert.links) == (quoted + 2_000, {"crm": "https://crm.example/acme"})
        assert alert.known_ms >= alert.happened_ms
        send(settings, {"event_id": "8", "event_time": quoted + 1_000, "type": "Reply"})
        found = wait_for(settings, running, **{"won": 2, "visits": 1, "no-reply": 2})
        assert found["no-reply"][1].state == "revoked"
    assert settings.bootstrap_servers is not None
    report = run_check(settings.bootstrap_servers, settings)
    assert report.difference_count == 0, report


def test_a_timer_outlives_its_worker(settings: Settings, ingest: Workers) -> None:
    """What was waiting when a worker died is told by the next one, on an empty disk, though nothing comes any more."""
    send(settings, {"event_id": "1", "event_time": now_ms() + 30_000, "type": "Quote"})
    wait_for_touchpoints(settings, 1)
    assert crashes(settings, f"publish:{settings.partitions + 1}")
    assert told(settings) == {}
    elsewhere = settings.model_copy(update={"folder": settings.folder / "elsewhere"})
    for running in _running(elsewhere, ["accounts"]):
        assert wait_for(settings, running, **{"no-reply": 1})["no-reply"][0].state == "asserted"
