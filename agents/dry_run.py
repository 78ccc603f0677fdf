"""What a delivery file would have sent of what stands on the topics: the outbox over rows in memory, and no sender."""

import msgspec

from agents.ordering import configure_of
from agents.read_record import ReadRecord
from agents.reading import read_topic
from agents.settings import Settings
from state.delivery.configuration import DeliveryFile
from state.delivery.memory import RowMemory
from state.delivery.outbox import Answered, Outbox
from state.delivery.retries import Delivered
from state.delivery.rows import WAITING, Delivery, decode_delivery
from streams.alert import decode_alert
from streams.membership import decode_change
from streams.protocol_rows import PROTOCOL_PREFIX
from streams.topics import topic_name


def dry_run_of(file: DeliveryFile, bootstrap: str, settings: Settings, now_ms: int) -> list[Delivery]:
    """The deliveries, in the order in which they would have been sent until now, had the file been in force always and
    every destination answered at once. What is deferred still is not among them.

    Of alerts that changed, compaction may have left the last word only. Raises UnavailableError without the topics.
    """
    records = sorted(
        (record.append_time, is_alert, record.partition, record.offset, record)
        for name, is_alert in (("milestones", True), ("audience-changes", False))
        for record in _records(bootstrap, topic_name(name, settings.prefix, settings.generation))
    )
    rows = RowMemory()
    sent: list[Delivery] = []
    first = Outbox(rows, 0)
    first.order(configure_of(file), 0)
    rows.apply(first.rows)
    for at_ms, is_alert, _, _, record in records:
        _pass_time(rows, at_ms, sent)
        outbox = Outbox(rows, at_ms)
        content = record.value or b""
        if is_alert:
            outbox.take_alert(decode_alert(content), content, at_ms)
        else:
            outbox.take_change(decode_change(content), content, at_ms)
        rows.apply(outbox.rows)
        _answer(rows, at_ms, sent)
    _pass_time(rows, now_ms, sent)
    return sent


def _records(bootstrap: str, topic: str) -> list[ReadRecord]:
    found = read_topic(bootstrap, topic, patience_s=10)
    return [each for each in found if each.value is not None and not each.key.startswith(PROTOCOL_PREFIX)]


def _pass_time(rows: RowMemory, now_ms: int, sent: list[Delivery]) -> None:
    while True:
        outbox = Outbox(rows, now_ms)
        if not outbox.release():
            return
        rows.apply(outbox.rows)
        _answer(rows, now_ms, sent)


def _answer(rows: RowMemory, now_ms: int, sent: list[Delivery]) -> None:
    """Every destination takes what waits for it."""
    waiting = [(key, decode_delivery(value)) for key, value in rows.scan(WAITING)]
    waiting.sort(key=lambda each: each[1].number)
    sent += [msgspec.structs.replace(delivery, due_ms=now_ms) for _, delivery in waiting]
    outbox = Outbox(rows, now_ms)
    outbox.note([Answered(key, Delivered()) for key, _ in waiting])
    rows.apply(outbox.rows)
