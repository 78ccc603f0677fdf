"""Events that come all the while: a generated company's, at a rate, through outages of the broker.

A piece whose outcome is unknown is sent again, so the sources hold duplicates; what they hold is the truth that all
else is compared with.
"""

import asyncio
import threading
from collections import defaultdict
from contextlib import suppress

from aiokafka.errors import KafkaError

from agents.settings import Settings
from generator.plan import GeneratorPlan, GroundTruth
from generator.stream import generate
from streams.bulk_producer import BulkProducer
from streams.errors import MilepostError
from streams.topics import topic_name

PIECES_PER_S = 5


class Feed:
    """A thread that sends until it is stopped or the plan ends."""

    def __init__(self, plan: GeneratorPlan, bootstrap: str, settings: Settings, rate: float) -> None:
        self._plan = plan
        self._bootstrap = bootstrap
        self._settings = settings
        self._rate = rate
        self._is_over = threading.Event()
        self._goes_on = threading.Event()
        self._goes_on.set()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self.sent_count = 0
        self._producer: BulkProducer | None = None

    def start(self) -> None:
        self._thread.start()

    def pause(self) -> None:
        self._goes_on.clear()

    def resume(self) -> None:
        self._goes_on.set()

    def stop(self) -> None:
        """Sends nothing more, and waits for what is on its way."""
        self._is_over.set()
        self._goes_on.set()
        self._thread.join()

    async def _run(self) -> None:
        try:
            await self._send_all()
        finally:
            await self._close()

    async def _send_all(self) -> None:
        size = max(1, int(self._rate / PIECES_PER_S))
        for batch in generate(self._plan, GroundTruth()):
            for start in range(0, len(batch), size):
                while not self._goes_on.is_set():
                    await asyncio.sleep(0.1)
                if self._is_over.is_set():
                    return
                await self._send(batch[start : start + size])
                await asyncio.sleep(1 / PIECES_PER_S)

    async def _send(self, piece: list[tuple[str, bytes]]) -> None:
        """Until Kafka has acknowledged it."""
        payloads: dict[str, list[tuple[bytes | None, bytes]]] = defaultdict(list)
        for topic, payload in piece:
            payloads[topic].append((str(self.sent_count).encode(), payload))
        while True:
            try:
                if self._producer is None:
                    self._producer = await BulkProducer(self._bootstrap).__aenter__()
                for topic, keyed in payloads.items():
                    await self._producer.send(topic_name(topic, self._settings.prefix, 0), keyed)
                await self._producer.flush()
                self.sent_count += len(piece)
                return
            except (KafkaError, MilepostError, OSError) as error:
                await self._close(error)
                await asyncio.sleep(1.0)

    async def _close(self, error: Exception | None = None) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(KafkaError, MilepostError, OSError):
                await producer.__aexit__(None if error is None else type(error), error, None)
