"""The computations of one stage's owners in this process: one at a time, in a thread of their own.

The law: whoever computes has the turn, and takes what it computes when it gets it, for more comes while it waits. The
event loop stays free for what waits for the broker: a commit on its way does not wait for the next computation to end.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from weakref import WeakSet

_T = TypeVar("_T")


class Arrivals(list[Any]):
    """Records of one partition in their order, to which those that follow are added until they are taken."""

    is_taken = False


class Computing:
    """Safe to call from several tasks of one event loop; who comes first has the first turn."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "computing")
        self._begun_at: float | None = None
        _all.add(self)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Until it ends nobody else computes but who was cancelled, whose computation goes on to its end."""
        async with self._turn:
            yield

    async def run(self, work: Callable[[], _T]) -> _T:
        """Does the work in the thread; to be called in a turn."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._timed, work)

    async def settled(self) -> None:
        """When it returns, nothing runs any more that was begun before."""
        await self.run(_nothing)

    def _timed(self, work: Callable[[], _T]) -> _T:
        self._begun_at = time.monotonic()
        try:
            return work()
        except StopIteration as error:
            # As an end of what waits for it asyncio can not tell it, and nobody had a turn any more.
            raise RuntimeError("a computation asked for more than there is") from error
        finally:
            self._begun_at = None

    def age_s(self) -> float:
        """For how long the present computation has run; 0 when there is none."""
        begun_at = self._begun_at
        return 0.0 if begun_at is None else time.monotonic() - begun_at


_all: WeakSet[Computing] = WeakSet()


def longest_s() -> float:
    """For how long the longest computation of this process has run; 0 when there is none."""
    return max((each.age_s() for each in list(_all)), default=0.0)


def _nothing() -> None:
    pass
