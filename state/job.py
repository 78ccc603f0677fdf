"""One record that changes more than a commit holds, applied in slices: what a job row keeps between them.

What is large are the chunks of containers whose past the record changes, so a job is their revisions. The law: a slice
changes nothing but chunks and the job's own row, so no cell and no journey moves before the last one; and while there
is a job, no other record is computed, so nobody reads chunks of which some are old and some new.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from state.cell_changes import Sinks
from state.layers import Layers
from state.plan import KindPlan
from state.row_list import RowList
from state.rows import JOB_KEY, frozen, kind_of, layout_of, pack
from state.series import Revision, Series
from streams.store import Row, Rows

SLICE_BYTES = 256 << 10
"""Before compression: less than a commit may have behind it, so that every slice fits one, and little enough that
nobody notices how long other partitions wait for it."""


class Part(msgspec.Struct, array_like=True):
    """One container's share: its revision, and per analysis the (cell, change as decimal text) that it has made."""

    revision: Revision
    cells: list[list[tuple[Any, str]]]

    def add_cells(self, sinks: Sinks) -> None:
        """Adds what changes by this part."""
        for cells, changes in zip(sinks, self.cells, strict=True):
            for packed, change in changes:
                cell = frozen(packed)
                cells[cell] = cells.get(cell, 0) + int(change)

    def go_on(self, series: Series, is_full: Callable[[], bool]) -> None:
        """Revises until it is done or `is_full`."""
        sinks: Sinks = [{} for _ in self.cells]
        self.add_cells(sinks)
        series.revise(self.revision, sinks, is_full)
        # Sums of values may be larger than msgpack's integers.
        self.cells = [[(cell, str(change)) for cell, change in cells.items()] for cells in sinks]


class Job(msgspec.Struct, array_like=True):
    """offset: of the record that is being applied. parts: by the keys of the containers."""

    offset: int
    parts: dict[bytes, Part]

    @property
    def is_done(self) -> bool:
        """Whether all that is left is what an ordinary commit of the record does."""
        return all(part.revision.at is None for part in self.parts.values())

    def slice(self, layers: Layers, store: Rows) -> list[Row]:
        """The rows of the next slice; the job has moved behind it."""
        rows = RowList()
        for key, part in self.parts.items():
            series = Series(_kind_of(layers, key), key, part.revision.row, store, rows.put)
            part.go_on(series, lambda: rows.byte_count() >= SLICE_BYTES)
        rows.put((JOB_KEY, pack(self)))
        return rows.rows


decode_job = msgspec.msgpack.Decoder(Job).decode


def new_job(layers: Layers, offset: int, revisions: dict[bytes, Revision]) -> Job:
    """A job that has not begun."""
    parts = {key: Part(revision, [[] for _ in _kind_of(layers, key).lenses]) for key, revision in revisions.items()}
    return Job(offset, parts)


def _kind_of(layers: Layers, container: bytes) -> KindPlan:
    """What the container with this key is computed with."""
    return layers.plan_with(layout_of(container)).kind(kind_of(container))
