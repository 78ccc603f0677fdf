"""One seed's world: brokers, topics, definitions, workers, events that come, and the timeline of what befell them."""

import contextlib
import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError
from rich.console import Console

from agents.commands.demo import everyday_definitions
from agents.defining import apply_definitions, load_definitions
from agents.ordering import configure_of, give_orders
from agents.settings import Settings
from chaos.brokers import Brokers
from chaos.feed import Feed
from chaos.fleet import Fleet, milepost_path
from chaos.outlet import routed_to
from chaos.redefine import first_definitions, redefined
from generator.plan import GeneratorPlan
from generator.rhythm import DAY_MS
from state.definitions import DefinitionFile
from streams.admin import create_topics
from streams.delivery import Order
from streams.errors import UnavailableError
from streams.topics import TOPICS, topic_name
from tests.agents.delivery.receiver import Receiver

END_MS = 1_788_220_800_000
DELETE_RETENTION_MS = 25_000
SESSION_S = 4.0


class Shape(msgspec.Struct, frozen=True):
    """What a seed decides before anything happens. compacts: the brokers compact within seconds and drop deletions
    soon after, so that what a stale disk does not know is gone for good."""

    seed: int
    brokers: int
    workers: int
    compacts: bool
    standby: bool
    rate: float
    faults: int

    @classmethod
    def of(cls, seed: int, faults: int) -> "Shape":
        rng = random.Random(f"shape {seed}")
        return cls(
            seed=seed,
            brokers=3 if seed % 4 == 0 else 1,
            workers=rng.choice((2, 2, 3)),
            compacts=seed % 2 == 1,
            standby=seed % 3 == 0,
            rate=rng.choice((300.0, 600.0, 1000.0)),
            faults=faults,
        )


class World:
    """Everything of one seed. Made by `build`; ended by `end`."""

    def __init__(self, shape: Shape, folder: Path, jars: Path, console: Console) -> None:
        self.shape = shape
        self.folder = folder
        self.rng = random.Random(f"faults {shape.seed}")
        self.brokers = Brokers(folder, jars, shape.brokers)
        self.settings = Settings(
            folder=folder / "workers",
            prefix="chaos",
            bootstrap_servers=self.brokers.bootstrap,
            replication=shape.brokers,
            session_timeout_s=SESSION_S,
            batch_records_max=400,
            batch_deadline_s=45,
            snapshot_interval_s=0.5,
            idle_commit_s=3,
            fence_renewal_s=20,
            standby=shape.standby,
            delivery_private_hosts="127.0.0.1",
        )
        environment = milepost_path()
        if shape.compacts:
            environment["CHAOS_DELETE_RETENTION_MS"] = str(DELETE_RETENTION_MS)
        self.fleet = Fleet(self.settings, environment)
        plan = GeneratorPlan(
            events=400_000, accounts=4_000, seed=shape.seed, start_ms=END_MS - 730 * DAY_MS, end_ms=END_MS,
            late=0.08, duplicates=0.03, corrections=0.03, withdrawals=0.02, bad=0.01,
        )  # fmt: skip
        self.receiver = Receiver()
        self.feed = Feed(plan, self.bootstrap, self.settings, shape.rate)
        self.timeline: list[str] = []
        self.kept_disks: set[str] = set()
        self.mounts: list[Path] = []
        self._console = console
        self._began = time.monotonic()

    @property
    def bootstrap(self) -> str:
        return self.brokers.bootstrap

    def build(self) -> None:
        """Brokers, topics, definitions, a receiver and the way to it; then workers and events."""
        self.brokers.start()
        settings = self.settings
        create_topics(self.bootstrap, settings.prefix, 0, settings.partitions, settings.replication)
        if self.shape.compacts:
            self._compact_soon()
        self._apply(first_definitions(load_definitions(everyday_definitions())))
        self.receiver.start()
        self.order(configure_of(routed_to(self.receiver.url)))
        for number in range(self.shape.workers):
            self.fleet.add(f"w{number}").start()
        self.fleet.watch()
        self.feed.start()
        self._began = time.monotonic()

    def _compact_soon(self) -> None:
        """Small segments, cleaned at once; deletions dropped as soon as `delete.retention.ms` allows."""
        changes = {
            "segment.bytes": str(2**20), "segment.ms": "3000", "min.cleanable.dirty.ratio": "0.01",
            "max.compaction.lag.ms": "4000", "delete.retention.ms": str(DELETE_RETENTION_MS),
        }  # fmt: skip
        names = [topic_name(topic.name, self.settings.prefix, 0) for topic in TOPICS if topic.cleanup == "compact"]
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap.split(","))
        try:
            admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, changes) for name in names])
        finally:
            admin.close()

    def redefine(self, rng: random.Random) -> None:
        """Applies another definition file; without a broker that answers, the one before stays."""
        with contextlib.suppress(UnavailableError, KafkaError):
            self._apply(redefined(rng, self._file))

    def order(self, *orders: Order) -> None:
        """Has the deliver agents do something, however long it takes until Kafka has it."""
        while True:
            try:
                return give_orders(self.bootstrap, self.settings, *orders)
            except UnavailableError:
                self.wait(1.0)

    def _apply(self, file: DefinitionFile) -> None:
        apply_definitions(file, self.bootstrap, self.settings, END_MS)
        self._file = file

    def note(self, text: str) -> None:
        """A line of the timeline."""
        line = f"{time.monotonic() - self._began:7.1f} s  {text}"
        self.timeline.append(line)
        self._console.print(line, highlight=False, markup=False)

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def wait_until(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Whether it came to hold in time."""
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def mount(self, *arguments: str, at: Path) -> None:
        """Mounts something at a folder; `unmount` or the end takes it away."""
        subprocess.run(["mount", *arguments, str(at)], check=True)
        self.mounts.append(at)

    def unmount(self, at: Path) -> None:
        """Takes the mount away, also from under whoever has files open in it."""
        subprocess.run(["umount", "--lazy", str(at)], check=True)
        self.mounts.remove(at)

    def end(self) -> None:
        """Ends all that was started."""
        self.feed.stop()
        self.fleet.stop()
        self.receiver.close()
        for place in list(self.mounts):
            self.unmount(place)
        self.brokers.stop()
