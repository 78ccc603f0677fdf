"""aiokafka's consumer in a thread of its own, where heartbeats go on while a batch is computed.

Beside what Faust asks of it, it seeks and resumes where an owner says, commits with the topic's id, and tells whether a
topic is still the one that was opened, and whether the group takes this worker for another. As in `streams.transport`,
each override says why it is there, and `tests/streams/test_overrides.py` pins what it relies on.
"""

import asyncio
import logging
import time
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from aiokafka import TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.errors import MismatchError
from streams.topic_identity import topic_ids_at
from streams.unpacking import UnpackedTooLargeError

log = logging.getLogger(__name__)

FETCH_WAIT_MS = 250
_ASK_AGAIN_S = 0.2
FORGOTTEN_MAX, FORGOTTEN_S = 5, 60.0


class Listener(driver.ConsumerRebalanceListener):  # type: ignore[misc]  # Faust ships no types
    """Runs on the consumer's thread."""

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        # A real pause: Faust's only filters what is handed out, and aiokafka would prefetch from the committed offset.
        if assigned:
            self._thread._consumer.pause(*assigned)
        self._thread.held.clear()
        self._thread.heard_at = time.monotonic()
        await super().on_partitions_assigned(assigned)


class ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # Faust ships no types
    """aiokafka's consumer in a thread of its own, where heartbeats go on while a batch is computed."""

    heard_at = 0.0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.forgotten_at: deque[float] = deque(maxlen=FORGOTTEN_MAX)
        self.held: set[TopicPartition] = set()
        """Partitions that nothing is fetched of until the next call for records."""

    def is_displaced(self) -> bool:
        """Whether the group forgets this member again and again, as it does when another process joins as the same."""
        times = self.forgotten_at
        return len(times) == FORGOTTEN_MAX and time.monotonic() - times[0] < FORGOTTEN_S

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust has no setting for either: it takes its own assignor or round robin, and waits 1.5 s for a full fetch.
        # A class of its own, because the sticky assignor keeps its memory on the class, shared by all roles here.
        consumer._partition_assignment_strategy = (type("Sticky", (StickyPartitionAssignor,), {}),)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        # Stock jumps to the first record when the wanted one is gone; a gap must be an error.
        consumer._auto_offset_reset = "none"
        return consumer

    async def on_start(self) -> None:
        await super().on_start()
        coordinator = self._consumer._coordinator
        beat = coordinator._do_heartbeat

        async def timed_beat() -> bool:
            # Before sending: the group's patience counts from when the broker got it, which is later.
            sent_at = time.monotonic()
            was_member = coordinator.generation > 0
            answered: bool = await beat()
            if answered:
                self.heard_at = sent_at
            elif was_member and coordinator.generation <= 0:
                self.forgotten_at.append(sent_at)
            return answered

        coordinator._do_heartbeat = timed_beat

    def _stopped_set(self) -> None:
        # Stock wakes the thread's loop, which is closed where the thread ended by an error, and logs that instead.
        if not self.thread_loop.is_closed():
            super()._stopped_set()

    def close(self) -> None:
        """Stock, told of an assignment while the worker stops, closes the client from the application's thread. Its
        sockets are this thread's loop's, which crashes the process; this thread closes them itself as it stops."""

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Stock calls a source stuck that is paused for a restore; `agents.watchdog` looks after what hangs."""

    async def start_at(self, tp: TP, offset: int) -> None:
        """Seek and resume, on this thread: stock `Consumer.seek` does it from the wrong one."""
        place, fetcher = TopicPartition(tp.topic, tp.partition), self._consumer._fetcher
        # What came before is not for us: that the group never committed here is an error to aiokafka.
        fetcher._records.pop(place, None)
        fetcher._notify(fetcher._wait_consume_future)
        self._consumer.seek(place, offset)
        self._consumer.resume(place)
        self.held.discard(place)

    async def committed_offset(self, tp: TP, topic_id: str | None) -> int:
        """Where the group goes on, for topics without an owner; the first record when it never was here.

        Raises MismatchError when the offset is not in the topic, or was committed for another one of that name.
        """
        place = TopicPartition(tp.topic, tp.partition)
        committed = (await self._consumer._coordinator.fetch_committed_offsets([place])).get(place)
        start = (await self._consumer.beginning_offsets([place]))[place]
        end = (await self._consumer.end_offsets([place]))[place]
        if committed is None or committed.offset < 0:
            return int(start)
        if committed.metadata and topic_id and committed.metadata != topic_id:
            raise _made_again(tp.topic, committed.metadata, topic_id)
        if not start <= committed.offset <= end:
            raise MismatchError(
                f"{tp.topic}/{tp.partition}: the group stands at offset {committed.offset}, but the topic holds {start}"
                f" to {end - 1}: records expired before they were read, or the topic was made again. When that is"
                " meant, set the group's offset with Kafka's own tools."
            )
        return int(committed.offset)

    async def _fetch_records(self, consumer: Any, active: set[TP], **how: Any) -> Any:
        """Asked behind each fetch whether the topics are still the same, for one that is made again goes on under its
        name and offsets. On this thread, so that nobody waits for it who computes.

        Stock fetches ahead as soon as records are taken, and what that brings is old when the next call takes it: here
        a call that waits begins its fetch itself, unless it is behind anyway."""
        self._let_go(active)
        try:
            records = await super()._fetch_records(consumer, active, **how)
        except UnpackedTooLargeError as error:
            raise _refused(consumer._fetcher, active, error) from error
        if how["timeout"]:
            self._hold(active)
        while records and not await self._are_same(records):
            if not self.consumer.flow_active or self.should_stop:
                return {}  # what was fetched is read again from where the next owner says
            await asyncio.sleep(_ASK_AGAIN_S)
        return records

    def _let_go(self, active: Collection[TP]) -> None:
        places = [place for place in self.held & self._consumer.assignment() if place in active]
        self._consumer.resume(*places)
        self.held.difference_update(places)

    def _hold(self, active: Collection[TP]) -> None:
        """Those that are read now, to their end; one that is not started yet is paused for another reason."""
        reading = (place for place in self._consumer.assignment() - self._consumer.paused() if place in active)
        places = [place for place in reading if self._is_read_up(place)]
        self._consumer.pause(*places)
        self.held.update(places)

    def _is_read_up(self, place: TopicPartition) -> bool:
        """Whether the last fetch brought all that there was."""
        state = self._consumer._subscription.subscription.assignment.state_value(place)
        return bool(state.has_valid_position and state.position == state.highwater)

    async def _are_same(self, places: Iterable[TopicPartition]) -> bool:
        try:
            return await self.require_same(places, self.consumer.transport.id_by_topic)
        except KafkaError as error:
            log.info("could not ask which topics were read: %r", error)
            return False

    async def require_same(self, places: Iterable[TopicPartition], id_by_topic: Mapping[str, str]) -> bool:
        """Whether the brokers that serve `places` say that their topics are still those that were opened; False when
        they do not know them.

        Raises MismatchError for a topic that was made again, KafkaError when a broker does not answer.
        """
        client, ids_by_node = self._consumer._client, defaultdict[int | None, dict[str, str]](dict)
        for place in places:
            if place.topic in id_by_topic:
                node = client.cluster.leader_for_partition(place)
                ids_by_node[node][place.topic] = id_by_topic[place.topic]
        missing = [await self._missing_at(node, ids) for node, ids in ids_by_node.items()]
        return not any(missing)

    async def missing_topics(self, id_by_topic: Mapping[str, str]) -> list[str]:
        """Those that some broker does not know. Raises as `require_same`."""
        client = self._consumer._client
        if not all(client.cluster.partitions_for_topic(topic) for topic in self._consumer.subscription()):
            # A broker that had just come up told so. Nothing of the topic is assigned then, and aiokafka asks again
            # after minutes.
            client.force_metadata_update()
        return await self._missing_at(client.get_random_node(), id_by_topic) if id_by_topic else []

    async def _missing_at(self, node: int | None, id_by_topic: Mapping[str, str]) -> list[str]:
        client = self._consumer._client
        found = {} if node in (None, -1) else await topic_ids_at(client, node, sorted(id_by_topic))
        for topic, id_ in found.items():
            if id_ != id_by_topic[topic]:
                raise _made_again(topic, id_by_topic[topic], id_)
        missing = sorted(id_by_topic.keys() - found.keys())
        if missing:
            client.force_metadata_update()  # not waited for: with a topic that is gone it does not end
        return missing

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        # Stock ends the worker. Owners do not need the committed offset, and without one it costs duplicates only.
        ids = self.consumer.transport.id_by_topic
        held = {
            TopicPartition(*tp): (offset, ids.get(tp.topic, ""))
            for tp, offset in offsets.items()
            if tp in self.assignment()
        }
        try:
            await self._consumer.commit(held)
        except KafkaError as error:
            log.warning("could not commit %s: %r", held, error)
            return False
        return True


def _refused(fetcher: Any, active: set[TP], error: UnpackedTooLargeError) -> MismatchError:
    """aiokafka goes through its answers in their order, and lets go of each that it is through with."""
    place, answer = next((place, each) for place, each in fetcher._records.items() if place in active)
    return MismatchError(
        f"the record batch at {place.topic}/{place.partition} offset {answer._partition_records.next_fetch_offset} is"
        f" refused: {error}. Nothing of it from there on was taken. Look what writes there;"
        " where that is a source, a group's offset set behind it with Kafka's own tools leaves it out."
    )


def _made_again(topic: str, was: str, is_now: str) -> MismatchError:
    return MismatchError(
        f"the topic {topic} had the id {was}, and has {is_now} now: it was deleted and made again, and its records are"
        " others. Nothing of them was taken. Restore the topic; or, when that is meant, set the group's offset with"
        " Kafka's own tools and compute anew under another --generation or --prefix."
    )
