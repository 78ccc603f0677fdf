"""A topic of milepost's own Kafka, with an idempotent producer: in order, and each acknowledged by all replicas."""

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from aiokafka.structs import RecordMetadata

from state.delivery.configuration import KafkaTopic
from state.delivery.formats.cloudevents import event_of
from state.delivery.retries import Answer
from state.delivery.rows import Delivery
from streams.bootstrap import client_options
from streams.ending import abandon
from streams.topics import MESSAGE_BYTES_MAX


class KafkaSender:
    """Many records at once; a failure sends all of them again."""

    takes_many = True

    def __init__(self, destination: KafkaTopic, bootstrap: str, prefix: str) -> None:
        self._destination = destination
        self._bootstrap = bootstrap
        self._prefix = prefix
        self._producer: AIOKafkaProducer | None = None

    async def send(self, deliveries: Sequence[Delivery]) -> Answer:
        topic = self._destination.topic
        if topic.startswith(f"{self._prefix}."):
            return Answer("refused", f"{topic} is one of milepost's own topics")
        sent: list[asyncio.Future[RecordMetadata]] = []
        try:
            async with asyncio.timeout(self._destination.timeout_s):
                producer = await self._started()
                if topic not in await _topics(producer):
                    return Answer("later", f"there is no topic {topic}")
                for delivery in deliveries:
                    event = event_of(delivery, f"/milepost/{self._prefix}")
                    sent.append(await producer.send(topic, event.value, event.key, headers=event.headers))
                await asyncio.gather(*sent)
        except (KafkaError, TimeoutError) as error:
            for each in sent:
                each.cancel()
            await self.close()  # what it still holds must not come behind what is sent again
            return Answer("refused" if isinstance(error, MessageSizeTooLargeError) else "later", repr(error))
        return Answer("done")

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            self._producer = AIOKafkaProducer(
                **client_options(self._bootstrap),
                enable_idempotence=True,
                acks="all",
                max_request_size=MESSAGE_BYTES_MAX,  # what the topic takes is its own affair
            )
            await self._producer.start()
        return self._producer

    async def close(self) -> None:
        if self._producer is None:
            return
        producer, self._producer = self._producer, None
        await abandon(producer)


async def _topics(producer: AIOKafkaProducer) -> set[str]:
    """Those of the cluster; asking for one that is not there would have a broker make it."""
    metadata = await producer.client.fetch_all_metadata()
    found: set[str] = metadata.topics()
    return found
