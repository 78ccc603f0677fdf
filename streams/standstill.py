"""What an owner does about a record on which the computation fails: blames it, stands at it, goes on.

The law stands in `streams.poison`, with what needs no owner.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from aiokafka.errors import KafkaError

from streams.commits import Commits
from streams.poison import ComputationError, PoisonError, counted, fetch_one, is_set_aside, poison_error, record_id
from streams.protocol_rows import Input
from streams.restore import reader_of
from streams.stage import Record

log = logging.getLogger(__name__)

LOOK_S = 5.0
"""How often a partition that stands still asks whether its record was set aside."""


class Found(NamedTuple):
    """What a look gave. passed: where the record's input stands once it is passed over, when it was set aside. record:
    the one to try once more."""

    passed: dict[str, Input]
    record: Record | None


class Standstill:
    """One partition's. `blame` and `go_on` commit, in the owner's turn; `look` needs none."""

    def __init__(
        self, commits: Commits, bootstrap: str, partition: int, set_aside: str | None, restarts_max: int
    ) -> None:
        """set_aside: the topic of that name."""
        self._commits = commits
        self._bootstrap = bootstrap
        self._partition = partition
        self._set_aside = set_aside
        self._restarts_max = restarts_max
        self._looked_at = 0.0
        self._tried_behind = 0.0  # the commit behind which the record was tried, by when that was made

    @property
    def reason(self) -> PoisonError | None:
        """Why the partition is held and not read; None when all is well."""
        poison = self._commits.row.poison
        if poison is None or poison.count <= self._restarts_max:
            return None
        return poison_error(self._partition, poison, self._restarts_max)

    async def blame(self, records: Sequence[Record], failed: ComputationError) -> None:
        """Applies what lies before the record, says in a commit which one it is, and ends the worker: raises
        PoisonError."""
        topic, last = failed.record.topic, failed.record.offset - 1
        before = [record for record in records if self._commits.next_offset(topic) <= record.offset <= last]
        if before:
            await self._commits.apply(lambda: before)
        poison = counted(self._commits.row.poison, failed)
        await self._commits.commit_idle(poison=poison)
        raise poison_error(self._partition, poison, self._restarts_max) from failed.cause

    def is_due(self, now: float) -> bool:
        """Whether it stands and is to look."""
        return self.reason is not None and now - self._looked_at > LOOK_S

    async def look(self, now: float) -> Found:
        """Whether the record was set aside. Otherwise it is fetched, once behind every commit: it may compute now, for
        the code was mended, or chores have brought other definitions into effect."""
        log.error("%s", self.reason)
        poison = self._commits.row.poison
        assert poison is not None
        known_as = self._commits.row.input_by_topic[poison.topic].topic_id
        id_ = record_id(known_as, self._partition, poison.offset)
        self._looked_at = now
        reader, record = reader_of(self._bootstrap), None
        try:
            await reader.start()
            passes = self._set_aside is not None and await is_set_aside(reader, self._set_aside, id_)
            made_at = self._commits.made_at
            if not passes and made_at != self._tried_behind:
                record = await fetch_one(reader, poison.topic, self._partition, poison.offset)
                self._tried_behind = self._tried_behind if record is None else made_at
        except KafkaError as error:
            log.warning("could not look for %s: %r", id_.decode(), error)
            return Found({}, None)
        finally:
            await reader.stop()
        return Found({poison.topic: Input(poison.offset, known_as)} if passes else {}, record)

    async def go_on(self, found: Found) -> None:
        """Passes over the record or tries it, by what was found; otherwise stands still as before."""
        if found.passed and self._commits.stage.is_halfway():
            log.error("the record is half applied and can not be passed over; its partition stands until it computes")
        elif found.passed:
            await self._commits.commit_idle(self._commits.row.input_by_topic | found.passed)
        elif found.record is not None:
            records = [found.record]
            with suppress(ComputationError):
                await self._commits.apply(lambda: records)
