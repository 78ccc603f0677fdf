"""The computations of one stage's owners in this process: one at a time, in a thread of their own.

The law: a computation begins only when none of the stage's others runs, and what it is to compute is taken no sooner,
for more comes while it waits. The event loop stays free for what waits for the broker: a commit on its way does not
wait for the next computation to end.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

_T = TypeVar("_T")


class Arrivals(list[Any]):
    """Records of one partition in their order, to which those that follow are added until they are taken."""

    is_taken = False


class Computing:
    """Safe to call from several tasks of one event loop; who comes first has the first turn."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "computing")

    async def run(self, take: Callable[[], Callable[[], _T]]) -> _T:
        """take: called in the event loop when the turn has come; gives what is then done in the thread. Who is
        cancelled does not stop that."""
        async with self._turn:
            return await asyncio.get_running_loop().run_in_executor(self._thread, take())

    async def settled(self) -> None:
        """When it returns, nothing runs any more that was begun before."""
        await asyncio.get_running_loop().run_in_executor(self._thread, _nothing)


def _nothing() -> None:
    pass
