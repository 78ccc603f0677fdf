"""What was published, at one point: each partition's cells as its newest covers has them, and the newest snapshots.

The law: a commit's cells and its covers are one record batch, so what stands behind a partition's last covers belongs
to a commit that is not read in full, and does not count. Per key the highest tag counts, in whatever order they come.
"""

import msgspec

from check.cells import Cells, frozen
from streams.partials import COVERS_KEY, Covers, Tag, decode_cell, decode_covers, decode_partial
from streams.snapshot import Snapshot, decode_snapshot

_PROTOCOL_PREFIX = b"!"


class _Part(msgspec.Struct):
    """One partition: what its covers contain, and what waits for the next."""

    newest: dict[bytes, tuple[Tag, int]] = {}
    waiting: list[tuple[bytes, bytes | None]] = []
    covers: Covers | None = None


class PublishedCells:
    """Takes the records of `partials`, per partition in their order."""

    def __init__(self) -> None:
        self._parts: dict[int, _Part] = {}

    def apply(self, partition: int, key: bytes, value: bytes | None) -> None:
        """Takes the next record of a partition."""
        part = self._parts.setdefault(partition, _Part())
        if key == COVERS_KEY and value is not None:
            _settle(part, decode_covers(value))
        elif not key.startswith(_PROTOCOL_PREFIX):
            part.waiting.append((key, value))

    @property
    def covers(self) -> dict[int, Covers]:
        """The newest covers of every partition that has one."""
        return {partition: part.covers for partition, part in self._parts.items() if part.covers is not None}

    def cells(self, version: str) -> dict[int, Cells]:
        """The cells of an analysis version per partition, without those that are zero."""
        prefix = version.encode() + b"\0"
        return {
            partition: {
                frozen(decode_cell(key)[1]): value
                for key, (_, value) in part.newest.items()
                if value and key.startswith(prefix)
            }
            for partition, part in self._parts.items()
        }


def _settle(part: _Part, covers: Covers) -> None:
    for key, value in part.waiting:
        old = part.newest.get(key)
        if value is None:
            part.newest.pop(key, None)
            continue
        tag, number = decode_partial(value)
        if old is None or tag >= old[0]:
            part.newest[key] = (tag, number)
    part.waiting.clear()
    if part.covers is None or covers.tag >= part.covers.tag:
        part.covers = covers


class PublishedSnapshots:
    """Takes the records of `snapshots`; keeps the newest of each analysis."""

    def __init__(self) -> None:
        self.by_name: dict[str, Snapshot] = {}

    def apply(self, key: bytes, value: bytes | None) -> None:
        """Takes the next record. Raises ValueError for a snapshot of another format."""
        if key.startswith(_PROTOCOL_PREFIX):
            return
        name = key.decode()
        if value is None:
            self.by_name.pop(name, None)
            return
        snapshot, old = decode_snapshot(value), self.by_name.get(name)
        if old is None or old.tag is None or (snapshot.tag is not None and snapshot.tag >= old.tag):
            self.by_name[name] = snapshot
