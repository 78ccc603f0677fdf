"""Brings a store up to its owner's claim on the changelog (rules restore_to_claim and discard_stale_disk).

The law: what lies before the claim was written by former owners, whole commits only; what lies behind it can only be
ours. So the rows up to the claim, the last of each key, are the state. Every piece moves rows and position together,
so a store always holds a prefix of the log: a restore that is interrupted goes on, and `streams.standby` may stop
anywhere.

Budget: 2.8 µs of the processor a row of 200 bytes: 0.5 to fetch and parse, the rest to order and write.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import NodeNotReadyError

from streams.bootstrap import client_options
from streams.bulk_reader import Bounds, BulkReader, RecordBatch
from streams.crash import crash_point
from streams.errors import MismatchError
from streams.fence import FENCE_S_MAX, Appended
from streams.progress import Progress
from streams.protocol_rows import CLAIM_KEY, COMMIT_KEY, READY_KEY
from streams.stage import StoredRecord
from streams.store import Position, Store
from streams.topics import MESSAGE_BYTES_MAX

log = logging.getLogger(__name__)

PIECE_RECORDS = 20_000
"""Of one write, more or less: the loop stands still for it, 60 ms."""
_NO_COMMIT = -1
_PATIENCE_S = 1.0
_RETRY_S = 0.2

CountRows = Callable[[int], None]


class Changelog(msgspec.Struct, frozen=True):
    """One partition of a changelog. topic_id tells it from a topic of that name that was deleted."""

    topic: str
    partition: int
    topic_id: str
    generation: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}"


def uncounted(_: int) -> None:
    """For whoever does not count rows."""


async def restore(
    store: Store, bootstrap: str, changelog: Changelog, claim: Appended, count_rows: CountRows = uncounted
) -> Position:
    """Reads the changelog up to and including the claim; returns where the store stands then.

    The store is wiped before when it is not an earlier state of this log. Rows go in as they are read, so a restore
    that is interrupted goes on where it was; `count_rows` hears how many. Raises MismatchError when it took longer
    than deletions are kept.
    """
    started = time.monotonic()
    retention_ms = await delete_retention_ms(bootstrap, changelog.topic)
    async with BulkReader(reader_of(bootstrap), changelog.topic, changelog.partition) as reader:
        bounds = Bounds((await reader.bounds()).start, claim.offset)
        if is_stale(store.position(), changelog, bounds, claim.written_at, retention_ms):
            store.wipe()
        await catch_up(reader, store, changelog, Bounds(bounds.start, claim.offset + 1), count_rows)
    require_in_time(changelog, started, retention_ms)
    position = store.position()
    assert position is not None
    return position


async def catch_up(
    reader: BulkReader, store: Store, changelog: Changelog, bounds: Bounds, count_rows: CountRows = uncounted
) -> None:
    """Reads from where the store stands, or the start, up to the end. A long one is logged as it goes on."""
    begin = max(bounds.start, next_offset(store))
    progress = Progress(begin, bounds.end, time.monotonic())
    reader.seek(begin)
    while next_offset(store) < bounds.end:
        for piece in _pieces(await reader.read(_PATIENCE_S), bounds.end):
            row_count = apply_batches(store, piece, changelog, bounds.end)
            crash_point("restoring")
            count_rows(row_count)
            if line := progress.note(row_count, next_offset(store), time.monotonic()):
                log.info("restoring %s: %s", changelog, line)
            # Others have their turn, a cancellation included.
            await asyncio.sleep(0)
    if line := progress.summary(time.monotonic()):
        log.info("restored %s: %s", changelog, line)


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


def reader_of(bootstrap: str, wait_ms: int = 100) -> AIOKafkaConsumer:
    """A consumer outside of any group, for reading a partition in large pieces. wait_ms: how long the broker lets it
    wait where there is nothing; until then it does not hear of another place to read."""
    return AIOKafkaConsumer(
        **client_options(bootstrap),
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_max_wait_ms=wait_ms,
        retry_backoff_ms=20,  # it waits once for where the partition is, 100 ms by default
        max_partition_fetch_bytes=MESSAGE_BYTES_MAX,
    )


def require_in_time(changelog: Changelog, started: float, patience_ms: int) -> None:
    """A deletion that is dropped while the restore runs may be missed by it, and the row would come back."""
    if (time.monotonic() - started) * 1000 > patience_ms:
        raise MismatchError(
            f"{changelog}: the restore took longer than {patience_ms} ms, and the topic may have dropped deletions"
            " meanwhile (delete.retention.ms), so deleted rows may have come back. Raise it and start anew."
        )


def _pieces(batches: Sequence[RecordBatch], end: int) -> Iterator[list[RecordBatch]]:
    """Neighbouring batches that begin before the end, about PIECE_RECORDS together."""
    piece: list[RecordBatch] = []
    size = 0
    for batch in batches:
        if batch.base_offset < end:
            piece.append(batch)
            size += batch.next_offset - batch.base_offset
            if size >= PIECE_RECORDS:
                yield piece
                piece, size = [], 0
    if piece:
        yield piece


def apply_batches(store: Store, batches: Sequence[RecordBatch], changelog: Changelog, end: int) -> int:
    """Writes what was read, and how far, in one step; returns how many records that were."""
    before = store.position()
    tag, written_at = (_NO_COMMIT, 0) if before is None else (before.commit_offset, before.written_at)
    start = next_offset(store)
    value_by_key: dict[bytes, bytes | None] = {}
    record_count = 0
    for batch in batches:
        for record in _within(batch, start, end):
            key = record.key
            value_by_key[key] = record.value
            written_at = record.timestamp
            record_count += 1
            if key == COMMIT_KEY:
                tag = record.offset
    # They are no state.
    value_by_key.pop(CLAIM_KEY, None)
    value_by_key.pop(READY_KEY, None)
    position = Position(min(batches[-1].next_offset, end), tag, written_at, changelog.topic_id, changelog.generation)
    # RocksDB takes rows in the order of their keys a quarter faster; a list of them would keep the collector busy.
    store.write(((key, value_by_key[key]) for key in sorted(value_by_key)), position, before)
    return record_count


def _within(batch: RecordBatch, start: int, end: int) -> Iterable[StoredRecord]:
    """The batch's records from start up to but not including end."""
    if start <= batch.base_offset and batch.next_offset <= end:
        return batch
    return (record for record in batch if start <= record.offset < end)


def next_offset(store: Store) -> int:
    """The offset that a store reads next."""
    position = store.position()
    return 0 if position is None else position.next_offset


def is_stale(position: Position | None, changelog: Changelog, bounds: Bounds, now_ms: int, patience_ms: int) -> bool:
    """Whether the store is no earlier state of this log (rule discard_stale_disk).

    bounds.end: the last offset at which a store may stand. patience_ms: how old its newest row may be at `now_ms`.
    """
    if position is None:
        return False
    return (
        position.topic_id != changelog.topic_id
        or position.generation != changelog.generation
        or not bounds.start <= position.next_offset <= bounds.end
        # Deletions from after its newest row may have been dropped by now: it would keep what the log no longer says.
        or now_ms - position.written_at > patience_ms
    )


async def delete_retention_ms(bootstrap: str, topic: str) -> int:
    """How long the broker keeps deletions of the topic.

    A cluster that for now names no broker, as one does that was paused, is asked again for as long as a fence waits.
    """
    deadline = time.monotonic() + FENCE_S_MAX
    while True:
        try:
            return _config_value(await _described(bootstrap, topic), "delete.retention.ms")
        except NodeNotReadyError:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(_RETRY_S)


async def _described(bootstrap: str, topic: str) -> Sequence[Any]:
    """What one broker tells of the topic's configuration."""
    admin = AIOKafkaAdminClient(**client_options(bootstrap))
    await admin.start()
    try:
        answers: Sequence[Any] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        return answers
    finally:
        await admin.close()


def _config_value(answers: Sequence[Any], name: str) -> int:
    for answer in answers:
        for _, _, _, _, entries in answer.resources:
            for entry in entries:
                if entry[0] == name:
                    return int(entry[1])
    raise MismatchError(f"the broker does not tell {name}; the user needs the right to describe topic configurations")
