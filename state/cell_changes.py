"""What a batch changes in cells: collected while containers are stepped, then added to the rows of the store.

An analysis that counts distinct containers reports how often a container contributes; a tally row per container and
cell keeps that, and the cell changes when it leaves or comes to zero. So it is with one that has a gate, whose tallies
are also what a container brings along, or takes away, when the gate turns (`state.gated_changes`).
"""

from collections.abc import Callable, Container, Iterable
from typing import Any

from state.analyses.together import TogetherLens
from state.gated_changes import GatedChanges
from state.plan import KindPlan, needs_place
from state.rows import ASIDE_PREFIX, cell_row_key, tally_key
from streams.partials import encode_cell
from streams.store import Row, Rows

Sinks = list[dict[Any, int]]  # per analysis of a kind: cell → change


class CellChanges:
    """The changes of one batch, by version of an analysis. Only versions in force are counted."""

    def __init__(self, in_force: Container[str]) -> None:
        self._in_force = in_force
        self._taken: dict[bytes, int] = {}
        self._by_version: dict[str, dict[Any, int]] = {}
        self._own: list[tuple[KindPlan, bytes, Container[str], Sinks]] = []

    def sinks_of(self, plan: KindPlan, silent: Container[str]) -> Sinks:
        """Where the changes of all containers of a kind go, unless an analysis of it keeps tallies of each. Those
        of `silent` versions go nowhere: what they would say was said before. Nor do those of milestones
        and audiences, which no cell counts."""
        return [
            self._by_version.setdefault(lens.version, {})
            if self._counts(lens.version, silent) and not isinstance(lens, TogetherLens)
            else {}
            for lens in plan.lenses
        ]

    def own_sinks_of(self, plan: KindPlan, container: bytes, silent: Container[str]) -> Sinks:
        """Where a container's changes go when an analysis of its kind keeps tallies of it."""
        sinks: Sinks = [{} for _ in plan.lenses]
        self._own.append((plan, container, silent, sinks))
        return sinks

    def _counts(self, version: str, silent: Container[str]) -> bool:
        return version in self._in_force and version not in silent

    def take(self, changes: Iterable[tuple[bytes, int]]) -> None:
        """Takes what was put aside, by the keys of the cells."""
        self._taken.update(changes)

    def settle(self, store: Rows) -> tuple[list[Row], list[tuple[bytes, int]]]:
        """The rows to write, and (cell key, new absolute contribution) of each cell that changes, sorted."""
        rows, changes = self._changes(store)
        changed = _added(changes, store, cell_row_key)
        # A cell that comes to zero keeps its row, which says what there is of a version on the topic: to be deleted
        # with it.
        rows += ((cell_row_key(key), b"%d" % value) for key, value in changed)
        return rows, changed

    def put_aside(self, store: Rows) -> list[Row]:
        """The rows to write where no cell is to change yet: the changes are added to what was put aside before."""
        if not (self._taken or self._by_version or self._own):
            return []  # as for every batch but those of an account that moves in pieces
        rows, changes = self._changes(store)
        changed = _added(changes, store, ASIDE_PREFIX.__add__)
        rows += ((ASIDE_PREFIX + key, b"%d" % value if value else None) for key, value in changed)
        return rows

    def _changes(self, store: Rows) -> tuple[list[Row], dict[bytes, int]]:
        """The rows of tallies, and by the keys of cells what changes."""
        rows: list[Row] = []
        changes = self._taken
        for version, cells in self._by_version.items():
            _count(changes, version, cells)
        self._count_by_container(changes, store, rows)
        return rows, changes

    def _count_by_container(self, changes: dict[bytes, int], store: Rows, rows: list[Row]) -> None:
        """Adds what single containers change: of the number of containers that contribute, or behind a gate."""
        tallies: list[tuple[bytes, bytes, int]] = []
        gated = GatedChanges(store)
        for plan, container, silent, sinks in self._own:
            for lens, cells in zip(plan.lenses, sinks, strict=True):
                if not self._counts(lens.version, silent):
                    continue
                if not plan.is_tallied(lens):
                    _count(changes, lens.version, cells)
                    continue
                if needs_place(lens) or lens.gate is not None:
                    gated.add(lens, container, cells)
                    continue
                keys = [(encode_cell(lens.version, cell), change) for cell, change in cells.items() if change]
                tallies.extend((tally_key(container, key), key, change) for key, change in keys)
        found = store.get([row_key for row_key, _, _ in tallies])
        for (row_key, key, change), old in zip(tallies, found, strict=True):
            before = int(old or 0)
            after = before + change
            rows.append((row_key, b"%d" % after if after else None))
            changes[key] = changes.get(key, 0) + (after > 0) - (before > 0)
        gated.settle(changes, rows)


def _added(changes: dict[bytes, int], store: Rows, row_key_of: Callable[[bytes], bytes]) -> list[tuple[bytes, int]]:
    """(key, new amount) of each amount of the store that changes, sorted."""
    keys = sorted(key for key, change in changes.items() if change)
    known = store.get([row_key_of(key) for key in keys])
    return [(key, int(old or 0) + changes[key]) for key, old in zip(keys, known, strict=True)]


def _count(changes: dict[bytes, int], version: str, cells: dict[Any, int]) -> None:
    """Adds the changes of an analysis' cells. Sessions and visits are two plans of one analysis, so they may meet."""
    for cell, change in cells.items():
        if change:
            key = encode_cell(version, cell)
            changes[key] = changes.get(key, 0) + change
