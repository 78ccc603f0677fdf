"""When a destination may be sent to: its rate, and a breaker that opens while it fails. Pure values; time comes from
outside."""

import msgspec
from msgspec.structs import replace

from state.delivery.retries import backoff_ms

FAILURES_MAX = 5
"""In a row, whatever the container; then the breaker opens."""
_OPEN_MS_MAX = 300_000


class Breaker(msgspec.Struct, frozen=True):
    """closed → open → one is tried → closed, or open for longer. failure_count: in a row. opened_count: how often it
    opened since the last success. held_until_ms: as the receiver asked, whatever else it answers."""

    failure_count: int = 0
    opened_count: int = 0
    open_until_ms: int = 0
    held_until_ms: int = 0

    @property
    def is_closed(self) -> bool:
        """Whether as many may be sent as one likes; otherwise one at a time, when nothing is kept back."""
        return self.opened_count == 0

    @property
    def kept_back_until_ms(self) -> int:
        """Before then nothing is sent."""
        return max(self.open_until_ms, self.held_until_ms)

    def may_send(self, now_ms: int, under_way_count: int) -> bool:
        """Whether one more request may begin."""
        return now_ms >= self.kept_back_until_ms and (self.is_closed or under_way_count == 0)

    def succeeded(self) -> "Breaker":
        """Closed. What was under way when the receiver asked for time says nothing against that."""
        return Breaker(held_until_ms=self.held_until_ms)

    def failed(self, now_ms: int, chance: float) -> "Breaker":
        """chance: 0 to below 1, as of `backoff_ms`."""
        count = self.failure_count + 1
        # What was under way when it opened says nothing new.
        if count < FAILURES_MAX or now_ms < self.open_until_ms:
            return replace(self, failure_count=count)
        opened = self.opened_count + 1
        open_until_ms = now_ms + min(_OPEN_MS_MAX, backoff_ms(opened, chance))
        return replace(self, failure_count=count, opened_count=opened, open_until_ms=open_until_ms)

    def held(self, until_ms: int) -> "Breaker":
        """As the receiver asked: nothing before then."""
        return replace(self, held_until_ms=max(self.held_until_ms, until_ms))


class Rate(msgspec.Struct, frozen=True):
    """So many a second, and as many as one second's at once: a bucket that fills. per_s: None without a limit. level:
    what may be taken at at_ms; below 0 never."""

    per_s: float | None
    level: float = 1.0
    at_ms: int = 0

    def wait_ms(self, now_ms: int) -> int:
        """How long until one may be taken; 0 for now."""
        if self.per_s is None:
            return 0
        missing = 1 - self._filled(now_ms)
        return 0 if missing <= 0 else int(missing / self.per_s * 1000) + 1

    def taken(self, now_ms: int) -> "Rate":
        """With one taken."""
        return self if self.per_s is None else Rate(self.per_s, self._filled(now_ms) - 1, now_ms)

    def _filled(self, now_ms: int) -> float:
        assert self.per_s is not None
        return min(max(1.0, self.per_s), self.level + max(0, now_ms - self.at_ms) / 1000 * self.per_s)
