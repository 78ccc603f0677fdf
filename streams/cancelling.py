"""Ending tasks that may keep a cancellation for themselves."""

import asyncio
from collections.abc import Sequence

CANCEL_AGAIN_S = 1.0


async def cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Until all have ended. A client of aiokafka that is being closed keeps a cancellation for itself, so whoever has
    one may not hear the first."""
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)
