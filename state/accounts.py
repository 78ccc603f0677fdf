"""The accounts stage: what batches of touchpoints change, and what of it is published."""

from collections.abc import Sequence
from typing import Protocol

from state.account_batch import AccountBatch, Changes, Outcome, Pending, totals
from state.groups import TouchpointRecord
from state.job import Job, decode_job, new_job
from state.journeys import journey_of, tagged
from state.layers import Layers
from state.rows import (
    JOB_KEY,
    cell_row_key,
    container_key,
    decode_container,
)
from state.series import Revision
from streams.batch import BatchTooLargeError
from streams.partials import COVERS_KEY, Covers, Tag, encode_covers, encode_partial, version_of
from streams.stage import Applied
from streams.store import Row, Rows


class PlacedRecord(TouchpointRecord, Protocol):
    """A record that can be found again."""

    @property
    def offset(self) -> int: ...


class Accounts:
    """One partition's containers and cells, as its layers say. Pure with respect to the store."""

    def __init__(self, layers: Layers, store: Rows, clock_ms: int = 0) -> None:
        """clock_ms: the partition's, behind what is computed; what time alone brings about is told up to it."""
        self._layers = layers
        self._store = store
        self._clock_ms = clock_ms

    @property
    def definitions_hash(self) -> str:
        """Of the set in force here."""
        return self._layers.row.hash

    def compute(self, records: Sequence[TouchpointRecord]) -> Outcome:
        """What `records` (in the order of their offsets) change. Nothing is written.

        Raises BatchTooLargeError when that is more than a commit holds, and while a job waits for its own record.
        """
        if self.has_job():
            raise BatchTooLargeError("the first of these records is applied in slices and not done yet")
        changes = Changes(self._layers, self._clock_ms)
        for share in self._layers.shares(records):
            AccountBatch(share, self._store, changes).apply()
        return changes.outcome(self._store)

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
            return job.slice(self._layers, self._store)
        changes = Changes(self._layers, self._clock_ms)
        for share in self._layers.shares([record]):
            AccountBatch(share, self._store, changes, job.parts).apply()
        outcome = changes.outcome(self._store)
        outcome.rows.append((JOB_KEY, None))
        return outcome

    def _job(self, record: PlacedRecord) -> Job:
        """The job that applies the record, a new one where there is none."""
        (stored,) = self._store.get([JOB_KEY])
        if stored is None:
            return new_job(self._layers, record.offset, self._revisions(record))
        job = decode_job(stored)
        if job.offset != record.offset:
            raise RuntimeError(f"the record at {job.offset} is half applied, but {record.offset} comes next")
        return job

    def _revisions(self, record: PlacedRecord) -> dict[bytes, Revision]:
        found: dict[bytes, Revision] = {}
        for share in self._layers.shares([record]):
            found |= AccountBatch(share, self._store, Changes(self._layers, self._clock_ms)).revisions()
        return found

    def again(self, pending: Pending) -> Outcome:
        """The outcome whose publication a crash may have swallowed, from the rows as they are."""
        keys = [self._account_key(account) for account in pending.accounts]
        found = self._store.get([*keys, *(cell_row_key(key) for key in pending.cells)])
        rows = [None if value is None else decode_container(value) for value in found[: len(keys)]]
        cells = [0 if value is None else int(value) for value in found[len(keys) :]]
        plan_of = self._layers.plan_of
        journeys = [
            (account, journey_of(account, row, plan_of(account).account))
            for account, row in zip(pending.accounts, rows, strict=True)
        ]
        known = totals(self._store, (plan.code for plan in self._layers.plans))
        return Outcome([], pending, journeys, list(zip(pending.cells, cells, strict=True)), *known)

    def outcome_of(self, rows: list[Row], deleted: Sequence[bytes] = ()) -> Outcome:
        """The outcome of rows that change nothing that is published but that these cells are deleted."""
        outcome = self.again(Pending([], [*deleted]))
        outcome.rows.extend(rows)
        return outcome

    def _account_key(self, account: bytes) -> bytes:
        plan = self._layers.plan_of(account)
        return container_key(plan.code, account, plan.account.code, b"")

    def journey_records(self, outcome: Outcome, tag: Tag) -> list[Row]:
        """The records of `journeys`."""
        return tagged(tag, outcome.journeys)

    def partial_records(self, outcome: Outcome, applied: Applied) -> list[Row]:
        """The records of `partials`: the changed cells, of which those that are not in force are deleted; then what
        they cover."""
        tag, in_force = applied.tag, self._layers.in_force
        records: list[Row] = [
            (key, encode_partial(tag, value) if version_of(key) in in_force else None) for key, value in outcome.cells
        ]
        times = applied.clock_ms, outcome.event_time_max_ms
        building = self._building(outcome.account_counts)
        complete = [version for version in self._layers.row.in_force if version not in building]
        covers = Covers(tag, applied.applied, *times, self._layers.row.hash, applied.failing, complete, building)
        records.append((COVERS_KEY, encode_covers(covers)))
        return records

    def _building(self, account_counts: dict[int, int]) -> dict[str, tuple[int, int]]:
        """Per version that is not complete: how many accounts it counts, and how many there are."""
        counts = [(plan.versions, account_counts.get(plan.code, 0)) for plan in self._layers.plans]
        count = sum(each for _, each in counts)
        return {
            version: (sum(each for versions, each in counts if version in versions), count)
            for version in sorted(self._layers.incomplete())
        }
