"""A producer that the broker lets write until the next one takes its place.

The law: starting one with a transactional id fences whoever held that id before, on every partition that the new one
writes to. No transactions: InitProducerId gives (producer id, epoch), and the broker refuses plain idempotent batches
of a lower epoch. A commit costs 1 ms this way, 27 ms as a transaction.

What an append did is known exactly or the owner stops: an answer other than an offset is an error. aiokafka sends a
batch of an idempotent producer again for ever, so the time for it is ours, and so is the broker's last answer.
Private names of aiokafka's producer are used here and nowhere else (`tests/streams/test_fence.py` pins them).
"""

import asyncio
import time
from typing import Any, NamedTuple, Self

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.client import ConnectionGroup, CoordinationType
from aiokafka.errors import (
    ConcurrentTransactions,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    NoError,
    NotEnoughReplicasAfterAppendError,
    NotEnoughReplicasError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
    RecordListTooLargeError,
    UnknownProducerId,
    for_code,
)
from aiokafka.producer.sender import SendProduceReqHandler
from aiokafka.protocol.transaction import InitProducerIdRequest

from streams.batch import Batch
from streams.bootstrap import client_options
from streams.crash import crash_on_the_way
from streams.ending import end
from streams.errors import LostError, MismatchError, UnavailableError

REQUEST_TIMEOUT_S = 15.0
FENCE_S_MAX = 30.0
EPOCH_MAX = 2**15 - 1
"""Behind it the broker gives a new producer id, which fences nobody who held the old one."""
_EPOCH_MARGIN = 10
_TRANSACTION_TIMEOUT_MS = 60_000  # of a transaction that never begins

REFUSED = (
    ProducerFenced,
    InvalidProducerEpoch,
    OutOfOrderSequenceNumber,
    InvalidProducerIdMapping,
    UnknownProducerId,
)
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
_TOO_FEW_REPLICAS = (NotEnoughReplicasError, NotEnoughReplicasAfterAppendError)


class Appended(NamedTuple):
    """Where a batch's first record stands, and the broker's time (ms) when it was appended."""

    offset: int
    written_at: int


class FencedProducer:
    """One owner's producer. Made by `start`; ended by `close`; never used by two owners."""

    def __init__(self, producer: AIOKafkaProducer, transactional_id: str, request_timeout_s: float) -> None:
        self._producer = producer
        self._transactional_id = transactional_id
        self._request_timeout_s = request_timeout_s
        self._fenced_at = time.monotonic()
        self._answer_by_place: dict[TopicPartition, KafkaError] = {}

    @classmethod
    async def start(
        cls, bootstrap: str, transactional_id: str, *, request_timeout_s: float = REQUEST_TIMEOUT_S
    ) -> Self:
        """Fences the id's former holder. Raises UnavailableError when no coordinator answers within 30 s."""
        producer = AIOKafkaProducer(
            **client_options(bootstrap),
            enable_idempotence=True,
            acks="all",
            linger_ms=0,
            request_timeout_ms=int(request_timeout_s * 1000),
        )
        fenced = cls(producer, transactional_id, request_timeout_s)
        # aiokafka asks any broker for an id of its own, or with a transactional id insists on transactions. This is
        # the one place where it takes its id from, so the coordinator's goes in here.
        producer._sender._maybe_wait_for_pid = fenced._take_place
        # It only logs what makes it send a batch again.
        producer._sender._send_produce_req = fenced._send
        try:
            await producer.start()
        except KafkaError as error:
            await fenced.close()
            raise UnavailableError(f"Kafka at {bootstrap} does not answer ({error!r})") from error
        except BaseException:
            await fenced.close()
            raise
        return fenced

    @property
    def identity(self) -> tuple[int, int]:
        """(producer id, epoch), as the broker gave them."""
        state = self._producer._txn_manager
        return state.producer_id, state.producer_epoch

    def is_due(self, renewal_s: float) -> bool:
        """Whether its owner should fence itself anew: it is old, or few epochs are left."""
        return self.age_s() > renewal_s or self.identity[1] >= EPOCH_MAX - _EPOCH_MARGIN

    def age_s(self) -> float:
        """Seconds since the fence; the broker forgets it some days after."""
        return time.monotonic() - self._fenced_at

    async def append(self, topic: str, partition: int, batch: Batch) -> Appended:
        """Sends one record batch and waits until all replicas in sync have it.

        Raises LostError when another owner holds the fence or the outcome is unknown, UnavailableError when it is
        unknown because too few replicas are in sync: nothing may be sent, written or published afterwards. Raises
        MismatchError when the topic takes smaller batches than the table of topics says.
        """
        place = f"{topic}/{partition}"
        self._answer_by_place.pop(TopicPartition(topic, partition), None)
        try:
            async with asyncio.timeout(self._request_timeout_s):
                sent = await self._producer.send_batch(batch, topic, partition=partition)
                await crash_on_the_way()
                done = await sent
        except REFUSED as error:
            raise LostError(f"{place}: the broker refused the batch, another owner took over ({error!r})") from error
        except _TOO_LARGE as error:
            raise MismatchError(
                f"{place}: the topic refuses a batch that the table of topics allows. `milepost topics check` tells"
                " its max.message.bytes."
            ) from error
        except (KafkaError, TimeoutError) as error:
            raise self._unknown(TopicPartition(topic, partition), error) from error
        # -1 is aiokafka's word for a repeated batch whose place the broker has forgotten.
        if done is None or done.offset < 0:
            raise LostError(f"{place}: the batch was appended, but where is unknown")
        return Appended(done.offset, done.timestamp)

    def _unknown(self, place: TopicPartition, error: Exception) -> LostError | UnavailableError:
        """What to raise for a batch without an answer that says where it is."""
        answer = self._answer_by_place.get(place)
        at = f"{place.topic}/{place.partition}"
        if isinstance(answer, _TOO_FEW_REPLICAS):
            return UnavailableError(
                f"{at}: Kafka took no batch for {self._request_timeout_s:g} s, for fewer replicas are in sync than"
                f" min.insync.replicas asks for ({answer!r}). Bring the brokers back that hold the replicas, and start"
                " the worker again: it goes on from its last commit."
            )
        said = "" if answer is None else f"; the broker's last answer was {answer!r}"
        return LostError(f"{at}: whether the batch was appended is unknown ({error!r}{said})")

    async def _send(self, node: int, batches: dict[TopicPartition, Any]) -> None:
        """Stands in for the sender's own, and keeps why a batch has to be sent again."""
        sender = self._producer._sender
        await _Sending(sender, batches, self._answer_by_place).do(node)
        sender._in_flight.remove(node)
        sender._muted_partitions.difference_update(batches)

    async def close(self) -> None:
        """Ends it within seconds, also when a batch is still on its way: the next fence refuses that one."""
        await end(self._producer)

    async def _take_place(self) -> None:
        """Stands in for the sender's own: gets the identity once, from the transactional id's coordinator."""
        state = self._producer._txn_manager
        if state.has_pid():
            return
        deadline = time.monotonic() + FENCE_S_MAX
        while True:
            answer = await self._init_producer_id()
            if not isinstance(answer, Exception):
                self._fenced_at = time.monotonic()
                state.set_pid_and_epoch(answer.producer_id, answer.producer_epoch)
                return
            if time.monotonic() > deadline or not _is_passing(answer):
                raise UnavailableError(
                    f"Kafka gave no producer id for {self._transactional_id} ({answer!r}). Look whether the cluster is"
                    " healthy and, where it has ACLs, whether this user may write with that transactional id."
                )
            await asyncio.sleep(0.1)

    async def _init_producer_id(self) -> Any:
        """The coordinator's answer, or the error that it or the way to it gave."""
        client = self._producer.client
        if client.get_random_node() is None:
            client.force_metadata_update()  # else it asks again after minutes
            return KafkaConnectionError("the cluster has no broker just now")
        try:
            node = await client.coordinator_lookup(CoordinationType.TRANSACTION, self._transactional_id)
            await client.ready(node, group=ConnectionGroup.COORDINATION)
            request = InitProducerIdRequest(self._transactional_id, _TRANSACTION_TIMEOUT_MS)
            answer = await client.send(node, request, group=ConnectionGroup.COORDINATION)
        except KafkaError as error:
            return error
        kind = for_code(answer.error_code)
        return answer if kind is NoError else kind()


class _Sending(SendProduceReqHandler):  # type: ignore[misc]  # aiokafka ships no types
    """aiokafka's own, but it keeps the answers."""

    def __init__(
        self, sender: Any, batches: dict[TopicPartition, Any], answers: dict[TopicPartition, KafkaError]
    ) -> None:
        super().__init__(sender, batches)
        self._answers = answers

    def _can_retry(self, error: KafkaError, batch: Any) -> bool:
        self._answers[batch.tp] = error
        return bool(super()._can_retry(error, batch))


def _is_passing(error: Exception) -> bool:
    """Whether asking again may help. ConcurrentTransactions: two owners ask at the same moment."""
    return isinstance(error, ConcurrentTransactions) or getattr(error, "retriable", False)
