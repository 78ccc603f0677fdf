"""What the protocol relies on of Kafka: producer epochs, appends, compaction, and what the broker forgets.

As measured: the coordinator of a transactional id gives each new owner the same producer id with the next epoch. The
*partitions* do not hear of it. A partition refuses a batch only when it has itself seen a higher epoch of the same
producer id, so a former owner is refused on a partition from the new owner's first batch there. A producer id that a
partition does not know is accepted, in any epoch.

The coordinator forgets an id that saw no transaction for days, and then gives a new producer id: nobody who holds the
old one is refused any more. A partition forgets a producer that was idle for a day.
"""

from typing import Any, NamedTuple

from tests.model.stage import CLAIM, COMMIT, READY, Rows, merged

Identity = tuple[int, int]
"""Producer id and epoch."""

Known = tuple[Identity, ...]
"""The highest epoch of each producer id that a partition has seen."""

NOBODY: Identity = (-1, -1)
FORGOTTEN = -1


def accepts(known: Known, identity: Identity) -> bool:
    return dict(known).get(identity[0], -1) <= identity[1]


def remember(known: Known, identity: Identity) -> Known:
    return tuple(sorted((dict(known) | dict([identity])).items()))


class Coordinator(NamedTuple):
    """What it knows of the partition's transactional id; days since somebody fenced himself with it."""

    producer_id: int = FORGOTTEN
    epoch: int = 0
    age_days: int = 0
    next_producer_id: int = 0

    def init_producer_id(self) -> "Coordinator":
        if self.producer_id != FORGOTTEN:
            return self._replace(epoch=self.epoch + 1, age_days=0)
        return Coordinator(self.next_producer_id, 0, 0, self.next_producer_id + 1)

    def fresh_producer_id(self) -> tuple["Coordinator", Identity]:
        """What a producer without a transactional id gets."""
        return self._replace(next_producer_id=self.next_producer_id + 1), (self.next_producer_id, 0)

    def day_later(self, expiration_days: int) -> "Coordinator":
        if self.producer_id == FORGOTTEN:
            return self
        if self.age_days + 1 < expiration_days:
            return self._replace(age_days=self.age_days + 1)
        return Coordinator(next_producer_id=self.next_producer_id)


class Record(NamedTuple):
    offset: int
    key: str
    value: Any


class Log(NamedTuple):
    """The changelog's partition; deletions below `dropped` may be gone."""

    records: tuple[Record, ...] = ()
    end: int = 0
    dropped: int = 0
    known: Known = ()

    def append(self, identity: Identity, rows: Rows) -> "Log":
        """One batch; whole or not at all."""
        new = tuple(Record(self.end + i, key, value) for i, (key, value) in enumerate(rows))
        return self._replace(records=self.records + new, end=self.end + len(new), known=remember(self.known, identity))

    def compact(self, drops_deletions: bool) -> "Log":
        last = {record.key: record.offset for record in self.records}
        kept = tuple(
            record
            for record in self.records
            if last[record.key] == record.offset and not (drops_deletions and record.value is None)
        )
        return self._replace(records=kept, dropped=self.end if drops_deletions else self.dropped)


class Disk(NamedTuple):
    """A worker's local store: rows, the next offset of the changelog, the offset of the last commit."""

    rows: Rows = ()
    position: int = 0
    tag: int = -1


def restored(disk: Disk, log: Log, upto: int, discard_stale: bool) -> Disk:
    """The disk after reading the changelog below `upto`."""
    if discard_stale and disk.position < log.dropped:
        disk = Disk()
    read = [record for record in log.records if disk.position <= record.offset < upto]
    rows = merged(disk.rows, tuple((r.key, r.value) for r in read if r.key not in (CLAIM, READY)))
    tags = [record.offset for record in read if record.key == COMMIT]
    return Disk(rows, max(upto, disk.position), tags[-1] if tags else disk.tag)
