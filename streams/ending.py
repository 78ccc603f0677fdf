"""Ending a producer of aiokafka within seconds, whatever no broker takes."""

import asyncio

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

CLOSE_S_MAX = 2.0


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
