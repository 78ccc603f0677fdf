"""The accounts stage: what batches of touchpoints change, and what of it is published."""

from collections.abc import Sequence

from state.account_batch import AccountBatch, Outcome, Pending, TouchpointRecord
from state.journeys import encode_journey
from state.plan import Plan
from state.rows import EVENT_TIME_KEY, cell_row_key, container_key, decode_container
from streams.partials import COVERS_KEY, Covers, Tag, encode_covers, encode_partial
from streams.store import Row, Store


class Accounts:
    """One partition's containers and cells under a plan. Pure with respect to the store."""

    def __init__(self, plan: Plan, store: Store) -> None:
        self._plan = plan
        self._store = store

    def compute(self, records: Sequence[TouchpointRecord]) -> Outcome:
        """What `records` (in the order of their offsets) change. Nothing is written."""
        return AccountBatch(self._plan, self._store).outcome(records)

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

    def partial_records(self, outcome: Outcome, tag: Tag, applied: dict[str, int], clock_ms: int) -> list[Row]:
        """The records of `partials`: the changed cells, then what they cover."""
        records: list[Row] = [(key, encode_partial(tag, value)) for key, value in outcome.cells]
        covers = Covers(tag, applied, clock_ms, outcome.event_time_max_ms, self._plan.hash)
        records.append((COVERS_KEY, encode_covers(covers)))
        return records
