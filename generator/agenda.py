"""What is to happen later, in order of time. A few entries an account at most, however many events there are."""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any


class Agenda:
    """Appointments before `end_ms`; what lies behind it never happens."""

    def __init__(self, end_ms: int) -> None:
        self._end_ms = end_ms
        self._made = 0
        self._heap: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []

    def add(self, when_ms: int, action: Callable[..., None], *arguments: Any) -> None:
        """Calls `action(when_ms, *arguments)` when its time has come."""
        if when_ms < self._end_ms:
            # The number keeps the order of entries of one time, and the heap from comparing actions.
            self._made += 1
            heappush(self._heap, (when_ms, self._made, action, arguments))

    def run(self, until_ms: int) -> None:
        """Does what is due before `until_ms`, including what that adds."""
        while self._heap and self._heap[0][0] < until_ms:
            when_ms, _, action, arguments = heappop(self._heap)
            action(when_ms, *arguments)
