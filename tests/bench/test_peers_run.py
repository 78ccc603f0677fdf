"""A measured run on a real broker: milepost's own contender from end to end, and what the observer sees."""

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from bench.peers import run as peers_run
from bench.peers.__main__ import fill
from bench.peers.contenders import CONTENDER_BY_NAME
from bench.peers.expected import expected_result
from bench.peers.job import PARTITIONS, Place, State, encode_state
from bench.peers.observer import Look, Looks, Output
from bench.peers.run import MEASURED_S_MIN, TOPIC_CONFIG, RunError, World, make_topics, measured
from streams.admin import end_offsets
from streams.broker import EmbeddedBroker
from streams.errors import UnavailableError

pytestmark = pytest.mark.broker
EVENTS, ACCOUNTS = 12_000, 500


@pytest.fixture
def world(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> World:
    """Some events in a topic, and what must come of them."""
    source, events = f"{prefix}-events", tmp_path / "events.ndjson"
    make_topics(kafka.bootstrap_servers, {source: TOPIC_CONFIG})
    asyncio.run(fill(kafka.bootstrap_servers, source, events, EVENTS, ACCOUNTS))
    return World(kafka, tmp_path, source, EVENTS, expected_result(events), 0.2)


def test_milepost_does_the_job(world: World) -> None:
    """Its result is the expected one, which `measured` requires; it was watched, and its topics are gone."""
    run = measured(world, CONTENDER_BY_NAME["milepost"], 7)
    assert ACCOUNTS <= run.output_records <= EVENTS
    assert run.start_s > 0
    assert run.rss_mib > 10
    assert (run.rate is None) == (run.measured_s < MEASURED_S_MIN)
    with pytest.raises(UnavailableError):
        end_offsets(world.broker.bootstrap_servers, "milepost-7-output")


def test_workers_share_the_job(world: World) -> None:
    """All are watched, and together they make the expected result. A run of which one ends fails."""
    contender = msgspec.structs.replace(CONTENDER_BY_NAME["milepost-workers"], name="shared", workers=2)
    alone = measured(world, CONTENDER_BY_NAME["milepost"], 8)
    run = measured(world, contender, 8)
    assert ACCOUNTS <= run.output_records <= EVENTS
    assert run.rss_mib > 1.5 * alone.rss_mib

    def command(place: Place) -> list[str]:
        ends = "import os, time; time.sleep(60 * (os.environ['MILEPOST_WORKER_ID'] == '0')); print('the other one')"
        return [sys.executable, "-c", ends]

    broken = msgspec.structs.replace(contender, name=f"broken-{world.source}-2", command=command)
    with pytest.raises(RunError, match=r"it ended with code 0; its log ends with:\nthe other one"):
        measured(world, broken, 0)


def test_a_contender_that_ends_fails_with_its_words(world: World) -> None:
    """A run that ended by itself has no rate, and its log says why."""
    broken = msgspec.structs.replace(
        CONTENDER_BY_NAME["faust"],
        name=f"broken-{world.source}",
        command=lambda _: [sys.executable, "-c", "raise SystemExit('no such luck')"],
    )
    with pytest.raises(RunError, match=r"stock Faust: it ended with code 1; its log ends with:\nno such luck"):
        measured(world, broken, 0)


class SteadyOutput(Output):
    """Of an account that has one event more in each record, of which a read finds one more than it was told of."""

    def read(self, ends: Sequence[int]) -> None:
        for offset in range(self.record_count, ends[0] + 1):
            self.take(0, offset, b"a", encode_state(State(count=offset + 1)))


class SteadyLooks(Looks):
    """Sees some records at first, and more from its third look on."""

    def __init__(self, *ends: int) -> None:
        self._ends = ends
        self.all = []

    def look(self) -> Look:
        end = self._ends[0] if len(self.all) < 3 else self._ends[1]
        self.all.append(Look(time.monotonic(), (end,) + (0,) * (PARTITIONS - 1), 0.0, 0, 0.0))
        return self.all[-1]


def test_a_run_ends_with_a_look_at_all_of_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of a contender that stood still, and went on while its output was read."""
    monkeypatch.setattr(peers_run, "QUIET_S", 0.1)
    looks, output = SteadyLooks(EVENTS - 1, EVENTS), SteadyOutput("nowhere", "output")
    peers_run._watch(world, looks, output, [])
    assert output.event_count_at(looks.all[2].ends) == EVENTS - 1
    assert output.event_count_at(looks.all[-1].ends) == EVENTS


def test_a_record_is_visible_when_it_is_committed(kafka: EmbeddedBroker, prefix: str) -> None:
    """Records of an open transaction are not visible yet, those of an aborted one never; a repeated count adds only
    what it says more than before."""
    topic, bootstrap = f"{prefix}-output", kafka.bootstrap_servers
    make_topics(bootstrap, {topic: TOPIC_CONFIG})
    looks, output = Looks(bootstrap, topic, [os.getpid()], kafka.pid), Output(bootstrap, topic)

    seen: list[Look] = []

    def look_until_it_moved() -> None:
        """A transaction's end is acknowledged before its marks are in the log."""
        while (look := looks.look()).ends == seen[-1].ends:
            time.sleep(0.02)
        seen.append(look)

    async def transact() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=prefix)
        await producer.start()
        for counts, is_committed in (((1, 2), True), ((9,), False), ((5,), True)):
            await producer.begin_transaction()
            for count in counts:
                await producer.send_and_wait(topic, encode_state(State(count=count)), b"a", partition=1)
            seen.append(await asyncio.to_thread(looks.look))
            await (producer.commit_transaction() if is_committed else producer.abort_transaction())
            await asyncio.to_thread(look_until_it_moved)
        await producer.stop()

    asyncio.run(transact())
    looks.close()
    output.read(seen[-1].ends)
    assert all(len(look.ends) == PARTITIONS for look in seen)
    assert [output.event_count_at(look.ends) for look in seen] == [0, 2, 2, 2, 2, 5]
    assert (output.record_count, output.event_count) == (3, 5)
    assert msgspec.json.decode(output.newest[b"a"])["count"] == 5
