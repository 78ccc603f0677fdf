"""The accounts stage as the commit protocol wants it: work in, publications out."""

from collections.abc import Sequence
from functools import partial

import msgspec

from state.account_batch import Outcome, Pending
from state.accounts import Accounts
from state.plan import Plan
from streams.stage import Applied, Publication, Publish, Record, Slice, Work
from streams.store import Row, Store

_pack = msgspec.msgpack.Encoder().encode
_unpack_pending = msgspec.msgpack.Decoder(Pending).decode


class AccountsStage:
    """One partition of accounts. Outputs: `journeys`, split where it must be, and `partials`, always whole."""

    def __init__(self, plan: Plan, journeys_topic: str, partials_topic: str, store: Store) -> None:
        self._accounts = Accounts(plan, store)
        self._journeys_topic = journeys_topic
        self._partials_topic = partials_topic
        self.outputs = (journeys_topic, partials_topic)
        self.definitions_hash = plan.hash

    def compute(self, records: Sequence[Record], clock_ms: int) -> Work:
        """What the records change."""
        return self._work(self._accounts.compute(records))

    def slice(self, record: Record, clock_ms: int) -> Slice | None:
        """The next piece of one record's work: chunks of the containers whose past it changes, then everything."""
        piece = self._accounts.slice(record)
        if piece is None:
            return None
        if isinstance(piece, Outcome):
            return Slice(self._work(piece), is_last=True)
        return Slice(self._unchanged(piece), is_last=False)

    def is_halfway(self) -> bool:
        """Whether a record's job is under way."""
        return self._accounts.has_job()

    def again(self, pending: bytes) -> Publish:
        """What the last commit published, from its rows."""
        return partial(self._publications, self._accounts.again(_unpack_pending(pending)))

    def idle(self, clock_ms: int) -> Work:
        """Nothing changes; what is covered is said again."""
        return self._unchanged([])

    def chore(self, clock_ms: int) -> Work | None:
        """None: nothing here waits for a quiet moment."""

    def _work(self, outcome: Outcome) -> Work:
        return Work(outcome.rows, _pack(outcome.pending), partial(self._publications, outcome))

    def _unchanged(self, rows: list[Row]) -> Work:
        """Rows that change nothing that is published."""
        nothing = Pending([], [])
        return Work(rows, _pack(nothing), partial(self._publications, self._accounts.again(nothing)))

    def _publications(self, outcome: Outcome, applied: Applied) -> list[Publication]:
        journeys = self._accounts.journey_records(outcome, applied.tag)
        partials = self._accounts.partial_records(outcome, applied)
        found = [Publication(self._partials_topic, partials, whole=True)]
        return [Publication(self._journeys_topic, journeys, whole=False), *found] if journeys else found
