"""What a partition does without input: it goes over to other definitions, moves accounts into the newest layer, and
sweeps what that leaves behind. One step is one commit; there is none while a record is half applied.

A step that can not be computed, or fits no commit, is not tried again by the same owner: only another set of
definitions can help. It takes effect at once then, and the move of an account that was half done is abandoned.
"""

from typing import NamedTuple

from state.account_batch import Outcome
from state.accounts import Accounts
from state.definition_set import DefinitionSet
from state.layers import Layers, LayersRow, with_definitions
from state.moving import Mover, swept
from streams.store import Rows


class Step(NamedTuple):
    """What a step changes, and the layers behind it, whose rows are among the outcome's."""

    outcome: Outcome
    row: LayersRow


LAYERS_MAX = 8
"""Other definitions wait while there are so many, for each has to be moved from."""
_NEVER = -2
"""Before every end of the definitions topic, and before what layers without one say."""


class Chores:
    """The steps of one partition, for as long as it has this owner."""

    def __init__(self, store: Rows) -> None:
        self._store = store
        # Ends of the definitions topic: where the layers stand whose next step fails, and that which can not take
        # effect. Then what both become if the step fails that was asked for last.
        self._stuck, self._refused = _NEVER, _NEVER
        self._if_it_fails = _NEVER, _NEVER

    def next_step(self, layers: Layers, known: tuple[int, DefinitionSet], parts: int = 1) -> Step | None:
        """What is to be done next, None when all is done, or nothing can be.

        known: the end of the definitions topic, and the set in force. parts: of which a usual step is to be one.
        """
        accounts = Accounts(layers, self._store)
        if accounts.has_job():
            return None
        (offset, definitions), row = known, layers.row
        is_stuck = row.offset == self._stuck
        is_other = offset > row.offset and definitions.hash != row.hash and offset != self._refused
        goes_over = is_other and (_can_abandon(row) if is_stuck else _is_ready(row))
        self._if_it_fails = (self._stuck, offset) if goes_over else (row.offset, self._refused)
        if goes_over:
            row, rows = with_definitions(layers, offset, definitions)
            return Step(accounts.outcome_of(rows), row)
        if is_stuck:
            return None
        if row.debris:
            rows, cells, row = swept(row, self._store, parts)
            return Step(accounts.outcome_of(rows, cells), row)
        if len(layers.plans) > 1:
            return Step(*Mover(layers, self._store, parts).slice())
        return None

    def failed(self) -> None:
        """The step that was asked for last can not be done."""
        self._stuck, self._refused = self._if_it_fails


def _is_ready(row: LayersRow) -> bool:
    """Whether another set may take effect. It waits for an account that moves in pieces: abandoned, that would begin
    again, and sets that come faster than it moves would keep it from ever being done."""
    return row.moving is None and len(row.reached) < LAYERS_MAX


def _can_abandon(row: LayersRow) -> bool:
    return row.moving is None or row.moving.can_be_abandoned
