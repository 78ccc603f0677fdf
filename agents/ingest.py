"""The ingest agent: source events in; touchpoints, keyed by account, and dead letters out.

It keeps no state: a batch that is read again is written again, and whoever reads the outputs drops repeats. The law:
what comes while something is written is written next, all of it at once; so few record batches are made, and no source
partition waits for the others one by one.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from agents.app import make_app
from agents.metrics import INGESTED, REJECTED
from agents.settings import Settings
from streams.admin import topic_ids
from streams.batch import some_batches
from streams.batch_event import batch_topic, handed
from streams.bootstrap import client_options
from streams.crash import crash_point
from streams.errors import UnavailableError
from streams.ingest import LETTER_BYTES_MAX, DeadLetter, Ingestion, RejectLimits, Routed
from streams.lanes import process_side_by_side
from streams.poison import PoisonError, blamed
from streams.store import Row
from streams.topics import MIB, topic_name

WRITE_S_MAX = 60.0
"""Below the deadline of a batch (MILEPOST_BATCH_DEADLINE_S), so that it ends by saying what is wrong."""
REQUEST_BYTES_MAX = LETTER_BYTES_MAX + MIB
STREAM_BY_TOPIC = {"crm-events": "crm", "web-events": "web"}


class _Gathered:
    """What batches of several source partitions become, to be written at once."""

    def __init__(self) -> None:
        self.touchpoints: dict[int, list[Row]] = {}
        self.dead_letters: list[tuple[int, DeadLetter]] = []
        self.is_written = False

    def add(self, partition: int, routed: Routed) -> None:
        """What one batch becomes."""
        for place, rows in routed.touchpoints.items():
            self.touchpoints.setdefault(place, []).extend(rows)
        self.dead_letters += ((partition, letter) for letter in routed.dead_letters)


class Ingest:
    """Routes batches of the source topics and writes what they become.

    Its producer ends with the process: nothing is acknowledged that Kafka has not confirmed.
    """

    def __init__(self, settings: Settings, bootstrap: str) -> None:
        self._settings = settings
        self._bootstrap = bootstrap
        self._touchpoints = self._name("touchpoints")
        self._dead_letters = self._name("dead-letters")
        self.topics = [self._name(topic) for topic in STREAM_BY_TOPIC]
        self.id_by_topic = ids = topic_ids(bootstrap, self.topics)
        self._ingestion_by_topic = {
            name: Ingestion(name, ids[name], stream, settings.partitions, settings.future_tolerance_s * 1000)
            for name, stream in zip(self.topics, STREAM_BY_TOPIC.values(), strict=True)
        }
        self._limits_by_source: dict[tuple[str, int], RejectLimits] = {}
        self._producer: Any = None
        self._gathered = _Gathered()
        self._turn = asyncio.Lock()

    def _name(self, topic: str) -> str:
        return topic_name(topic, self._settings.prefix, self._settings.generation)

    async def process(self, topic: str, partition: int, records: Sequence[Any]) -> None:
        """Writes what the records become; when it returns, Kafka has it. Raises RejectLimitError before it writes. Of
        several partitions at once."""
        routed = self._route(topic, partition, records)
        self._limits_of(topic, partition).judge(len(records), routed.rejects, routed.example)
        await self._write(partition, routed)
        crash_point("routed")
        INGESTED.labels(topic).inc(len(records))
        for _, reason in routed.rejects:
            REJECTED.labels(topic, reason.value).inc()

    def _route(self, topic: str, partition: int, records: Sequence[Any]) -> Routed:
        """What the records become. What is wrong with a record is a value; if ours is, the error names the record."""
        ingestion = self._ingestion_by_topic[topic]
        try:
            return ingestion.route(partition, records)
        except Exception as error:
            record = blamed(records, error, partial(ingestion.route, partition))
            raise PoisonError(
                f"ingest fails on the record at {topic}/{partition} offset {record.offset} ({error!r}), which is a"
                " defect of milepost: whatever a record holds, it should have become a dead letter"
            ) from error

    def _limits_of(self, topic: str, partition: int) -> RejectLimits:
        limits = self._limits_by_source.get((topic, partition))
        if limits is None:
            settings = self._settings
            limits = self._limits_by_source[topic, partition] = RejectLimits(
                settings.reject_ratio_max,
                settings.reject_run_max,
                settings.reject_window,
                counts_no_account=settings.reject_counts_no_account,
            )
        return limits

    async def _write(self, partition: int, routed: Routed) -> None:
        gathered = self._gathered
        gathered.add(partition, routed)
        async with self._turn:
            # Not written: nobody whose it is had the turn yet, or who had was cancelled in it.
            if not gathered.is_written:
                await self._write_gathered(partition, gathered)

    async def _write_gathered(self, partition: int, gathered: _Gathered) -> None:
        if gathered is self._gathered:
            self._gathered = _Gathered()
        try:
            # aiokafka sends what is refused for a time again for ever, and only logs why.
            async with asyncio.timeout(WRITE_S_MAX):
                await self._send_all(gathered)
        except (KafkaError, TimeoutError) as error:
            raise UnavailableError(
                f"Kafka did not take what ingest made of partition {partition} ({error!r}); nothing of it is"
                f" acknowledged. Look whether the brokers are up, whether the replicas of {self._touchpoints} and"
                f" {self._dead_letters} are in sync, and at `milepost topics check`"
            ) from error
        gathered.is_written = True

    async def _send_all(self, gathered: _Gathered) -> None:
        producer = await self._started_producer()
        sent = [
            await producer.send_batch(batch, self._touchpoints, partition=place)
            for place, rows in gathered.touchpoints.items()
            for batch in some_batches(rows)
        ]
        sent += [await self._send(producer, partition, letter) for partition, letter in gathered.dead_letters]
        await asyncio.gather(*sent)

    async def _send(self, producer: Any, partition: int, letter: DeadLetter) -> Any:
        return await producer.send(
            self._dead_letters, letter.value, letter.key, partition=partition, headers=letter.headers
        )

    async def _started_producer(self) -> Any:
        if self._producer is None:
            producer = AIOKafkaProducer(
                **client_options(self._bootstrap),
                enable_idempotence=True,
                acks="all",
                # Sources may hold records that are small only as they are compressed; so are dead letters, then.
                compression_type="zstd",
                max_request_size=REQUEST_BYTES_MAX,
                request_timeout_ms=30_000,
            )
            self._producer = producer
            await producer.start()
        return self._producer


def make_ingest(settings: Settings, bootstrap: str) -> Any:
    """The application of the role ingest."""
    ingest = Ingest(settings, bootstrap)
    app = make_app(settings, "ingest", bootstrap, {}, id_by_topic=ingest.id_by_topic)

    @app.agent(batch_topic(app, *ingest.topics), name="ingest")  # type: ignore[untyped-decorator]
    async def route(stream: Any) -> None:
        await process_side_by_side(stream, process)

    async def process(event: Any) -> None:
        async with handed(event) as records:
            await ingest.process(event.message.topic, event.message.partition, records)

    return app
