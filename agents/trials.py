"""What trials are of, read and keep: definitions of a file, touchpoints in Kafka, folders that are gone afterwards."""

from collections.abc import Container, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

import msgspec

from agents.reading import read_topic
from state.definitions import Audience, Milestone
from state.store import RocksStore
from streams.errors import UsageError
from streams.store import Position, Row

BATCH_RECORDS = 5_000
Named = TypeVar("Named", Audience, Milestone)


class TrialTouchpoint(msgspec.Struct, frozen=True, gc=False):
    """A record with a value, and when the broker appended it."""

    offset: int
    key: bytes
    value: bytes
    append_time: int


def chosen(defined: Sequence[Named], name: str | None, file: Path, what: str) -> Sequence[Named]:
    """Those of a file with the name, or all. what: one of them in a word. Raises UsageError where there is none."""
    found = [each for each in defined if name in (None, each.name)]
    if not found:
        names = ", ".join(each.name for each in defined) or "none"
        wanted = f"has no {what}s" if name is None else f"has no {what} {name!r}; there are: {names}"
        raise UsageError(f"{file} {wanted}")
    return found


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
