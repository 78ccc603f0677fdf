"""What waits for one destination, as far as it is in memory: lanes side by side, in each one delivery after the other.

The law: of a lane nothing is taken while something of it is under way, and nothing before what came earlier; so an exit
never overtakes its entry, whatever the answers do. Pure: it knows keys and times, and sends nothing.
"""

from collections import deque
from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import islice
from typing import NamedTuple


class Waiting(NamedTuple):
    """key: of the row. due_ms: not before. is_tried: and did not arrive."""

    key: bytes
    due_ms: int
    is_tried: bool = False


class Queue:
    """Added in the order of their numbers; taken as their times come."""

    def __init__(self) -> None:
        self._lanes: dict[str, deque[Waiting]] = {}
        self._heads: list[tuple[int, bytes, str]] = []
        self._under_way: dict[str, int] = {}
        self._tried: set[str] = set()
        self._count = 0
        self.loaded_behind = b""
        """The key of the last one that was added, behind which others are to be looked for."""

    @property
    def count(self) -> int:
        """How many are in memory, those under way included."""
        return self._count

    @property
    def fresh_count(self) -> int:
        """How many lanes do not wait for another try of their first."""
        return len(self._lanes) - len(self._tried)

    @property
    def under_way_count(self) -> int:
        """How many lanes have something under way."""
        return len(self._under_way)

    def add(self, lane: str, waiting: Waiting) -> None:
        """The next one of a lane."""
        self.loaded_behind = waiting.key
        others = self._lanes.setdefault(lane, deque())
        others.append(waiting)
        self._count += 1
        if len(others) == 1:
            self._announce(lane)

    def next_due_ms(self) -> int | None:
        """When something may be taken; None while nothing can become due."""
        return self._heads[0][0] if self._heads else None

    def take(self, now_ms: int, count_max: int = 1) -> tuple[str, Sequence[bytes]] | None:
        """A lane whose first is due, and the keys of its first ones, in their order; None when there is none."""
        if not self._heads or self._heads[0][0] > now_ms:
            return None
        _, _, lane = heappop(self._heads)
        keys = [each.key for each in islice(self._lanes[lane], count_max)]
        self._under_way[lane] = len(keys)
        return lane, keys

    def finish(self, lane: str, again_ms: Sequence[int | None]) -> None:
        """What became of those that were taken of a lane: None for done with, or when the next try
        is."""
        others = self._lanes[lane]
        assert len(again_ms) == self._under_way.pop(lane), "each that was taken is finished"
        taken = [others.popleft() for _ in again_ms]
        left = [
            Waiting(each.key, due, is_tried=True) for each, due in zip(taken, again_ms, strict=True) if due is not None
        ]
        others.extendleft(reversed(left))
        self._count += len(left) - len(taken)
        self._tried.discard(lane)
        if others:
            self._announce(lane)
        else:
            del self._lanes[lane]

    def _announce(self, lane: str) -> None:
        first = self._lanes[lane][0]
        if first.is_tried:
            self._tried.add(lane)
        heappush(self._heads, (first.due_ms, first.key, lane))
