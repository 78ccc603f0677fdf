"""Giving the deliver agent orders, and reading where deliveries stand."""

from pathlib import Path
from typing import NamedTuple

import msgspec
from pydantic import ValidationError

from agents.reading import read_topic
from agents.sending import Outgoing, send_all
from agents.settings import Settings
from state.delivery.configuration import DeliveryFile
from state.matches import BEING_WRITTEN
from streams.admin import end_offsets
from streams.delivery import (
    HELD_PREFIX,
    Configure,
    DeliveryStatus,
    Held,
    Order,
    decode_held,
    decode_order,
    decode_status,
    encode_order,
)
from streams.errors import UsageError
from streams.protocol_rows import PROTOCOL_PREFIX
from streams.topics import topic_name
from streams.yaml_file import explain, load_yaml

PATIENCE_S = 10.0
_ORDER_BYTES_MAX = 900_000


def load_delivery_file(path: Path) -> DeliveryFile:
    """Reads and validates a delivery file; raises UsageError with file, line, path and what would be right."""
    plain, positions = load_yaml(path)
    try:
        return DeliveryFile.model_validate(plain, context=BEING_WRITTEN)
    except ValidationError as error:
        raise UsageError(explain(path, positions, error, DeliveryFile)) from error


def configure_of(file: DeliveryFile) -> Configure:
    """The order that puts a file in force."""
    return Configure(file.model_dump(mode="json", exclude_unset=True))


def give_orders(bootstrap: str, settings: Settings, *orders: Order) -> None:
    """Appends orders to every partition; when it returns, Kafka has all of them.

    Raises UnavailableError when Kafka does not take them; they may be on some partitions then, and may be given again.
    """
    values = [encode_order(order) for order in orders]
    if (size := max(map(len, values), default=0)) > _ORDER_BYTES_MAX:
        raise UsageError(f"the delivery file takes {size} bytes; {_ORDER_BYTES_MAX} at most are right")
    topic = topic_name("delivery-orders", settings.prefix, settings.generation)
    partitions = end_offsets(bootstrap, topic)  # as there are, whatever the settings say
    send_all(bootstrap, (Outgoing(topic, b"order", value, each) for value in values for each in partitions))


def configuration_in_force(bootstrap: str, settings: Settings) -> DeliveryFile | None:
    """The delivery file that was published last; None where none was."""
    newest: Configure | None = None
    topic = topic_name("delivery-orders", settings.prefix, settings.generation)
    for record in read_topic(bootstrap, topic, [0], patience_s=PATIENCE_S):
        order = decode_order(record.value or b"")
        newest = order if isinstance(order, Configure) else newest
    return None if newest is None else DeliveryFile.model_validate_json(msgspec.json.encode(newest.file))


class Deliveries(NamedTuple):
    """Where each delivery stands, in no order; and by name the destinations to which nothing is sent for now."""

    states: list[DeliveryStatus]
    held: dict[str, Held]


def read_deliveries(bootstrap: str, settings: Settings) -> Deliveries:
    """All that the deliver agents say of them."""
    newest: dict[tuple[int, bytes], bytes] = {}
    topic = topic_name("deliveries", settings.prefix, settings.generation)
    prefix = HELD_PREFIX.encode()
    for record in read_topic(bootstrap, topic, patience_s=PATIENCE_S):
        if record.key.startswith(PROTOCOL_PREFIX) and not record.key.startswith(prefix):
            continue
        if record.value is None:
            newest.pop((record.partition, record.key), None)
        else:
            newest[record.partition, record.key] = record.value
    states: list[DeliveryStatus] = []
    held: dict[str, Held] = {}
    for (_, key), value in newest.items():
        if key.startswith(prefix):
            found = decode_held(value)
            held[found.destination] = found.merged(held.get(found.destination))
        else:
            states.append(decode_status(value))
    return Deliveries(states, held)


def delivery_states(bootstrap: str, settings: Settings) -> list[DeliveryStatus]:
    """Where each delivery stands, in no order."""
    return read_deliveries(bootstrap, settings).states
