"""Work that is mostly C, done beside the event loop where it is worth the way to a thread."""

import asyncio
from collections.abc import Callable

ROWS_MIN = 1_000
"""Fewer take less than 1 ms, and a thread 0.1."""


async def beside(work: Callable[[], None], row_count: int) -> None:
    """Does `work`, which is about so many rows; meanwhile the loop goes on with other partitions.

    Where it is cancelled the work goes on to its end in its thread: whoever closes what it works on has to wait.
    """
    if row_count < ROWS_MIN:
        work()
    else:
        await asyncio.to_thread(work)
