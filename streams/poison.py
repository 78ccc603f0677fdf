"""A record that the computation fails on: named, tried again a few times, then its partition stands still, and only it.

The law: such a record is never passed over by itself. The commit before it says which record it is and how often it
ended a worker; after `restarts_max` times the owner holds the partition without reading it. It goes on when the record
computes after all (the code was mended, definitions were changed), or when somebody has set it aside by hand (topic
`set-aside`), which is recorded there and in the dead letters.
"""

from collections.abc import Callable, Sequence

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.batch import BatchTooLargeError
from streams.errors import MilepostError
from streams.protocol_rows import Poison
from streams.stage import Record

WHY_CHARACTERS_MAX = 300
_PATIENCE_S = 10.0


class PoisonError(MilepostError):
    """The computation fails on one record; the message names it."""


class ComputationError(Exception):
    """Inside an owner: which record the computation fails on, and how."""

    def __init__(self, record: Record, cause: Exception) -> None:
        super().__init__(repr(cause))
        self.record = record
        self.cause = cause


class SetAside(msgspec.Struct, frozen=True):
    """The value of a record of `set-aside`: when (milliseconds), and why, in the words of whoever did it."""

    at_ms: int
    why: str


encode_set_aside = msgspec.json.Encoder().encode
decode_set_aside = msgspec.json.Decoder(SetAside).decode


def record_id(topic_id: str, partition: int, offset: int) -> bytes:
    """What a record is known by in `set-aside` and `dead-letters`."""
    return b"%b:%d:%d" % (topic_id.encode(), partition, offset)


def blamed(records: Sequence[Record], error: Exception, compute: Callable[[Sequence[Record]], object]) -> Record:
    """The record without which `records` would compute: the last one of the shortest beginning that fails."""
    works, fails = 0, len(records)
    while fails - works > 1:
        middle = (works + fails) // 2
        try:
            compute(records[:middle])
        except BatchTooLargeError:
            works = middle
        except type(error):
            fails = middle
        else:
            works = middle
    return records[fails - 1]


def counted(before: Poison | None, failed: ComputationError) -> Poison:
    """What the next commit says of the record: one failure more."""
    topic, offset = failed.record.topic, failed.record.offset
    again = before is not None and (before.topic, before.offset) == (topic, offset)
    count = before.count + 1 if again and before is not None else 1
    return Poison(topic, offset, count, repr(failed.cause)[:WHY_CHARACTERS_MAX])


def poison_error(partition: int, poison: Poison, restarts_max: int) -> PoisonError:
    """What ends the worker, or what a standing partition says."""
    place = f"{poison.topic}/{partition} offset {poison.offset}"
    command = f"milepost dead-letters set-aside --topic {poison.topic} --partition {partition} --offset {poison.offset}"
    what_next = (
        f"The partition stands still now, the others go on. Mend what fails and start again, or `{command}`"
        if poison.count > restarts_max
        else f"After {restarts_max} starts that end so its partition stands still"
    )
    return PoisonError(
        f"the record at {place} can not be computed ({poison.why}), {poison.count} times by now. {what_next}."
    )


async def fetch_one(reader: AIOKafkaConsumer, topic: str, partition: int, offset: int) -> Record | None:
    """One record; None when it does not come. `reader` is started and of nobody else."""
    place = TopicPartition(topic, partition)
    reader.assign([place])
    reader.seek(place, offset)
    records = (await reader.getmany(place, timeout_ms=int(_PATIENCE_S * 1000), max_records=1)).get(place)
    return records[0] if records and records[0].offset == offset else None


async def is_set_aside(reader: AIOKafkaConsumer, topic: str, id_: bytes) -> bool:
    """Whether somebody has set a record aside: the newest word on it in the topic of that name counts."""
    place = TopicPartition(topic, 0)
    end = (await reader.end_offsets([place]))[place]
    reader.assign([place])
    await reader.seek_to_beginning(place)
    found = False
    while await reader.position(place) < end:
        for record in (await reader.getmany(place, timeout_ms=1000)).get(place, []):
            if record.key == id_:
                found = record.value is not None
    return found
