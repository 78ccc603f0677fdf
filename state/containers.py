"""Containers as they stand in the rows, for reading: which there are, and the series of each.

The law: what this gives is the past that the published cells are of. A container of which a record is half applied
(`state.job`) has chunks of which some are old and some new, so its series is read from the touchpoints, which are old
until the last slice.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec

from state.job import Part, decode_job
from state.layers import Layers
from state.plan import KindPlan
from state.rows import (
    JOB_KEY,
    ContainerRow,
    behind_places,
    chunks_prefix,
    container_key,
    containers_prefix,
    counting_touchpoints,
    decode_chunk,
    decode_container,
    decode_entries,
    kind_of,
    layout_of,
    pack,
    parts_of,
    place_of,
    tally_key_at,
    unpack,
)
from streams.partials import Cell
from streams.store import Rows

Entries = Iterable[list[Any]]  # [order key, projections]
_NOBODY = b""


class Container(msgspec.Struct, frozen=True):
    """One container and its row. place: `account 0 kind id`, by which all containers are in order."""

    plan: KindPlan
    key: bytes
    row: ContainerRow

    @property
    def place(self) -> bytes:
        return place_of(self.key)


class Containers:
    """The containers of one partition, each in the layer that its account is in."""

    def __init__(self, layers: Layers, rows: Rows) -> None:
        self._layers = layers
        self._rows = rows

    def one(self, account: bytes, kind: bytes, id_: bytes) -> Container | None:
        """The container of the kind with this code; None where there is none that an analysis looks at."""
        plan = self._layers.plan_of(account)
        key = container_key(plan.code, account, kind, id_)
        (value,) = self._rows.get([key])
        return None if value is None else Container(plan.kind(kind), key, decode_container(value))

    def behind(self, place: bytes, kinds: Collection[bytes]) -> Iterator[tuple[bytes, Container | None]]:
        """The places behind `place` in their order, each with its container where its kind's code is one of these."""
        for plan, last in self._layers.reaches():
            prefix = containers_prefix(plan.code)
            for key, value in self._rows.scan(prefix, prefix + place):
                here = place_of(key)
                if last is not None and here > last:
                    break
                kind = kind_of(key)
                yield here, Container(plan.kind(kind), key, decode_container(value)) if kind in kinds else None
            place = max(place, last or place)

    def accounts(self, beginning: bytes) -> Iterator[bytes]:
        """The accounts whose id begins so, in their order."""
        place = beginning
        for plan, last in self._layers.reaches():
            prefix = containers_prefix(plan.code)
            row = self._rows.after(prefix + beginning, prefix + place)
            while row is not None and (last is None or place_of(row[0]) <= last):
                account, _, _ = parts_of(place_of(row[0]))
                yield account
                place = behind_places(account)
                row = self._rows.after(prefix + beginning, prefix + place)
            place = max(place, last or place)

    def tally(self, version: str, place: bytes, cells: Sequence[Cell]) -> dict[Cell, int]:
        """What the tally of the container at a place, of an analysis, has of these cells."""
        found = self._rows.get([tally_key_at(version, place, pack(cell)) for cell in cells])
        return {cell: int(value) for cell, value in zip(cells, found, strict=True) if value is not None}

    def series(self, container: Container) -> Entries:
        """All entries of a container, in their order."""
        return self.stretch(container, _NOBODY)[1]

    def stretch(self, container: Container, start: bytes) -> tuple[list[Any], Entries]:
        """The states before an entry at or before the order key `start`, and the entries from it on."""
        row, plan = container.row, container.plan
        if self.is_half_applied(container):
            return plan.empty(), self._from_touchpoints(container)
        opened = decode_entries(row.entry_count, row.entries)
        if not row.sealed_count or (opened and start >= opened[0][0]):
            return unpack(row.base), opened
        prefix = chunks_prefix(container.key)
        found = self._rows.floor(prefix, prefix + start)
        assert found is not None, "the first chunk lies before everything"
        key, value = found
        chunk = decode_chunk(value)
        return unpack(chunk.base), self._from_chunks(
            prefix, key, decode_entries(chunk.entry_count, chunk.entries), opened
        )

    def _from_chunks(self, prefix: bytes, key: bytes, first: Entries, opened: Entries) -> Iterator[list[Any]]:
        yield from first
        for _, value in self._rows.scan(prefix, key):
            chunk = decode_chunk(value)
            yield from decode_entries(chunk.entry_count, chunk.entries)
        yield from opened

    def is_half_applied(self, container: Container) -> bool:
        """Whether its chunks are being changed; then a stretch always begins with the series."""
        return container.key in self._revised

    @cached_property
    def _revised(self) -> Mapping[bytes, Part]:
        """The containers of which a record is half applied."""
        (job,) = self._rows.get([JOB_KEY])
        return {} if job is None else decode_job(job).parts

    def _from_touchpoints(self, container: Container) -> list[list[Any]]:
        plan = container.plan
        account, _, id_ = parts_of(container.place)
        decode = self._layers.plan_with(layout_of(container.key)).decode
        found = counting_touchpoints(self._rows, account, decode)
        placed = [(order, touchpoint) for order, touchpoint in found if plan.id_of(touchpoint) == id_.decode()]
        placed.sort(key=lambda each: each[0])
        entries = [[order, plan.project(touchpoint)] for order, touchpoint in placed]
        if entries and plan.needs_first and entries[0][1] is None:
            entries[0][1] = plan.nothing
        return [entry for entry in entries if entry[1] is not None]
