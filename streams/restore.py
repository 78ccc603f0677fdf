"""Brings a store up to its owner's claim on the changelog (rules restore_to_claim and discard_stale_disk).

The law: what lies before the claim was written by former owners, whole commits only; what lies behind it can only be
ours. So the rows up to the claim, the last of each key, are the state.
"""

import time
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streams.errors import MismatchError
from streams.fence import Appended
from streams.protocol_rows import CLAIM_KEY, COMMIT_KEY, READY_KEY
from streams.store import Position, Row, Store
from streams.topics import MESSAGE_BYTES_MAX

_NOT_STATE = frozenset((CLAIM_KEY, READY_KEY))
_NO_COMMIT = -1


class Changelog(msgspec.Struct, frozen=True):
    """One partition of a changelog. topic_id tells it from a topic of that name that was deleted."""

    topic: str
    partition: int
    topic_id: str
    generation: int


class Bounds(msgspec.Struct, frozen=True):
    """An input's first offset that is still there, and the offset that its next record will get."""

    start: int
    end: int


class _Stored(Protocol):
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes: ...
    @property
    def value(self) -> bytes | None: ...


async def restore(store: Store, bootstrap: str, changelog: Changelog, claim: Appended) -> Position:
    """Reads the changelog up to and including the claim; returns where the store stands then.

    The store is wiped before when it is not an earlier state of this log. Rows go in as they are read, so a restore
    that is interrupted goes on where it was. Raises MismatchError when it took longer than deletions are kept.
    """
    tp, started = TopicPartition(changelog.topic, changelog.partition), time.monotonic()
    retention_ms = await _delete_retention_ms(bootstrap, changelog.topic)
    reader = reader_of(bootstrap)
    await reader.start()
    try:
        start = (await reader.beginning_offsets([tp]))[tp]
        if _is_stale(store.position(), changelog, claim, start, retention_ms):
            store.wipe()
        reader.assign([tp])
        reader.seek(tp, max(start, _next_offset(store)))
        while _next_offset(store) <= claim.offset:
            records = (await reader.getmany(tp, timeout_ms=1000)).get(tp, [])
            _apply(store, records, changelog, claim)
    finally:
        await reader.stop()
    _require_in_time(changelog, started, retention_ms)
    position = store.position()
    assert position is not None
    return position


async def bounds_of(bootstrap: str, topics: Sequence[str], partition: int) -> dict[str, Bounds]:
    """What each topic still has of the partition."""
    tps = [TopicPartition(topic, partition) for topic in topics]
    reader = reader_of(bootstrap)
    await reader.start()
    try:
        starts, ends = await reader.beginning_offsets(tps), await reader.end_offsets(tps)
    finally:
        await reader.stop()
    return {tp.topic: Bounds(starts[tp], ends[tp]) for tp in tps}


def reader_of(bootstrap: str) -> AIOKafkaConsumer:
    """A consumer outside of any group, for reading a partition in large pieces."""
    return AIOKafkaConsumer(
        bootstrap_servers=bootstrap.split(","),
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_max_wait_ms=100,
        retry_backoff_ms=20,  # it waits once for where the partition is, 100 ms by default
        max_partition_fetch_bytes=MESSAGE_BYTES_MAX,
    )


def _require_in_time(changelog: Changelog, started: float, retention_ms: int) -> None:
    """A deletion that is dropped while the restore runs may be missed by it, and the row would come back."""
    if (time.monotonic() - started) * 1000 > retention_ms:
        raise MismatchError(
            f"{changelog.topic}/{changelog.partition}: the restore took longer than the {retention_ms} ms for which the"
            " topic keeps deletions (delete.retention.ms), so deleted rows may have come back. Raise it and start anew."
        )


def _apply(store: Store, records: Sequence[_Stored], changelog: Changelog, claim: Appended) -> None:
    """Writes what was read, and how far, in one step."""
    read = (
        records if records and records[-1].offset <= claim.offset else [r for r in records if r.offset <= claim.offset]
    )
    if not read:
        return
    before = store.position()
    tag = _NO_COMMIT if before is None else before.commit_offset
    rows: list[Row] = []
    for record in read:
        if record.key == COMMIT_KEY:
            tag = record.offset
        if record.key not in _NOT_STATE:
            rows.append((record.key, record.value))
    last = read[-1]
    position = Position(last.offset + 1, tag, last.timestamp, changelog.topic_id, changelog.generation)
    store.write(rows, position, before)


def _next_offset(store: Store) -> int:
    position = store.position()
    return 0 if position is None else position.next_offset


def _is_stale(position: Position | None, changelog: Changelog, claim: Appended, start: int, retention_ms: int) -> bool:
    """Whether the store is no earlier state of this log (rule discard_stale_disk)."""
    if position is None:
        return False
    return (
        position.topic_id != changelog.topic_id
        or position.generation != changelog.generation
        or not start <= position.next_offset <= claim.offset
        # Deletions from after its newest row may have been dropped by now: it would keep what the log no longer says.
        or claim.written_at - position.written_at > retention_ms
    )


async def _delete_retention_ms(bootstrap: str, topic: str) -> int:
    """How long the broker keeps deletions of the topic."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap.split(","))
    await admin.start()
    try:
        answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    finally:
        await admin.close()
    return _config_value(answers, "delete.retention.ms")


def _config_value(answers: Sequence[Any], name: str) -> int:
    for answer in answers:
        for _, _, _, _, entries in answer.resources:
            for entry in entries:
                if entry[0] == name:
                    return int(entry[1])
    raise MismatchError(f"the broker does not tell {name}; the user needs the right to describe topic configurations")
