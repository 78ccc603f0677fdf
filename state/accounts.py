"""The accounts stage: what batches of touchpoints change, and what of it is published."""

from collections.abc import Sequence
from typing import Protocol

from state.account_batch import AccountBatch, Outcome, Pending
from state.groups import TouchpointRecord
from state.job import Job, decode_job, new_job
from state.journeys import encode_journey
from state.plan import Plan
from state.rows import EVENT_TIME_KEY, JOB_KEY, cell_row_key, container_key, decode_container
from streams.batch import BatchTooLargeError
from streams.partials import COVERS_KEY, Covers, Tag, encode_covers, encode_partial
from streams.stage import Applied
from streams.store import Row, Store


class PlacedRecord(TouchpointRecord, Protocol):
    """A record that can be found again."""

    @property
    def offset(self) -> int: ...


class Accounts:
    """One partition's containers and cells under a plan. Pure with respect to the store."""

    def __init__(self, plan: Plan, store: Store) -> None:
        self._plan = plan
        self._store = store

    def compute(self, records: Sequence[TouchpointRecord]) -> Outcome:
        """What `records` (in the order of their offsets) change. Nothing is written.

        Raises BatchTooLargeError when that is more than a commit holds, and while a job waits for its own record.
        """
        if self.has_job():
            raise BatchTooLargeError("the first of these records is applied in slices and not done yet")
        return AccountBatch(self._plan, self._store).outcome(records)

    def has_job(self) -> bool:
        """Whether a record is half applied."""
        return self._store.get([JOB_KEY])[0] is not None

    def slice(self, record: PlacedRecord) -> list[Row] | Outcome | None:
        """The next piece of what one record changes: rows that no reader notices, then the outcome.

        None when it can not be cut, for it changes nobody's past.
        """
        job = self._job(record)
        if not job.parts:
            return None
        if not job.is_done:
            return job.slice(self._plan, self._store)
        outcome = AccountBatch(self._plan, self._store, job.parts).outcome([record])
        outcome.rows.append((JOB_KEY, None))
        return outcome

    def _job(self, record: PlacedRecord) -> Job:
        """The job that applies the record, a new one where there is none."""
        (stored,) = self._store.get([JOB_KEY])
        if stored is None:
            return new_job(self._plan, record.offset, AccountBatch(self._plan, self._store).revisions([record]))
        job = decode_job(stored)
        if job.offset != record.offset:
            raise RuntimeError(f"the record at {job.offset} is half applied, but {record.offset} comes next")
        return job

    def again(self, pending: Pending) -> Outcome:
        """The outcome whose publication a crash may have swallowed, from the rows as they are."""
        keys = [container_key(account, self._plan.account.code, b"") for account in pending.accounts]
        found = self._store.get([*keys, *(cell_row_key(key) for key in pending.cells), EVENT_TIME_KEY])
        rows = [None if value is None else decode_container(value) for value in found[: len(keys)]]
        cells = [0 if value is None else int(value) for value in found[len(keys) : -1]]
        journeys = list(zip(pending.accounts, rows, strict=True))
        return Outcome([], pending, journeys, list(zip(pending.cells, cells, strict=True)), int(found[-1] or 0))

    def journey_records(self, outcome: Outcome, tag: Tag) -> list[Row]:
        """The records of `journeys`."""
        account_plan = self._plan.account
        return [
            (account, encode_journey(tag, account, row, {} if row is None else account_plan.positions(row.states)))
            for account, row in outcome.journeys
        ]

    def partial_records(self, outcome: Outcome, applied: Applied) -> list[Row]:
        """The records of `partials`: the changed cells, then what they cover."""
        tag = applied.tag
        records: list[Row] = [(key, encode_partial(tag, value)) for key, value in outcome.cells]
        times = applied.clock_ms, outcome.event_time_max_ms
        covers = Covers(tag, applied.applied, *times, self._plan.hash, applied.failing)
        records.append((COVERS_KEY, encode_covers(covers)))
        return records
