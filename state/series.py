"""One container's series, kept in chunks, and its states: how it grows in order and how it changes late.

Law: after any sequence of changes, states and reported cells are those of one fold over the sorted series from the
empty states. Only entries that matter are in the series: those that some analysis reads, and the container's first
where that counts.

A sealed chunk holds the states before it. A late change refolds its chunk, old and new, and stops as soon as the
states behind a chunk are what the next one starts from; what follows can not differ. A chunk that has lost all its
entries goes, but for the first one, which lies before everything.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from itertools import count as numbers
from operator import itemgetter
from typing import Any

import msgspec

from state.analyses.lens import Cells, Projection
from state.plan import KindPlan
from state.rows import (
    ChunkRow,
    ContainerRow,
    chunks_prefix,
    decode_chunk,
    decode_entries,
    encode_entry,
    encode_row,
    event_time_of,
    pack,
    unpack,
)
from streams.batch import BatchTooLargeError
from streams.store import Row, Rows
from streams.topics import MESSAGE_BYTES_MAX

CHUNK_ENTRIES_FIRST, CHUNK_ENTRIES = 16, 32
"""At so many the open chunk of a new and of a long series is sealed. What is open is written with every touchpoint; a
sealed chunk costs a row, and a read of whoever refolds all of them."""
SEALED_PER_ENTRY = 8
"""For so many sealed chunks the open one may have an entry more."""
CHUNK_ENTRIES_MAX = 64
CHUNKS_BEFORE_LOOK = 256
"""Most revisions end within a few; for one that has not by then it is worth looking at what lies behind."""
AT_ONCE_BYTES_MAX = MESSAGE_BYTES_MAX
"""Of a container's past that changes at once. Compressed more may fit a commit; but where it does not, all of it is
computed in vain, and again for each half of the batch."""

Entry = tuple[bytes, list[Projection | None]]
key_of_entry = itemgetter(0)
"""The order key of an entry, and of what joins a container."""
Put = Callable[[Row], None]
Piece = tuple[bytes, list[Entry]]  # packed states before, entries


class Change(msgspec.Struct, array_like=True):
    """What joins one chunk, and the order keys of what leaves it. An entry that joins takes the place of one that
    leaves under the same order key."""

    added: list[Entry]
    removed: set[bytes]


class Revision(msgspec.Struct, array_like=True):
    """A change of a container's past, and how far it has come.

    row: the container behind it; its open chunk is changed last. changes: what is left, by the key of the chunk. at:
    the key of the chunk that is next, None when it is done. carried: the packed states before that chunk, where they
    are not those it was sealed with.
    """

    row: ContainerRow
    changes: dict[bytes, Change]
    at: bytes | None
    carried: bytes | None = None


def new_container(plan: KindPlan) -> ContainerRow:
    """A container before its first touchpoint."""
    packed = plan.empty_packed
    return ContainerRow(b"", b"", 0, unpack(packed), packed, 0, 0, b"")


def note(row: ContainerRow, order: bytes, projections: list[Projection | None]) -> bool:
    """Adds an entry to the open chunk, whose states have moved behind it; says whether the chunk is full now."""
    row.entries += encode_entry(order, projections)
    count = row.entry_count = row.entry_count + 1
    return count >= CHUNK_ENTRIES_FIRST and (
        count >= CHUNK_ENTRIES or count >= CHUNK_ENTRIES_FIRST + row.sealed_count // SEALED_PER_ENTRY
    )


class Series:
    """The series of one container: its row in memory, its sealed chunks in the store."""

    def __init__(self, plan: KindPlan, key: bytes, row: ContainerRow, store: Rows, put: Put) -> None:
        self._plan = plan
        self._row = row
        self._store = store
        self._put = put
        self._prefix = chunks_prefix(key)

    def seal(self) -> None:
        """Ends the open chunk and begins another."""
        row = self._row
        self._put_chunk(row.base, row.entry_count, row.entries)
        row.base, row.entry_count, row.entries = pack(row.states), 0, b""

    def clear(self) -> None:
        """Forgets the chunk that a series without entries still has."""
        if self._row.sealed_count:
            self._put((self._prefix, None))

    def _put_chunk(self, base: bytes, entry_count: int, entries: bytes) -> None:
        """Writes the open chunk's content as the newest sealed one, under the order of its first entry."""
        first = b"" if self._row.sealed_count == 0 else decode_entries(entry_count, entries)[0][0]
        self._put((self._prefix + first, encode_row(ChunkRow(base, entry_count, entries))))
        self._row.sealed_count += 1

    # --- the past

    def revision(self, added: Iterable[Entry], removed: Iterable[bytes]) -> Revision:
        """The change that adds entries and takes out those with the order keys `removed`, where there are any."""
        changes: dict[bytes, Change] = {}
        for entry in added:
            changes.setdefault(self._home_of(entry[0]), Change([], set())).added.append(entry)
        for order in removed:
            changes.setdefault(self._home_of(order), Change([], set())).removed.add(order)
        return Revision(self._row, changes, min(changes, default=None))

    def revise(self, revision: Revision, sinks: Sequence[Cells], is_full: Callable[[], bool]) -> None:
        """Goes on with a revision, chunk by chunk in their order, until it is done or `is_full`.

        A chunk is written in place and never looked at again, so what was put so far may be committed in between, as
        long as nothing else reads the container's chunks until the revision is done.
        """
        while revision.at is not None and not is_full():
            key, minus, plus = revision.at, [{} for _ in sinks], [{} for _ in sinks]  # type: ignore[var-annotated]
            change = revision.changes.pop(key, None) or Change([], set())
            ended, carried = self._refold(key, change, revision.carried, minus, plus)
            _settle(sinks, minus, plus)
            if ended == carried:
                revision.carried, revision.at = None, min(revision.changes, default=None)
            else:
                revision.carried, revision.at = carried, self._chunk_behind(key)

    def revise_at_once(self, revision: Revision, sinks: Sequence[Cells]) -> None:
        """All of a revision. Raises BatchTooLargeError when no commit holds what it changes; soon, where what lies
        behind tells that, for what was computed until then is thrown away."""
        calls = numbers()
        self.revise(revision, sinks, lambda: next(calls) == CHUNKS_BEFORE_LOOK and self._is_too_much_behind(revision))
        if revision.at is not None:
            raise BatchTooLargeError("a container's past changes, and what lies behind is more than a commit holds")

    def _is_too_much_behind(self, revision: Revision) -> bool:
        """Whether all chunks behind the one that is next are more than is changed at once, and may all change."""
        if revision.at in (None, _OPEN) or revision.carried is None:
            return False
        sizes = (len(key) + len(value) for key, value in self._store.scan(self._prefix, revision.at))
        return any(total > AT_ONCE_BYTES_MAX for total in accumulate(sizes))

    def _home_of(self, order: bytes) -> bytes:
        """The key of the chunk where an entry is or belongs; the open one's is `_OPEN`."""
        row = self._row
        if row.sealed_count == 0:
            return _OPEN
        if row.entry_count and order >= decode_entries(row.entry_count, row.entries)[0][0]:
            return _OPEN
        found = self._store.floor(self._prefix, self._prefix + order)
        assert found is not None, "the first chunk lies before everything"
        return found[0]

    def _chunk_at(self, key: bytes) -> ChunkRow:
        row = self._row
        if key == _OPEN:
            return ChunkRow(row.base, row.entry_count, row.entries)
        value = self._store.get([key])[0]
        assert value is not None, "a chunk that was found is there"
        return decode_chunk(value)

    def _chunk_behind(self, key: bytes) -> bytes | None:
        if key == _OPEN:
            return None
        found = self._store.after(self._prefix, key)
        return _OPEN if found is None else found[0]

    def _refold(
        self, key: bytes, change: Change, carried: bytes | None, minus: Sequence[Cells], plus: Sequence[Cells]
    ) -> tuple[bytes, bytes]:
        """Folds a chunk as it was and as it is now; gives the packed states behind it, old and new."""
        chunk = self._chunk_at(key)
        old: list[Entry] = [
            (order, projections) for order, projections in decode_entries(chunk.entry_count, chunk.entries)
        ]
        kept = [entry for entry in old if entry[0] not in change.removed]
        if carried is None and len(kept) == len(old) and not change.added:
            return chunk.base, chunk.base  # what was to leave was never in it
        before = unpack(chunk.base)
        self._fold(before, old, minus)
        new = sorted(kept + change.added, key=key_of_entry)
        pieces, states = self._pieces(chunk.base if carried is None else carried, new, plus)
        self._plan.forget_gaps(before)
        self._plan.forget_gaps(states)
        if key == _OPEN:
            self._reopen(pieces, states)
        else:
            self._replace(key, pieces)
        return pack(before), pack(states)

    def _fold(self, states: list[Any], entries: list[Entry], sinks: Sequence[Cells]) -> None:
        advance = self._plan.advance
        for order, projections in entries:
            advance(states, event_time_of(order), projections, sinks)

    def _pieces(self, base: bytes, entries: list[Entry], sinks: Sequence[Cells]) -> tuple[list[Piece], list[Any]]:
        """Folds entries from `base`; what is too long for one chunk comes back in several."""
        states: list[Any] = unpack(base)
        if len(entries) <= CHUNK_ENTRIES_MAX:
            self._fold(states, entries, sinks)
            return [(base, entries)], states
        pieces = []
        for start in range(0, len(entries), CHUNK_ENTRIES):
            piece = entries[start : start + CHUNK_ENTRIES]
            pieces.append((pack(states), piece))
            self._fold(states, piece, sinks)
        return pieces, states

    def _reopen(self, pieces: list[Piece], states: list[Any]) -> None:
        """Seals all pieces but the last, which is the open chunk now."""
        row = self._row
        for base, entries in pieces[:-1]:
            self._put_chunk(base, len(entries), _packed(entries))
        row.base, entries = pieces[-1]
        row.entry_count, row.entries, row.states = len(entries), _packed(entries), states

    def _replace(self, key: bytes, pieces: list[Piece]) -> None:
        """Writes a sealed chunk anew; what it grew by lies behind it under the order of its first entry."""
        if not pieces[0][1] and key != self._prefix:
            self._put((key, None))
            self._row.sealed_count -= 1
            return
        for number, (base, entries) in enumerate(pieces):
            place = key if number == 0 else self._prefix + entries[0][0]
            self._put((place, encode_row(ChunkRow(base, len(entries), _packed(entries)))))
        self._row.sealed_count += len(pieces) - 1


_OPEN = b"\xff"  # behind every key of a sealed chunk


def _packed(entries: list[Entry]) -> bytes:
    return b"".join(encode_entry(order, projections) for order, projections in entries)


def _settle(sinks: Sequence[Cells], minus: Sequence[Cells], plus: Sequence[Cells]) -> None:
    """Adds the difference; what cancels out is not kept, for most of a long revision does."""
    for cells, lost, gained in zip(sinks, minus, plus, strict=True):
        for cell, count in lost.items():
            gained[cell] = gained.get(cell, 0) - count
        for cell, change in gained.items():
            if change:
                cells[cell] = cells.get(cell, 0) + change
                if not cells[cell]:
                    del cells[cell]
