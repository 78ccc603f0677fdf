"""Ending producers and connections of aiokafka within seconds, whatever no broker takes or answers."""

import asyncio
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaError

CLOSE_S_MAX = 2.0

_closed_by_stock = AIOKafkaConnection.close


def cut_connections() -> None:
    """Has aiokafka cut what it closes where it is encrypted, in the whole process; doing it again changes nothing. The
    stream would wait up to 30 s for the broker's farewell, which does not come while a fetch waits there."""
    AIOKafkaConnection.close = _cut


def _cut(connection: AIOKafkaConnection, reason: Any = None, exc: Any = None) -> Any:
    """In place of `AIOKafkaConnection.close`."""
    writer = connection._writer
    closed = _closed_by_stock(connection, reason, exc)
    if writer is not None and connection._ssl_context is not None:
        writer.transport.abort()
    return closed


async def end(producer: AIOKafkaProducer) -> None:
    """Stock `stop` waits for its last batch for ever, and leaves the sender running where it is cancelled; here the
    connections are cut then. What is on its way may still arrive."""
    try:
        async with asyncio.timeout(CLOSE_S_MAX):
            await producer.stop()
    except TimeoutError:
        await producer.client.close()
        try:
            async with asyncio.timeout(CLOSE_S_MAX):
                await producer._sender.close()
        except TimeoutError:
            producer._sender.sender_task.cancel()


async def abandon(producer: AIOKafkaProducer) -> None:
    """As `end`, and nothing that is not on its way yet is sent any more; an idempotent producer would try it for
    ever."""
    accumulator = producer._message_accumulator
    batches = [*accumulator._pending_batches, *(batch for some in accumulator._batches.values() for batch in some)]
    accumulator.fail_all(KafkaError("given up"))
    for batch in batches:  # else asyncio says that nobody asked for what failed
        for each in (batch.future, batch._drain_waiter):
            if each.done() and not each.cancelled():
                each.exception()
    await end(producer)
