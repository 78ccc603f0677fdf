"""Sending from outside the application: what a command gives Kafka, without an owner's fence."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from kafka import KafkaProducer
from kafka.errors import KafkaError

from streams.bootstrap import client_options
from streams.errors import UnavailableError

PATIENCE_S = 30.0
_WAITING_MAX = 10_000


class Outgoing(NamedTuple):
    """One record for a topic; without a partition its key decides."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: Sequence[tuple[str, bytes]] = ()


def send_all(bootstrap: str, records: Iterable[Outgoing]) -> None:
    """Sends records in their order; when it returns, Kafka has all of them.

    Raises UnavailableError when it does not take one within 30 s. Those before it are there then, and some behind it
    may be; all may be sent again. What `records` raises goes on to the caller, with those before it sent.
    """
    waiting: deque[Any] = deque()
    try:
        producer = KafkaProducer(**client_options(bootstrap), acks="all", enable_idempotence=True)
        try:
            for each in records:
                waiting.append(producer.send(each.topic, each.value, each.key, list(each.headers), each.partition))
                if len(waiting) > _WAITING_MAX:
                    waiting.popleft().get(timeout=PATIENCE_S)
            producer.flush()
            for sent in waiting:
                sent.get(timeout=PATIENCE_S)
        finally:
            producer.close()
    except KafkaError as error:
        raise UnavailableError(
            f"Kafka at {bootstrap} did not take all of what was sent ({error}); what it took stays, and the same may be"
            " sent again"
        ) from error
