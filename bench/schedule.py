"""When each event of a steady load is due, and how long after that it was visible.

The law: latency counts from when an event was due, whenever it was sent, so a sender that was held up hides nothing.
Event n of a load is due at begin + n / rate, and of account n modulo the number of accounts. So the k-th event of an
account, and the j-th of a partition, are known without looking at them.
"""

from bisect import bisect_left
from collections.abc import Sequence

import msgspec

from bench.events import account_name
from streams.partitioning import partition_of


class Load(msgspec.Struct, frozen=True):
    """begin_s: time.monotonic. The first warm_up events are not counted."""

    begin_s: float
    rate: float
    events: int
    accounts: int
    warm_up: int

    def due_s(self, number: int) -> float:
        """When event `number` is due."""
        return self.begin_s + number / self.rate

    def due_count(self, now_s: float) -> int:
        """How many events are due by now."""
        return min(self.events, max(0, int((now_s - self.begin_s) * self.rate) + 1)) if now_s >= self.begin_s else 0

    def account(self, number: int) -> str:
        """Whose event it is."""
        return account_name(number % self.accounts)


class Seen(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A consumer saw at `at_s` (time.monotonic) that so many first events of a place are contained."""

    count: int
    at_s: float


def journey_waits(load: Load, seen_by_account: dict[str, list[Seen]]) -> list[float]:
    """Seconds from due to visible in its account's journey, of every event behind the warm-up, in no order.

    Seen per account in the order of arrival; counts from 1. Raises RuntimeError for an event that was never seen.
    """
    waits: list[float] = []
    for number in range(load.accounts):
        numbers = range(number, load.events, load.accounts)
        waits += _waits(load, numbers, seen_by_account.get(account_name(number), []))
    return waits


def snapshot_waits(load: Load, partitions: int, seen_by_partition: dict[int, list[Seen]]) -> list[float]:
    """The same for one analysis' snapshots; seen per partition of touchpoints."""
    numbers_by_partition: dict[int, list[int]] = {partition: [] for partition in range(partitions)}
    places = [partition_of(account_name(number).encode(), partitions) for number in range(load.accounts)]
    for number in range(load.events):
        numbers_by_partition[places[number % load.accounts]].append(number)
    return [
        wait
        for partition, numbers in numbers_by_partition.items()
        for wait in _waits(load, numbers, seen_by_partition.get(partition, []))
    ]


def _waits(load: Load, numbers: Sequence[int], seen: Sequence[Seen]) -> list[float]:
    """Of the events of one place, whose order is that of `numbers`."""
    rising = _rising(seen)
    counts = [each.count for each in rising]
    if numbers and (not counts or counts[-1] < len(numbers)):
        raise RuntimeError(
            f"{len(numbers)} events were sent to a place, {counts[-1] if counts else 0} were ever visible"
        )
    begin = bisect_left(numbers, load.warm_up)
    return [
        rising[bisect_left(counts, place + 1)].at_s - load.due_s(numbers[place]) for place in range(begin, len(numbers))
    ]


def _rising(seen: Sequence[Seen]) -> list[Seen]:
    """Without what says no more than one before it."""
    rising: list[Seen] = []
    for each in seen:
        if not rising or each.count > rising[-1].count:
            rising.append(each)
    return rising
