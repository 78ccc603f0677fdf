"""What a container does right before and right behind reaching a node, and between the ends of an arrow.

State: [[item of the last touchpoint] or nothing, mask of the nodes reached at it, per node the different items since
it was reached]. The items of a node are kept until all of its arrows are followed, in the order in which they first
come, and no more than `BETWEEN_COUNT_MAX`: that bounds the state.
"""

from collections.abc import Iterator
from typing import Any

from state.definitions.canvas_options import BETWEEN_COUNT_MAX

Item = str | None
_LAST, _JUST_REACHED, _SINCE = range(3)


class Steps:
    """The steps around the nodes of a canvas; `arrows_out` is the mask of each node's arrows."""

    def __init__(self, arrows_out: list[int]) -> None:
        self._arrows_out = arrows_out

    def empty(self) -> list[Any]:
        """Before the first touchpoint."""
        return [[], 0, [[] for _ in self._arrows_out]]

    def just_reached(self, steps: list[Any]) -> Iterator[int]:
        """The nodes that were reached at the last touchpoint: the present one is the next of each."""
        mask: int = steps[_JUST_REACHED]
        return (node for node in range(mask.bit_length()) if mask >> node & 1)

    def previous(self, steps: list[Any]) -> list[Item]:
        """The item of the last touchpoint, if there was one."""
        last: list[Item] = steps[_LAST]
        return last

    def since(self, steps: list[Any], node: int) -> list[Item]:
        """The different items behind the reach of a node, up to the last touchpoint."""
        items: list[Item] = steps[_SINCE][node]
        return items

    def move(self, steps: list[Any], item: Item, before: int, reach: int, followed: int) -> None:
        """Moves behind a touchpoint. before, reach: the nodes reached before it and with it. followed: the arrows."""
        for node, items in enumerate(steps[_SINCE]):
            if before >> node & 1:
                if not self._arrows_out[node] & ~followed:
                    items.clear()
                elif item not in items and len(items) < BETWEEN_COUNT_MAX:
                    items.append(item)
        steps[_LAST], steps[_JUST_REACHED] = [item], reach & ~before
