"""The accounts stage as the commit protocol wants it: work in, publications out."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import msgspec

from state.account_batch import Outcome, Pending
from state.accounts import Accounts
from state.chores import Chores
from state.layers import Current, LayerReader
from streams.membership import member_record
from streams.stage import Applied, Publication, Publish, Record, Slice, Work
from streams.store import Rows

_pack = msgspec.msgpack.Encoder().encode
_unpack_pending = msgspec.msgpack.Decoder(Pending).decode


class AccountTopics(NamedTuple):
    """Where a partition publishes."""

    journeys: str
    milestones: str
    audience_changes: str
    audience_members: str
    partials: str


OUTPUT_NAMES = AccountTopics("journeys", "milestones", "audience-changes", "audience-members", "partials")
"""As `streams.topics` names them."""


class AccountsStage:
    """One partition of accounts. All outputs but `partials` are split where they must be; that is always whole."""

    def __init__(self, current: Current, topics: AccountTopics, store: Rows) -> None:
        self._store = store
        self._current = current
        self._reader = LayerReader(store, current)
        self._chores = Chores(store)
        self._topics = topics
        self.outputs = tuple(topics)
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
        topics, changes = self._topics, outcome.pending.memberships
        split = (
            (topics.journeys, journeys),
            (topics.milestones, outcome.pending.alerts),
            (topics.audience_changes, changes),
            (topics.audience_members, list(map(member_record, changes))),
        )
        found = [Publication(topic, list(records), whole=False) for topic, records in split if records]
        return [*found, Publication(topics.partials, partials, whole=True)]
