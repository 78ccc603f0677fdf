"""When everything is in: source ends, then ingest has them, then the touchpoints' ends, then snapshots behind them."""

import time
from collections.abc import Mapping

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from agents.settings import Settings
from state.definition_set import DefinitionSet
from streams.admin import end_offsets
from streams.snapshot import Snapshot
from streams.topics import topic_name

_ASK_S = 0.5


class Completion:
    """Follows one input from the sources to the snapshots of all definitions."""

    def __init__(self, bootstrap: str, settings: Settings, definitions: DefinitionSet) -> None:
        self._bootstrap = bootstrap
        self._settings = settings
        self._names = [definition.analysis.name for definition in definitions.definitions]
        self._source_ends: dict[tuple[str, int], int] | None = None
        self._touchpoint_ends: dict[int, int] | None = None
        self._asked_at = 0.0

    def expect(self, source_ends: Mapping[tuple[str, int], int]) -> None:
        """Everything was sent: the offset behind the last record per source topic and partition."""
        self._source_ends = dict(source_ends)

    @property
    def touchpoint_count(self) -> int | None:
        """How many touchpoint records there are, once ingest is through; None before."""
        return None if self._touchpoint_ends is None else sum(self._touchpoint_ends.values())

    def is_reached(self, snapshots: Mapping[str, Snapshot]) -> bool:
        """Whether every analysis has a snapshot that contains all that was expected."""
        if self._touchpoint_ends is None and not self._ingest_is_through():
            return False
        ends = self._touchpoint_ends or {}
        return all(
            name in snapshots and all(snapshots[name].applied.get(str(p), -1) >= end - 1 for p, end in ends.items())
            for name in self._names
        )

    def _ingest_is_through(self) -> bool:
        now = time.monotonic()
        if self._source_ends is None or now - self._asked_at < _ASK_S:
            return False
        self._asked_at = now
        if not self._group_reached(self._source_ends):
            return False
        topic = topic_name("touchpoints", self._settings.prefix, self._settings.generation)
        self._touchpoint_ends = end_offsets(self._bootstrap, topic)
        return True

    def _group_reached(self, source_ends: Mapping[tuple[str, int], int]) -> bool:
        group = f"{self._settings.prefix}-ingest-{self._settings.generation}"
        places = [TopicPartition(topic, partition) for topic, partition in source_ends]
        admin = KafkaAdminClient(bootstrap_servers=self._bootstrap.split(","))
        try:
            committed = admin.list_group_offsets({group: places}).get(group, {})
        except KafkaError as error:
            if not error.retriable:
                raise
            return False  # a young broker is still making the topic of the groups' offsets
        finally:
            admin.close()
        return all(
            place in committed and committed[place].offset >= end
            for place, end in zip(places, source_ends.values(), strict=True)
        )


def applied_count(snapshots: Mapping[str, Snapshot]) -> int:
    """How many touchpoint records the oldest of the snapshots contains."""
    return min((sum(offset + 1 for offset in each.applied.values()) for each in snapshots.values()), default=0)
