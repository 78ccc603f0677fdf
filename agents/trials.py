"""What trials read and where they keep it: the touchpoints in Kafka, and folders that are gone afterwards."""

from collections.abc import Container, Iterator, Sequence
from itertools import islice
from pathlib import Path

import msgspec

from agents.reading import read_topic
from state.store import RocksStore
from streams.store import Position, Row

BATCH_RECORDS = 5_000


class TrialTouchpoint(msgspec.Struct, frozen=True, gc=False):
    """A record with a value, and when the broker appended it."""

    offset: int
    key: bytes
    value: bytes
    append_time: int


class Disk:
    """A store without a changelog."""

    def __init__(self, path: Path) -> None:
        self.rocks = RocksStore(path)
        self._position: Position | None = None

    def write(self, rows: Sequence[Row]) -> None:
        """Writes rows."""
        was = self._position
        self._position = Position(1 if was is None else was.next_offset + 1, 0, 0, "", 0)
        self.rocks.write(rows, self._position, was)


def batches(
    bootstrap: str, topic: str, partition: int, left_out: Container[tuple[int, int]]
) -> Iterator[list[TrialTouchpoint]]:
    """The touchpoints, but for those set aside by hand."""
    records = (
        TrialTouchpoint(each.offset, each.key, each.value, each.append_time)
        for each in read_topic(bootstrap, topic, [partition])
        if each.value is not None and (partition, each.offset) not in left_out
    )
    while some := list(islice(records, BATCH_RECORDS)):
        yield some
