"""Gates: whether a container counts, or lets those under it count, by amounts that lie in tally rows.

What a filter asks of one container is taken apart into answers: what its own series has is one that the container
reports itself, 1 or 0; how many containers under it have something is one that these report. So a gate is a function
of amounts, wherever they come from, and whoever knows their changes knows whether it turns.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Generic, NamedTuple, TypeVar

from state.definitions import ContainerKind
from state.rows import pack
from streams.partials import Cell

GATE: Cell = ("gate",)
PERSON = "person"
"""A named session reports `(PERSON, id)`: the person whom it lies under."""

Key = TypeVar("Key")
Other = TypeVar("Other")


def gate_cell(number: int) -> Cell:
    """The cell of an answer. The first one has no number, for most gates have no other."""
    return (*GATE, number) if number else GATE


class Gate(Generic[Key]):
    """A function of the amounts of some cells. counts: those of them that containers under this one report."""

    def __init__(self, cells: Sequence[Key], counts: Sequence[Key], holds: Callable[[Sequence[int]], bool]) -> None:
        """holds: of the amounts, in the order of the cells."""
        self.cells = tuple(cells)
        self.counts = tuple(counts)
        self._holds = holds

    def is_open(self, amounts: Mapping[Key, int]) -> bool:
        """Whether it is open where the cells have these amounts; 0 where one has none."""
        return self._holds([amounts.get(cell, 0) for cell in self.cells])

    def keyed(self, key_of: Callable[[Key], Other]) -> "Gate[Other]":
        """The same, of amounts under other keys."""
        return Gate([key_of(cell) for cell in self.cells], [key_of(cell) for cell in self.counts], self._holds)

    @cached_property
    def packed(self) -> "Gate[bytes]":
        """The same, of amounts by packed cells."""
        return self.keyed(pack)


class Level(NamedTuple):
    """What a filter asks of an outer container: of which kind, and whether it lets those under it count."""

    kind: ContainerKind
    gate: Gate[Cell]
