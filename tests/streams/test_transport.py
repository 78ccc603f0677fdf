"""Faust with our transport on a real broker: workers that are killed, join and leave, and what each override needs."""

import asyncio
import contextlib
import json
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.settings import Settings
from state.store import RocksStore
from streams.admin import end_offsets
from streams.broker import EmbeddedBroker
from streams.topics import topic_name
from tests.streams.toy import Names, assert_exact, make_topics, produce, read, start

pytestmark = pytest.mark.broker

PARTITIONS = 4
Start = Callable[..., "Worker"]


class Worker:
    """A process that runs the toy, and what it says of itself."""

    def __init__(self, process: subprocess.Popen[bytes], progress: Path) -> None:
        self.process = process
        self._progress = progress

    def state(self) -> dict[str, Any]:
        with contextlib.suppress(FileNotFoundError):
            state: dict[str, Any] = json.loads(self._progress.read_text())
            return state
        return {"ready": False, "applied": {}, "restored": {}}

    def applied_count(self) -> int:
        return sum(offset + 1 for offset in self.state()["applied"].values())

    def restored_count(self, who: str) -> int:
        """Changelog records read by `owner` or `standby`, of all partitions."""
        restored: dict[str, int] = self.state()["restored"]
        return sum(count for place, count in restored.items() if place.startswith(who))

    def is_working(self) -> bool:
        state = self.state()
        return bool(state["ready"] and state["applied"])

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


def wait_for(holds: Callable[[], bool], seconds: float = 40.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


@pytest.fixture
def launch(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> Iterator[Start]:
    """Starts workers, and ends those that still live."""
    workers: list[Worker] = []

    def one(
        name: str, role: str = "counts", *, disk: str = "disk", step: int = 10_000, slow: float = 0.0, **env: str
    ) -> Worker:
        folder = tmp_path / disk
        folder.mkdir(exist_ok=True)
        progress = folder / f"progress.{name}"
        progress.unlink(missing_ok=True)
        process = start("worker", kafka.bootstrap_servers, prefix, folder, name, role, step, slow, **env)
        workers.append(Worker(process, progress))
        return workers[-1]

    yield one
    for worker in workers:
        if worker.process.poll() is None:
            worker.process.kill()
            worker.process.wait()


@pytest.fixture
def names(kafka: EmbeddedBroker, prefix: str) -> Names:
    return make_topics(kafka.bootstrap_servers, prefix, PARTITIONS)


def keys(count: int) -> list[bytes]:
    return [b"%d" % (number % 1000) for number in range(count)]


def test_killed_workers_lose_and_repeat_nothing(
    kafka: EmbeddedBroker, prefix: str, names: Names, launch: Start
) -> None:
    """Three kill -9 in mid-work, each restart on another empty disk or on the same: the counts are exact."""
    count = 40_000
    produce(kafka.bootstrap_servers, names.source, keys(count), PARTITIONS)
    chance = random.Random(7)
    for disk in ("a", "b", "a"):
        worker = launch("w", disk=disk, step=250, slow=0.03)
        before = worker.applied_count()
        wait_for(lambda w=worker, b=before: w.is_working() and w.applied_count() > b)  # type: ignore[misc]
        time.sleep(0.2 + 0.4 * chance.random())
        assert worker.applied_count() < count
        worker.end(signal.SIGKILL)
    last = launch("w", disk="c")
    wait_for(lambda: last.applied_count() == count)
    assert last.end(signal.SIGTERM) == 0
    assert_exact(kafka.bootstrap_servers, prefix)


def test_a_worker_joins_and_leaves(kafka: EmbeddedBroker, prefix: str, names: Names, launch: Start) -> None:
    """Partitions move while batches are on their way, and come back when a worker is gone: the counts are exact."""
    count = 40_000
    produce(kafka.bootstrap_servers, names.source, keys(count), PARTITIONS)
    first = launch("w1", step=250, slow=0.03)
    wait_for(first.is_working)
    second = launch("w2", step=250, slow=0.03)
    wait_for(lambda: second.is_working() and len(first.state()["applied"]) == 2)
    time.sleep(0.3)
    assert second.end(signal.SIGTERM) == 0
    # A static member that leaves is missed after its session.
    wait_for(lambda: first.applied_count() == count)
    assert first.end(signal.SIGTERM) == 0
    assert_exact(kafka.bootstrap_servers, prefix)


def test_a_standby_takes_over_with_the_tail(
    kafka: EmbeddedBroker, prefix: str, names: Names, launch: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that follows the other's partitions reads a few records after its kill -9, and the counts are exact."""
    monkeypatch.setenv("MILEPOST_STANDBY", "1")
    count = 8000
    produce(kafka.bootstrap_servers, names.source, keys(count), PARTITIONS)
    first = launch("w1", disk="a", step=250)
    wait_for(lambda: first.applied_count() == count)
    second = launch("w2", disk="b", step=250)
    wait_for(lambda: second.is_working() and len(first.state()["applied"]) == 2)
    logged = changelog_ends(kafka, names)
    theirs = [int(partition) for partition in first.state()["applied"]]
    wait_for(lambda: second.restored_count("standby") >= sum(logged[each] for each in theirs))
    produce(kafka.bootstrap_servers, names.source, keys(count), PARTITIONS)
    wait_for(lambda: first.applied_count() + second.applied_count() == 2 * count)
    time.sleep(2)  # it looks every second
    first.end(signal.SIGKILL)
    logged = changelog_ends(kafka, names)
    wait_for(lambda: second.applied_count() == 2 * count)
    read_by = second.state()["restored"]
    for partition in range(PARTITIONS):
        # Of what was there, only what its owner appends before it is ready.
        assert read_by[f"owner/{partition}"] < 10 < logged[partition]
    assert second.end(signal.SIGTERM) == 0
    assert_exact(kafka.bootstrap_servers, prefix)


def test_a_partition_that_is_given_up_is_followed(
    kafka: EmbeddedBroker, prefix: str, names: Names, launch: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one worker owned and another took is followed on the same disk, and comes back with its tail only."""
    monkeypatch.setenv("MILEPOST_STANDBY", "1")
    count = 8000
    produce(kafka.bootstrap_servers, names.source, keys(count), PARTITIONS)
    first = launch("w1", disk="a", step=250)
    wait_for(lambda: first.applied_count() == count)
    assert first.restored_count("standby") == 0
    second = launch("w2", disk="b", step=250)
    wait_for(lambda: second.is_working() and len(first.state()["applied"]) == 2)
    produce(kafka.bootstrap_servers, names.source, keys(count), PARTITIONS)
    wait_for(lambda: first.applied_count() + second.applied_count() == 2 * count)
    wait_for(lambda: first.restored_count("standby") > 0)
    time.sleep(2)
    logged = changelog_ends(kafka, names)
    # It followed from where it had owned.
    assert first.restored_count("standby") < sum(logged.values()) / 3
    assert second.end(signal.SIGTERM) == 0
    wait_for(lambda: first.applied_count() == 2 * count)
    assert all(first.state()["restored"][f"owner/{partition}"] < 10 for partition in range(PARTITIONS))
    assert first.end(signal.SIGTERM) == 0
    assert_exact(kafka.bootstrap_servers, prefix)


def test_a_standby_that_can_not_go_on_ends_the_worker(
    kafka: EmbeddedBroker,
    prefix: str,
    launch: Start,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A worker that owns nothing follows all the same; a folder that another process has is told."""
    monkeypatch.setenv("MILEPOST_STANDBY", "1")
    monkeypatch.setenv("MILEPOST_PARTITIONS", "1")
    names = make_topics(kafka.bootstrap_servers, prefix, 1)
    produce(kafka.bootstrap_servers, names.source, keys(100))
    first = launch("w1", disk="a")
    wait_for(lambda: first.applied_count() == 100)
    settings = Settings(prefix=prefix, folder=tmp_path / "b", worker_id="w2")
    holder = RocksStore(settings.worker_folder("toy") / "rows" / "0")
    second = launch("w2", disk="b")
    assert second.process.wait(40) == 1
    holder.close()
    assert "UnavailableError: " in capfd.readouterr().err
    assert first.applied_count() == 100
    assert first.end(signal.SIGTERM) == 0


def changelog_ends(kafka: EmbeddedBroker, names: Names) -> dict[int, int]:
    return end_offsets(kafka.bootstrap_servers, names.changelog)


def test_a_crash_before_the_acknowledgement_is_reported(
    kafka: EmbeddedBroker, prefix: str, names: Names, launch: Start
) -> None:
    """The state knows what it applied, whatever the group committed: a crash behind `ack` repeats nothing."""
    produce(kafka.bootstrap_servers, names.source, keys(4000), PARTITIONS)
    worker = launch("w", step=250, crash_at="ack:3")
    assert worker.process.wait(40) == 137
    last = launch("w")
    wait_for(lambda: last.applied_count() == 4000)
    assert last.end(signal.SIGTERM) == 0
    assert_exact(kafka.bootstrap_servers, prefix)


def test_records_that_come_later_are_taken_soon(
    kafka: EmbeddedBroker, prefix: str, names: Names, launch: Start
) -> None:
    """An idle worker takes what arrives within a second, in small batches."""
    worker = launch("w")
    wait_for(worker.is_working)
    for round_ in range(1, 4):
        produce(kafka.bootstrap_servers, names.source, keys(40), PARTITIONS)
        wait_for(lambda n=round_: worker.applied_count() == 40 * n, 1.5)  # type: ignore[misc]
    assert worker.end(signal.SIGTERM) == 0
    assert_exact(kafka.bootstrap_servers, prefix)


def produce_to_sources(bootstrap: str, prefix: str, count: int) -> list[bytes]:
    sent = []
    for name in ("crm-events", "web-events"):
        some = [b"%b-%d" % (name.encode(), number) for number in range(count)]
        produce(bootstrap, topic_name(name, prefix, 0), some, PARTITIONS)
        sent += some
    return sent


def test_an_agent_without_state_loses_nothing(kafka: EmbeddedBroker, prefix: str, names: Names, launch: Start) -> None:
    """Two sources copied through a join, a kill -9 and a leave: every record arrives at least once."""
    sent = produce_to_sources(kafka.bootstrap_servers, prefix, 4000)

    def copied() -> set[bytes]:
        return {record.key for record in read(kafka.bootstrap_servers, names.source)}

    first = launch("w1", "copies", step=100, slow=0.02)
    wait_for(lambda: len(copied()) > 500)
    second = launch("w2", "copies", step=100, slow=0.02)
    wait_for(lambda: second.state()["ready"])
    time.sleep(0.5)
    first.end(signal.SIGKILL)
    again = launch("w1", "copies", step=100, slow=0.02)
    time.sleep(1.0)
    assert second.end(signal.SIGTERM) == 0
    wait_for(lambda: copied() == set(sent) and again.state()["ready"])
    assert again.end(signal.SIGTERM) == 0
    committed = committed_offsets(kafka.bootstrap_servers, f"{prefix}-copy-0")
    assert committed == {
        (topic, partition): end
        for topic in (topic_name(name, prefix, 0) for name in ("crm-events", "web-events"))
        for partition, end in end_offsets(kafka.bootstrap_servers, topic).items()
    }


def committed_offsets(bootstrap: str, group: str) -> dict[tuple[str, int], int]:
    from aiokafka.admin import AIOKafkaAdminClient

    async def ask() -> dict[tuple[str, int], int]:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        try:
            found = await admin.list_consumer_group_offsets(group)
        finally:
            await admin.close()
        return {(tp.topic, tp.partition): each.offset for tp, each in found.items()}

    return asyncio.run(ask())


def test_a_token_is_held_and_never_read(
    kafka: EmbeddedBroker, prefix: str, names: Names, launch: Start, tmp_path: Path
) -> None:
    """An owner without a source is opened, tended and closed like any other, and its topic stays unread."""
    produce(kafka.bootstrap_servers, topic_name("snapshots", prefix, 0), [b"a"])
    worker = launch("w", "token")
    note = tmp_path / "disk" / "token"
    wait_for(lambda: note.exists() and note.read_text() == "tended")
    assert worker.state()["ready"]
    assert worker.end(signal.SIGTERM) == 0
    assert note.read_text() == "given up"


def test_several_roles_run_in_one_process(kafka: EmbeddedBroker, prefix: str, names: Names, launch: Start) -> None:
    """Ingest and a stage side by side: what the first copies the second counts."""
    produce_to_sources(kafka.bootstrap_servers, prefix, 1000)
    worker = launch("w", "counts,copies")
    wait_for(lambda: worker.applied_count() == 2000)
    assert worker.end(signal.SIGTERM) == 0
    assert_exact(kafka.bootstrap_servers, prefix)
