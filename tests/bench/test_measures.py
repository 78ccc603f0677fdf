"""A scenario on a real broker: what it measures is there, what it computes is right, and nothing of it is left."""

from pathlib import Path

import pytest
from kafka import KafkaAdminClient

from bench.arena import arena
from bench.events import World
from bench.measures.stages import Accounts
from streams.broker import EmbeddedBroker

pytestmark = pytest.mark.broker
WORLD = World(events=4_000, accounts=200, late=0.2)


def test_accounts(kafka: EmbeddedBroker, kafka_folder: Path, tmp_path: Path, prefix: str) -> None:
    """The check saw every event and no difference; every kind of cost has a number; the topics are gone in the end."""
    with arena(kafka, kafka_folder, tmp_path, prefix, 1) as own:
        (line,) = Accounts().run(own, WORLD, "accounts", "late")
    assert line.check is not None
    assert (line.check.touchpoints, line.check.differences) == (WORLD.events, 0)
    assert line.check.cells > 0
    # Of so few events the processor's time may be less than the system counts in.
    assert None not in (line.cpu_us, line.broker_us, line.times_floor_cpu)
    costs = (line.rate, line.rss_mib, line.times_floor, *line.step_us.values())
    assert len(costs) == 7
    assert all(costs)
    # Uncompressed it would be 150 bytes; less than a tenth of that would say that something was not written.
    assert 15 < line.topic_bytes["accounts-changelog"] < 150
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    try:
        assert not [topic for topic in admin.list_topics() if topic.startswith(prefix)]
    finally:
        admin.close()
    assert not list(tmp_path.iterdir())
