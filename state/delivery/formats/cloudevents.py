"""A message as CloudEvents 1.0 has it in Kafka, binary mode: attributes in headers, the data as the value."""

from typing import NamedTuple

from state.delivery.formats.message import rfc3339, type_of
from state.delivery.rows import Delivery


class KafkaEvent(NamedTuple):
    """A record of a topic. key: the container's account, kind and id, so that its events keep their order."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def event_of(delivery: Delivery, source: str) -> KafkaEvent:
    """The record. source: which milepost says it, a URI reference."""
    attributes = {
        "ce_specversion": "1.0",
        "ce_id": delivery.id,
        "ce_source": source,
        "ce_type": f"milepost.{type_of(delivery)}",
        "ce_time": rfc3339(delivery.created_ms),
        "content-type": "application/json",
    }
    if delivery.corrects is not None:
        attributes["ce_corrects"] = delivery.corrects
    headers = [(name, value.encode()) for name, value in attributes.items()]
    return KafkaEvent(delivery.lane.encode(), delivery.content, headers)
