"""When everything is in: source ends, then ingest has them, then the touchpoints' ends, then snapshots behind them."""

import time
from collections.abc import Mapping, Sequence

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from agents.settings import Settings
from state.definition_set import DefinitionSet
from streams.admin import end_offsets
from streams.bootstrap import client_options
from streams.snapshot import Snapshot
from streams.topics import topic_name

_ASK_S = 0.5


class Completion:
    """Follows one input from the sources to the snapshots of all definitions."""

    def __init__(self, bootstrap: str, settings: Settings, definitions: DefinitionSet) -> None:
        self._bootstrap = bootstrap
        self._settings = settings
        self._versions = {definition.analysis.name: definition.version for definition in definitions.definitions}
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
        """Whether every analysis has a snapshot of its present version that contains all that was expected."""
        if self._touchpoint_ends is None and not self._ingest_is_through():
            return False
        ends = self._touchpoint_ends or {}
        found = {name: snapshot for name, snapshot in snapshots.items() if snapshot.version == self._versions.get(name)}
        return found.keys() == self._versions.keys() and all(
            snapshot.applied.get(str(p), -1) >= end - 1 for snapshot in found.values() for p, end in ends.items()
        )

    def _ingest_is_through(self) -> bool:
        now = time.monotonic()
        if self._source_ends is None or now - self._asked_at < _ASK_S:
            return False
        self._asked_at = now
        committed = committed_offsets(self._bootstrap, self._settings, "ingest", list(self._source_ends))
        if any(committed.get(place, 0) < end for place, end in self._source_ends.items()):
            return False
        topic = topic_name("touchpoints", self._settings.prefix, self._settings.generation)
        self._touchpoint_ends = end_offsets(self._bootstrap, topic)
        return True


def waiting_counts(bootstrap: str, settings: Settings, snapshots: Mapping[int, int]) -> tuple[int, int]:
    """(source records that ingest has not read, touchpoints behind `snapshots`: applied offset per partition)."""
    sources = [topic_name(name, settings.prefix, settings.generation) for name in ("crm-events", "web-events")]
    ends = {(topic, p): end for topic in sources for p, end in end_offsets(bootstrap, topic).items()}
    committed = committed_offsets(bootstrap, settings, "ingest", list(ends))
    touchpoint_ends = end_offsets(bootstrap, topic_name("touchpoints", settings.prefix, settings.generation))
    unread = sum(max(0, end - committed.get(place, 0)) for place, end in ends.items())
    behind = sum(max(0, end - 1 - snapshots.get(p, -1)) for p, end in touchpoint_ends.items())
    return unread, behind


def committed_offsets(
    bootstrap: str, settings: Settings, role: str, sources: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], int]:
    """Where a role's group stands in its input; nothing for a place where it never was."""
    group = f"{settings.prefix}-{role}-{settings.generation}"
    admin = KafkaAdminClient(**client_options(bootstrap))
    try:
        places = [TopicPartition(topic, partition) for topic, partition in sources]
        found = admin.list_group_offsets({group: places}).get(group, {})
    except KafkaError as error:
        if not error.retriable:
            raise
        return {}  # a young broker is still making the topic of the groups' offsets
    finally:
        admin.close()
    return {(place.topic, place.partition): each.offset for place, each in found.items() if each.offset >= 0}


def applied_count(snapshots: Mapping[str, Snapshot]) -> int:
    """How many touchpoint records the oldest of the snapshots contains."""
    return min((sum(offset + 1 for offset in each.applied.values()) for each in snapshots.values()), default=0)
