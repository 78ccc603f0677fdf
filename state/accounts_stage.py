"""The accounts stage as the commit protocol wants it: work in, publications out."""

from collections.abc import Sequence
from functools import partial

import msgspec

from state.account_batch import Outcome, Pending
from state.accounts import Accounts
from state.chores import Chores
from state.layers import Current, LayerReader
from streams.stage import Applied, Publication, Publish, Record, Slice, Work
from streams.store import Rows

_pack = msgspec.msgpack.Encoder().encode
_unpack_pending = msgspec.msgpack.Decoder(Pending).decode


class AccountsStage:
    """One partition of accounts. Outputs: `journeys` and `milestones`, split where they must be, and `partials`, always
    whole."""

    def __init__(
        self, current: Current, journeys_topic: str, milestones_topic: str, partials_topic: str, store: Rows
    ) -> None:
        self._store = store
        self._current = current
        self._reader = LayerReader(store, current)
        self._chores = Chores(store)
        self._journeys_topic = journeys_topic
        self._milestones_topic = milestones_topic
        self._partials_topic = partials_topic
        self.outputs = (journeys_topic, milestones_topic, partials_topic)
        self.definitions_hash = self._reader.layers().row.hash

    def compute(self, records: Sequence[Record], clock_ms: int) -> Work:
        """What the records change."""
        accounts = self._accounts(clock_ms)
        return self._work(accounts, accounts.compute(records))

    def slice(self, record: Record, clock_ms: int) -> Slice | None:
        """The next piece of one record's work: chunks of the containers whose past it changes, then everything."""
        accounts = self._accounts(clock_ms)
        piece = accounts.slice(record)
        if piece is None:
            return None
        if isinstance(piece, Outcome):
            return Slice(self._work(accounts, piece), is_last=True)
        return Slice(self._work(accounts, accounts.outcome_of(piece)), is_last=False)

    def is_halfway(self) -> bool:
        """Whether a record's job is under way."""
        return self._accounts().has_job()

    def again(self, pending: bytes) -> Publish:
        """What the last commit published, from its rows."""
        accounts = self._accounts()
        return partial(self._publications, accounts, accounts.again(_unpack_pending(pending)))

    def idle(self, clock_ms: int) -> Work:
        """Nothing changes; what is covered is said again. The first commit of all keeps the layers."""
        accounts = self._accounts()
        return self._work(accounts, accounts.outcome_of(self._reader.first_rows()))

    def chore(self, clock_ms: int, parts: int) -> Work | None:
        """The next step towards the definitions in force, or of what these leave to be done."""
        step = self._chores.next_step(self._reader.layers(), self._current(), parts, clock_ms)
        if step is None:
            return None
        behind = self._reader.behind(step.row, step.outcome.rows)
        return self._work(Accounts(behind, self._store), step.outcome)

    def chore_failed(self) -> None:
        """There is none of its kind until other definitions are known."""
        self._chores.failed()

    def due_ms(self) -> int | None:
        """When what waits for its time is to be told."""
        return self._chores.next_due_ms(self._reader.layers())

    def _accounts(self, clock_ms: int = 0) -> Accounts:
        return Accounts(self._reader.layers(), self._store, clock_ms)

    def _work(self, accounts: Accounts, outcome: Outcome) -> Work:
        self.definitions_hash = accounts.definitions_hash
        return Work(outcome.rows, _pack(outcome.pending), partial(self._publications, accounts, outcome))

    def _publications(self, accounts: Accounts, outcome: Outcome, applied: Applied) -> list[Publication]:
        journeys = accounts.journey_records(outcome, applied.tag)
        partials = accounts.partial_records(outcome, applied)
        split = (self._journeys_topic, journeys), (self._milestones_topic, outcome.pending.alerts)
        found = [Publication(topic, list(records), whole=False) for topic, records in split if records]
        return [*found, Publication(self._partials_topic, partials, whole=True)]
