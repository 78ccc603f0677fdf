"""Follows the changelogs of the partitions that this worker does not own, so that taking one over reads only a tail.

The law: a store that holds a prefix of the log is a valid earlier state (`streams.restore`), so following is restoring
up to the present end, again and again. The store is the one that an owner here would open: it is closed before the
owner is made, and opened again after the partition was given up.

Nothing is appended here, so nobody tells the broker's time. In its place are the local clock and the time at which the
newest record came, whichever is later: between two moments at which a store is known to stand at the end of its log
pass at most half of the time for which deletions are kept. The other half is for clocks that differ, and for a log that
is quiet, whose owner says something hourly.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable

from aiokafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    KafkaUnavailableError,
    OffsetOutOfRangeError,
    UnrecognizedBrokerVersion,
)

from streams.bulk_reader import BulkReader
from streams.cancelling import cancelled
from streams.ownership import Partition
from streams.restore import (
    Changelog,
    CountRows,
    catch_up,
    delete_retention_ms,
    is_stale,
    next_offset,
    reader_of,
    require_in_time,
    uncounted,
)
from streams.store import Store

log = logging.getLogger(__name__)

LOOK_S = 1.0
# What comes from a broker that goes or comes, or from a log that was cut, and aiokafka does not call retriable.
_PASSING = (KafkaTimeoutError, KafkaUnavailableError, OffsetOutOfRangeError, UnrecognizedBrokerVersion)


class Standby:
    """One partition's. `run` until it is cancelled."""

    def __init__(
        self,
        bootstrap: str,
        changelog: Changelog,
        open_store: Callable[[], Store],
        count_rows: CountRows = uncounted,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._bootstrap = bootstrap
        self._changelog = changelog
        self._open_store = open_store
        self._count_rows = count_rows
        self._now_s = now_s
        self._is_away = False

    async def run(self) -> None:
        """Keeps the store at the end of the log; when it ends, the store is closed.

        A broker that is away is waited for. Raises MismatchError when it was away for too long.
        """
        store = self._open_store()
        try:
            while True:
                try:
                    await self._follow(store)
                except KafkaError as error:
                    self._require_passing(error)
                await asyncio.sleep(LOOK_S)
        finally:
            store.close()

    async def _follow(self, store: Store) -> None:
        """Until something is wrong with the log; whoever calls again goes on where the store stands."""
        changelog = self._changelog
        patience_ms = await delete_retention_ms(self._bootstrap, changelog.topic) // 2
        async with BulkReader(reader_of(self._bootstrap), changelog.topic, changelog.partition) as reader:
            complete_at, bounds = time.monotonic(), await reader.bounds()
            now_ms = max(int(self._now_s() * 1000), await reader.newest_ms(bounds))
            if is_stale(store.position(), changelog, bounds, now_ms, patience_ms):
                log.info("%s: what the standby has is no earlier state of it, so it begins anew", changelog)
                store.wipe()
            while next_offset(store) <= bounds.end:
                if next_offset(store) < bounds.end:
                    await catch_up(reader, store, changelog, bounds, self._count_rows)
                    require_in_time(changelog, complete_at, patience_ms)
                    reader.pause()
                self._is_away = False
                await asyncio.sleep(LOOK_S)
                # Before the question: the store has all that was there then.
                complete_at, bounds = time.monotonic(), await reader.bounds()

    def _require_passing(self, error: KafkaError) -> None:
        """Raises what waiting does not mend. Logs the first of several."""
        if not (error.retriable or isinstance(error, _PASSING)):
            raise error
        if not self._is_away:
            self._is_away = True
            log.warning("%s: the standby waits for Kafka (%r)", self._changelog, error)


class Standbys:
    """Those of one worker and role, as `streams.ownership.Followers`."""

    def __init__(self, partitions: Iterable[Partition], make: Callable[[Partition], Standby]) -> None:
        """partitions: all that somebody owns, whoever that is."""
        self._partitions = tuple(partitions)
        self._make = make
        self._tasks: list[asyncio.Task[None]] = []
        self._failure: Exception | None = None

    def start(self, owned: Collection[Partition]) -> None:
        if self._tasks:
            raise RuntimeError("the standbys of the last assignment were not closed")
        followed = [partition for partition in self._partitions if partition not in owned]
        self._tasks = [asyncio.create_task(self._make(partition).run()) for partition in followed]

    def check(self) -> None:
        failures = (task.exception() for task in self._tasks if task.done())
        if failure := self._failure or next(failures, None):
            raise failure

    async def close(self) -> None:
        tasks, self._tasks = self._tasks, []
        await cancelled(tasks)
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                # For the next check: whoever closes has other things to close.
                self._failure = outcome
