"""One container's series, kept in chunks, and its states: how it grows in order and how it changes late.

Law: after any sequence of `append`, `revise` and `rebuild`, states and reported cells are those of one fold over the
sorted series from the empty states. Only entries that matter are in the series: those that some analysis reads, and
the container's first where that counts.

A sealed chunk holds the states before it. A late change refolds its chunk, old and new, and stops as soon as the
states behind a chunk are what the next one starts from; what follows can not differ.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

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
from streams.store import Row, Store

CHUNK_ENTRIES = 32
CHUNK_ENTRIES_MAX = 64

Entry = tuple[bytes, list[Projection | None]]
Put = Callable[[Row], None]
Piece = tuple[bytes, list[Entry]]  # packed states before, entries


def new_container(plan: KindPlan) -> ContainerRow:
    """A container before its first touchpoint."""
    packed = plan.empty_packed
    return ContainerRow(b"", b"", 0, unpack(packed), packed, 0, 0, b"")


def note(row: ContainerRow, order: bytes, projections: list[Projection | None]) -> bool:
    """Adds an entry to the open chunk, whose states have moved behind it; says whether the chunk is full now."""
    row.entries += encode_entry(order, projections)
    row.entry_count += 1
    return row.entry_count >= CHUNK_ENTRIES


class Series:
    """The series of one container: its row in memory, its sealed chunks in the store."""

    def __init__(self, plan: KindPlan, key: bytes, row: ContainerRow, store: Store, put: Put) -> None:
        self._plan = plan
        self._row = row
        self._store = store
        self._put = put
        self._prefix = chunks_prefix(key)

    def append(self, entries: Iterable[Entry], sinks: Sequence[Cells]) -> None:
        """Adds entries that lie, in order, behind all others."""
        for order, projections in entries:
            self._plan.advance(self._row.states, event_time_of(order), projections, sinks)
            if note(self._row, order, projections):
                self.seal()

    def seal(self) -> None:
        """Ends the open chunk and begins another."""
        row = self._row
        self._put_chunk(row.base, row.entry_count, row.entries)
        row.base, row.entry_count, row.entries = pack(row.states), 0, b""

    def _put_chunk(self, base: bytes, entry_count: int, entries: bytes) -> None:
        """Writes the open chunk's content as the newest sealed one, under the order of its first entry."""
        first = b"" if self._row.sealed_count == 0 else decode_entries(entry_count, entries)[0][0]
        self._put((self._prefix + first, encode_row(ChunkRow(base, entry_count, entries))))
        self._row.sealed_count += 1

    def revise(self, added: list[Entry], removed: set[bytes], sinks: Sequence[Cells]) -> None:
        """Adds and removes entries anywhere; those removed are in the series, by their order keys."""
        changes = self._by_chunk(added, removed)
        minus: list[dict[Any, int]] = [{} for _ in sinks]
        plus: list[dict[Any, int]] = [{} for _ in sinks]
        carried: bytes | None = None  # the states before the next chunk, where they are not those it was sealed with
        key = self._next_changed(changes)
        while key is not None:
            chunk = self._chunk_at(key)
            ended, carried = self._refold(key, chunk, changes.pop(key, ([], set())), carried, minus, plus)
            if ended == carried:
                carried, key = None, self._next_changed(changes)
            else:
                key = self._chunk_behind(key)
        _settle(sinks, minus, plus)

    def _by_chunk(self, added: list[Entry], removed: set[bytes]) -> dict[bytes, tuple[list[Entry], set[bytes]]]:
        """The changes by the key of their chunk; the open one's is `_OPEN`."""
        changes: dict[bytes, tuple[list[Entry], set[bytes]]] = {}
        for entry in added:
            changes.setdefault(self._home_of(entry[0]), ([], set()))[0].append(entry)
        for order in removed:
            changes.setdefault(self._home_of(order), ([], set()))[1].add(order)
        return changes

    def _home_of(self, order: bytes) -> bytes:
        row = self._row
        if row.sealed_count == 0:
            return _OPEN
        if row.entry_count and order >= decode_entries(row.entry_count, row.entries)[0][0]:
            return _OPEN
        found = self._store.floor(self._prefix, self._prefix + order)
        assert found is not None, "the first chunk lies before everything"
        return found[0]

    def _next_changed(self, changes: dict[bytes, Any]) -> bytes | None:
        return min(changes, default=None)

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
        self,
        key: bytes,
        chunk: ChunkRow,
        change: tuple[list[Entry], set[bytes]],
        carried: bytes | None,
        minus: Sequence[Cells],
        plus: Sequence[Cells],
    ) -> tuple[bytes, bytes]:
        """Folds a chunk as it was and as it is now; gives the packed states behind it, old and new."""
        old = [(order, projections) for order, projections in decode_entries(chunk.entry_count, chunk.entries)]
        added, removed = change
        new = sorted([entry for entry in old if entry[0] not in removed] + added, key=_order_of)
        before = unpack(chunk.base)
        self._fold(before, old, minus)
        pieces, states = self._pieces(chunk.base if carried is None else carried, new, plus)
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
        for number, (base, entries) in enumerate(pieces):
            place = key if number == 0 else self._prefix + entries[0][0]
            self._put((place, encode_row(ChunkRow(base, len(entries), _packed(entries)))))
        self._row.sealed_count += len(pieces) - 1

    def rebuild(self, entries: list[Entry], sinks: Sequence[Cells]) -> None:
        """Takes `entries`, sorted, as the whole series in place of what there was."""
        minus: list[dict[Any, int]] = [{} for _ in sinks]
        plus: list[dict[Any, int]] = [{} for _ in sinks]
        row, states = self._row, self._plan.empty()
        chunks = [(key, decode_chunk(value)) for key, value in self._store.scan(self._prefix)]
        for chunk in [chunk for _, chunk in chunks] + [self._chunk_at(_OPEN)]:
            self._fold(states, [(o, p) for o, p in decode_entries(chunk.entry_count, chunk.entries)], minus)
        for key, _ in chunks:
            self._put((key, None))
        row.states = self._plan.empty()
        row.base, row.sealed_count, row.entry_count, row.entries = pack(row.states), 0, 0, b""
        self.append(entries, plus)
        _settle(sinks, minus, plus)


_OPEN = b"\xff"  # behind every key of a sealed chunk


def _order_of(entry: Entry) -> bytes:
    return entry[0]


def _packed(entries: list[Entry]) -> bytes:
    return b"".join(encode_entry(order, projections) for order, projections in entries)


def _settle(sinks: Sequence[Cells], minus: Sequence[Cells], plus: Sequence[Cells]) -> None:
    for cells, lost, gained in zip(sinks, minus, plus, strict=True):
        for cell, count in gained.items():
            cells[cell] = cells.get(cell, 0) + count
        for cell, count in lost.items():
            cells[cell] = cells.get(cell, 0) - count
