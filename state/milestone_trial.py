"""What milestones would have told, had they been in force from the beginning: the touchpoints of a partition once more,
in the order in which they came, through the same code as ever, into a store that is nobody's.

Batches may be larger than live ones, so what was told and taken back within one of them is not seen.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from state.account_batch import Outcome
from state.accounts import Accounts, PlacedRecord
from state.audience_set import AudienceDefinition
from state.chores import Chores
from state.claims import Said, decode_said
from state.definition_set import DefinitionSet
from state.layers import Layers
from state.milestone_set import MilestoneDefinition
from state.plan import Plan
from state.rows import SAID_PREFIX, said_milestone_of
from streams.batch import BatchTooLargeError
from streams.store import Row, Rows

Write = Callable[[Sequence[Row]], None]


class Trial:
    """One partition."""

    def __init__(
        self,
        milestones: Sequence[MilestoneDefinition],
        store: Rows,
        write: Write,
        audiences: Sequence[AudienceDefinition] = (),
    ) -> None:
        """write: puts rows into the store."""
        definitions = DefinitionSet((), (), tuple(milestones), tuple(audiences))
        self._layers = Layers.only(Plan((), milestones=milestones, audiences=audiences), definitions.hash)
        self._known = -1, definitions
        self._chores = Chores(store)
        self._store = store
        self._write = write

    def take(self, records: Sequence[PlacedRecord], clock_ms: int) -> list[Row]:
        """The alerts of the next records, at the clock behind them, and of what is due by then."""
        return [*self._applied(records, clock_ms), *self.rest(clock_ms)]

    def rest(self, clock_ms: int) -> list[Row]:
        """What time alone brings about up to a moment."""
        told: list[Row] = []
        while (step := self._chores.next_step(self._layers, self._known, clock_ms=clock_ms)) is not None:
            told += self._committed(step.outcome)
        return told

    def said(self) -> dict[str, Counter[str]]:
        """By milestone how many alerts stand in the end (`asserted`), were taken back (`revoked`), and how many
        revisions there were beyond the first (`corrections`)."""
        found: dict[str, Counter[str]] = {}
        for key, value in self._store.scan(SAID_PREFIX):
            said: Said = decode_said(value)
            counts = found.setdefault(said_milestone_of(key), Counter())
            counts["asserted" if said.is_asserted else "revoked"] += 1
            counts["corrections"] += said.revision - 1
        return found

    def _applied(self, records: Sequence[PlacedRecord], clock_ms: int) -> list[Row]:
        accounts = Accounts(self._layers, self._store, clock_ms)
        try:
            return self._committed(accounts.compute(records))
        except BatchTooLargeError:
            if len(records) > 1:
                middle = len(records) // 2
                return [*self._applied(records[:middle], clock_ms), *self._applied(records[middle:], clock_ms)]
        return self._sliced(accounts, records[0])

    def _sliced(self, accounts: Accounts, record: PlacedRecord) -> list[Row]:
        """A record that is too large alone. Raises BatchTooLargeError when it can not be cut."""
        while not isinstance(piece := accounts.slice(record), Outcome):
            if piece is None:
                raise BatchTooLargeError("one touchpoint changes more than a commit holds")
            self._write(piece)
        return self._committed(piece)

    def _committed(self, outcome: Outcome) -> list[Row]:
        self._write(outcome.rows)
        return self._told(outcome)

    def _told(self, outcome: Outcome) -> list[Row]:
        return outcome.pending.alerts
