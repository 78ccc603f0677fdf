"""One account of so many events that another one, before its first day, changes more than a commit can hold.

Such an event is applied in slices; nothing else leads to the crash point `slice`.
"""

import asyncio
import json
from collections.abc import Sequence

from chaos.world import END_MS, World
from generator.rhythm import DAY_MS
from streams.bulk_producer import BulkProducer
from streams.topics import topic_name

EVENTS = 600_000
SPAN_MS = 600 * DAY_MS
FIRST_TYPE, TYPES = "Lead Form Step 1", ("MQL Qualified", "Opportunity Created", "Closed-Won")
"""The first begins a journey, and each of it is an alert of its own: there are few."""
PIECE = 5_000


class Giant:
    """Made when its events are in the source; the world's own come beside them."""

    def __init__(self, world: World) -> None:
        self._topic = topic_name("web-events", world.settings.prefix, 0)
        self._bootstrap = world.bootstrap
        self._earlier_count = 0
        began = END_MS - SPAN_MS
        for start in range(0, EVENTS, PIECE):
            self._send([(n, began + n * (SPAN_MS // EVENTS)) for n in range(start, start + PIECE)])
        world.note(f"{EVENTS:,} events of one account")

    def earlier(self) -> None:
        """One more event, a day before all that it has."""
        self._earlier_count += 1
        self._send([(-self._earlier_count, END_MS - SPAN_MS - self._earlier_count * DAY_MS)])

    def _send(self, events: Sequence[tuple[int, int]]) -> None:
        asyncio.run(self._sent([(b"giant", _event(number, at_ms)) for number, at_ms in events]))

    async def _sent(self, records: Sequence[tuple[bytes, bytes]]) -> None:
        async with BulkProducer(self._bootstrap) as producer:
            await producer.send(self._topic, records)
            await producer.flush()


def _event(number: int, at_ms: int) -> bytes:
    event = {
        "version": 1,
        "event_id": f"giant-{number}",
        "event_time": at_ms,
        "source": "chaos",
        "type": FIRST_TYPE if number <= 0 else TYPES[number % len(TYPES)],
        "account": "giant",
    }
    return json.dumps(event).encode()
