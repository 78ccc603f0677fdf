"""One scenario's own topics, folder and prefix on the broker that all share; nothing of it is left behind."""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from agents.checking import run_check
from agents.defining import apply_definitions
from agents.settings import Settings
from bench.events import END_MS, Form, World, happened
from bench.measured import Check
from bench.world import settings_of
from state.definitions import DefinitionFile
from streams.admin import create_topics, delete_topics, end_offsets
from streams.broker import EmbeddedBroker
from streams.bulk_producer import BulkProducer
from streams.topics import topic_name

UNCOMPACTED_MS = 7 * 86_400_000
COMPACTED_TOPICS = ("accounts-changelog", "journeys", "partials")


class Arena(msgspec.Struct, frozen=True):
    """Where a scenario runs. scale: by what its world was made smaller, 1 where it was not."""

    broker: EmbeddedBroker
    broker_folder: Path
    settings: Settings
    scale: int

    @property
    def bootstrap(self) -> str:
        return self.broker.bootstrap_servers

    def shortened(self, seconds: float) -> float:
        """How long something is done here that takes so many seconds in a world of full size; never less than 2."""
        return max(2.0, seconds / self.scale)

    @property
    def broker_cpu_s(self) -> float:
        """Seconds of the processor that the broker took so far."""
        times = psutil.Process(self.broker.pid).cpu_times()
        return float(times.user + times.system)

    def topic(self, name: str) -> str:
        return topic_name(name, self.settings.prefix, self.settings.generation)

    def make_topics(self, definitions: DefinitionFile) -> None:
        """All topics, of which nothing is compacted away while they are measured, and these definitions."""
        settings = self.settings
        create_topics(self.bootstrap, settings.prefix, settings.generation, settings.partitions, settings.replication)
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        lag = {"min.compaction.lag.ms": str(UNCOMPACTED_MS)}
        try:
            admin.alter_configs(
                [ConfigResource(ConfigResourceType.TOPIC, self.topic(name), lag) for name in COMPACTED_TOPICS]
            )
        finally:
            admin.close()
        apply_definitions(definitions, self.bootstrap, settings, END_MS)

    def fill(self, world: World, topic: str, form: Form) -> int:
        """The world's events into a topic, in their order per account; how many there are."""
        return asyncio.run(self._fill(world, self.topic(topic), form))

    async def _fill(self, world: World, topic: str, form: Form) -> int:
        count = 0
        async with BulkProducer(self.bootstrap) as producer:
            for piece in happened(world):
                await producer.send(topic, [form(event) for event in piece])
                count += len(piece)
        return count

    def record_count(self, topic: str) -> int:
        """How many records a topic has had."""
        return sum(end_offsets(self.bootstrap, self.topic(topic)).values())

    def topic_bytes(self, *names: str) -> dict[str, int]:
        """What the topics take on the broker's disk, compressed as they are, by name."""
        return {name: _log_bytes(self.broker_folder / "log", self.topic(name)) for name in names}

    def state_bytes(self) -> int:
        """What the workers' state takes on their disk."""
        return _bytes_below(self.settings.folder)

    def check(self) -> Check:
        """Compares every published number with the batch computation."""
        report = run_check(self.bootstrap, self.settings)
        return Check(report.touchpoint_count, report.cell_count, report.difference_count)


@contextmanager
def arena(
    broker: EmbeddedBroker, broker_folder: Path, folder: Path, name: str, scale: int, partitions: int = 4
) -> Iterator[Arena]:
    """An arena below `folder`, which must exist; in the end its topics and files are deleted."""
    own = folder / name
    settings = settings_of(own, name, broker.bootstrap_servers).model_copy(update={"partitions": partitions})
    own.mkdir()
    try:
        yield Arena(broker, broker_folder, settings, scale)
    finally:
        delete_topics(broker.bootstrap_servers, settings.prefix, settings.generation)
        shutil.rmtree(own)


def _log_bytes(log: Path, topic: str) -> int:
    return sum(file.stat().st_size for file in log.glob(f"{topic}-*/*.log"))


def _bytes_below(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
