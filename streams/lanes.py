"""An agent's batches, several partitions beside each other.

The law: of one partition, as long as it is held, a batch is processed at a time, in the order in which they came; and
no partition waits for what another one waits for, be that an append or the many commits of one large record. Between
two commits of such a record the others have their turn.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakKeyDictionary

from streams.ownership import Holding

LANES_MAX = 6
"""Batches that are begun, or wait for the one before them, at once: each holds its records in memory. One partition may
have three of them."""


async def process_side_by_side(stream: Any, process: Callable[[Any], Awaitable[None]]) -> None:
    """Calls `process` with each event of a stream that acknowledges nothing by itself, until the stream ends.

    Raises what the first failure raised; the others are cancelled then.
    """
    free = asyncio.Semaphore(LANES_MAX)
    # By what the batch was fetched for: one that never ends keeps no later assignment of its partition waiting.
    turns: WeakKeyDictionary[Holding, asyncio.Lock] = WeakKeyDictionary()

    async def take_turn(event: Any) -> None:
        try:
            # Fair: whoever came first has the first turn.
            async with turns.setdefault(event.message.holding, asyncio.Lock()):
                # The one before it may have ended because the partition is being given up.
                if event.app.consumer.is_current(event.message):
                    await process(event)
                else:
                    event.app.consumer.drop(event.message)
        finally:
            free.release()

    try:
        async with asyncio.TaskGroup() as lanes:
            async for event in stream.noack().events():
                await free.acquire()
                lanes.create_task(take_turn(event))
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
