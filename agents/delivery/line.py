"""One destination of one owner, at work: its queue, its limits and its sender."""

from collections.abc import Sequence

from agents.delivery.sender import Sender
from state.delivery.configuration import Destination, Folder
from state.delivery.limits import Breaker, Rate
from state.delivery.queue import Queue, Waiting
from state.delivery.retries import RETRY_AFTER_MS_MAX, Answer
from state.delivery.rows import Delivery

MANY_MAX = 500
_ALL = "all"
"""The one lane of a destination that takes many at once."""


class Line:
    """Made anew when the destination is configured otherwise."""

    def __init__(self, name: str, destination: Destination, sender: Sender, partitions: int) -> None:
        self.name = name
        self.destination = destination
        self.sender = sender
        self.queue = Queue()
        self.is_retiring = False
        self._breaker = Breaker()
        most = destination.rows_max if isinstance(destination, Folder) else MANY_MAX
        self.many = most if sender.takes_many else 1
        """How many it takes with one request."""
        share = None if destination.rate_per_s is None else destination.rate_per_s / partitions
        self._rate = Rate(1 / destination.every_s) if isinstance(destination, Folder) else Rate(share)

    def load(self, key: bytes, delivery: Delivery) -> None:
        """Takes the next one that waits into memory."""
        self.queue.add(
            _ALL if self.sender.takes_many else delivery.lane, Waiting(key, delivery.due_ms, delivery.attempts > 0)
        )

    def wait_ms(self, now_ms: int) -> int:
        """For how long nothing may begin; 0 when something may. While the breaker tries one, until its answer comes."""
        under_way = self.queue.under_way_count
        if under_way >= self.destination.at_once or (under_way and not self._breaker.is_closed):
            return 60_000  # an answer wakes
        if not self._breaker.may_send(now_ms, under_way):
            return max(1, self._breaker.kept_back_until_ms - now_ms)
        return self._rate.wait_ms(now_ms)

    def take(self, now_ms: int) -> tuple[str, Sequence[bytes]] | None:
        """What is to be sent next, if anything is due."""
        return self.queue.take(now_ms, self.many)

    def begin(self, now_ms: int) -> None:
        """Something of what was taken is sent: it counts for the rate."""
        self._rate = self._rate.taken(now_ms)

    def next_due_in_ms(self, now_ms: int) -> float:
        """When something becomes due, from now on; infinite when nothing does."""
        due_ms = self.queue.next_due_ms()
        return float("inf") if due_ms is None else max(1, due_ms - now_ms)

    def answered(self, answer: Answer, now_ms: int, chance: float) -> None:
        """Opens or closes the breaker, and keeps away for as long as was asked."""
        if answer.result == "later":
            self._breaker = self._breaker.failed(now_ms, chance)
            if answer.retry_after_ms:
                self._breaker = self._breaker.held(now_ms + min(answer.retry_after_ms, RETRY_AFTER_MS_MAX))
        else:
            self._breaker = self._breaker.succeeded()
