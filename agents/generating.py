"""Generated events brought to their topics, as fast as they come or at a rate."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from agents.settings import Settings
from generator.faults import Record
from generator.plan import GeneratorPlan, GroundTruth
from generator.stream import generate
from streams.bulk_producer import BulkProducer
from streams.topics import topic_name

_PIECES_PER_S = 10


@dataclass(frozen=True)
class GenerationReport:
    """What was generated, where the topics end behind it by (topic, partition), and how long it took."""

    truth: GroundTruth
    end_offsets: dict[tuple[str, int], int]
    elapsed_s: float


async def generate_to_kafka(
    plan: GeneratorPlan,
    bootstrap: str,
    settings: Settings,
    *,
    rate: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> GenerationReport:
    """Sends the plan's records to `crm-events` and `web-events`, which must exist, spread over their partitions.

    rate: records per second, None for no limit. progress: called with the number of events generated so far.
    """
    truth, began = GroundTruth(), time.monotonic()
    end_offsets: dict[tuple[str, int], int] = {}
    async with BulkProducer(bootstrap) as producer:
        sent = 0
        for piece in _pieces(generate(plan, truth), rate):
            # Without keys a partition is filled batch by batch; paced pieces fill no batch and would all go to one.
            await _send(producer, piece, settings, None if rate is None else str(sent).encode())
            sent += len(piece)
            if progress is not None:
                progress(truth.events)
            if rate is not None:
                # A paced piece must not wait in the producer for the next one.
                end_offsets |= await producer.flush()
                await asyncio.sleep(began + sent / rate - time.monotonic())
        end_offsets |= await producer.flush()
    return GenerationReport(truth, end_offsets, time.monotonic() - began)


def _pieces(batches: Iterator[list[Record]], rate: float | None) -> Iterator[list[Record]]:
    """The batches, cut so small that ten of them make a second."""
    for batch in batches:
        size = len(batch) if rate is None else max(1, int(rate / _PIECES_PER_S))
        yield from (batch[place : place + size] for place in range(0, len(batch), size))


async def _send(producer: BulkProducer, records: list[Record], settings: Settings, key: bytes | None) -> None:
    payloads: dict[str, list[tuple[bytes | None, bytes]]] = defaultdict(list)
    for topic, payload in records:
        payloads[topic].append((key, payload))
    for topic, keyed in payloads.items():
        await producer.send(topic_name(topic, settings.prefix, settings.generation), keyed)
