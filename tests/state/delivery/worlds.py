"""An outbox over rows in memory, driven a step at a time."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from state.delivery.configuration import DeliveryFile
from state.delivery.memory import RowMemory
from state.delivery.outbox import Answered, Outbox
from state.delivery.retries import Delivered, Verdict
from state.delivery.rows import DEFERRED, WAITING, Delivery, decode_delivery
from streams.alert import Alert, encode_alert
from streams.delivery import Configure, DeliveryStatus, Order
from streams.membership import MembershipChange, encode_change
from tests.agents.delivery.worlds import AT_MS
from tests.state.memory_store import MemoryStore


class Partition:
    """Each step is a commit. now_ms: the clock, moved by hand."""

    def __init__(
        self,
        destinations: dict[str, Any],
        routes: Sequence[dict[str, Any]],
        rows: RowMemory | MemoryStore | None = None,
    ) -> None:
        self.rows = rows or RowMemory()
        self.now_ms = AT_MS
        self.status: dict[str, DeliveryStatus] = {}
        self.configure(destinations, routes)

    def configure(self, destinations: dict[str, Any], routes: Sequence[dict[str, Any]]) -> None:
        file = DeliveryFile.model_validate({"version": 1, "destinations": destinations, "routes": list(routes)})
        body = msgspec.json.decode(file.model_dump_json(exclude_unset=True))
        self.order(Configure(body))

    def step(self, do: Callable[[Outbox], object]) -> object:
        outbox = Outbox(self.rows, self.now_ms)
        result = do(outbox)
        self.rows.apply(outbox.rows)
        for id_, status in outbox.status_by_id.items():
            if status is None:
                del self.status[id_]
            else:
                self.status[id_] = status
        return result

    def order(self, order: Order) -> None:
        self.step(lambda outbox: outbox.order(order, self.now_ms))

    def take(self, message: Alert | MembershipChange, said_ms: int | None = None) -> None:
        at_ms = self.now_ms if said_ms is None else said_ms
        if isinstance(message, Alert):
            self.step(lambda outbox: outbox.take_alert(message, encode_alert(message), at_ms))
        else:
            self.step(lambda outbox: outbox.take_change(message, encode_change(message), at_ms))

    def answer(self, delivery: Delivery, verdict: Verdict | None = None) -> None:
        self.step(lambda outbox: outbox.note([Answered(delivery.key(), verdict or Delivered())]))

    def pass_time(self, ms: int) -> None:
        """Also releases what is due."""
        self.now_ms += ms
        while self.step(lambda outbox: outbox.release()):
            pass

    def waiting(self) -> list[Delivery]:
        return sorted((decode_delivery(value) for _, value in self.rows.scan(WAITING)), key=lambda each: each.number)

    def deferred(self) -> list[Delivery]:
        return [decode_delivery(value) for _, value in self.rows.scan(DEFERRED)]

    def states(self) -> list[str]:
        return [each.state for each in self.status.values()]


HOOK = {"kind": "webhook", "url": "https://example.com/hook"}
ALL = {"name": "all", "to": ["hook"], "milestones": ["*"], "audiences": ["*"]}
