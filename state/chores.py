"""What a partition does without input: it tells what time has brought about, goes over to other definitions, moves
accounts into the newest layer, and sweeps what that leaves behind. One step is one commit; there is none while a record
is half applied.

A step that can not be computed, or fits no commit, is not tried again by the same owner: only another set of
definitions can help. It takes effect at once then, and the move of an account that was half done is abandoned.
"""

from itertools import islice, takewhile
from typing import NamedTuple

from state.account_batch import Changes, Outcome
from state.accounts import Accounts
from state.claims import timers
from state.definition_set import DefinitionSet
from state.layers import Layers, LayersRow, Leaving, layer_rows, with_definitions
from state.memberships import next_to_leave
from state.moving import Mover, part_of, swept
from streams.store import Rows


class Step(NamedTuple):
    """What a step changes, and the layers behind it, whose rows are among the outcome's."""

    outcome: Outcome
    row: LayersRow


SLICE_TIMERS = 1_000
"""What a step tells."""
SLICE_LEAVING = 2_000
"""Of how many who are or were in an audience a step looks whether they have to leave it."""
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
        # Whether what is due was asked for last, and whether that failed.
        self._fires, self._can_not_fire = False, False

    def next_step(
        self, layers: Layers, known: tuple[int, DefinitionSet], parts: int = 1, clock_ms: int = 0
    ) -> Step | None:
        """What is to be done next, None when all is done, or nothing can be.

        known: the end of the definitions topic, and the set in force. parts: of which a usual step is to be one.
        clock_ms: the partition's.
        """
        accounts = Accounts(layers, self._store)
        if accounts.has_job():
            return None
        self._fires = True
        if (fired := self._fired(layers, parts, clock_ms)) is not None:
            return fired
        self._fires = False
        return self._towards_definitions(layers, known, parts, clock_ms, accounts)

    def next_due_ms(self, layers: Layers) -> int | None:
        """When the next timer is due that this owner can do something about; None without one."""
        return None if self._can_not_fire else next((each.due_ms for each in timers(layers, self._store)), None)

    def _fired(self, layers: Layers, parts: int, clock_ms: int) -> Step | None:
        """What is due by the clock."""
        if self._can_not_fire:
            return None
        due = takewhile(lambda each: each.due_ms <= clock_ms, timers(layers, self._store))
        some = list(islice(due, part_of(SLICE_TIMERS, parts)))
        if not some:
            return None
        changes = Changes(layers, clock_ms)
        changes.fire(some)
        return Step(changes.outcome(self._store), layers.row)

    def _towards_definitions(
        self, layers: Layers, known: tuple[int, DefinitionSet], parts: int, clock_ms: int, accounts: Accounts
    ) -> Step | None:
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
        if (leaving := _next_leaving(layers)) is not None:
            return self._leave(layers, leaving, parts, clock_ms)
        if row.debris:
            rows, cells, row = swept(row, self._store, parts)
            return Step(accounts.outcome_of(rows, cells), row)
        if len(layers.plans) > 1:
            return Step(*Mover(layers, self._store, parts, clock_ms).slice())
        return None

    def _leave(self, layers: Layers, leaving: Leaving, parts: int, clock_ms: int) -> Step:
        """The next members of an audience that is gone, or changed, are told that they are out."""
        changes = Changes(layers, clock_ms)
        members, row = next_to_leave(layers.row, leaving, self._store, part_of(SLICE_LEAVING, parts))
        changes.memberships.leave(leaving.audience, members)
        outcome = changes.outcome(self._store)
        outcome.rows += layer_rows(row)
        return Step(outcome, row)

    def failed(self) -> None:
        """The step that was asked for last can not be done."""
        if self._fires:
            self._can_not_fire = True
            return
        self._stuck, self._refused = self._if_it_fails


def _next_leaving(layers: Layers) -> Leaving | None:
    """Of which audience members leave now: one that is gone; or one that has changed, when all accounts have moved, for
    then it is known whom the new version carries over."""
    is_moved, names = len(layers.plans) == 1, layers.newest.audience_names.values()
    return next((each for each in layers.row.leaving if is_moved or each.audience not in names), None)


def _is_ready(row: LayersRow) -> bool:
    """Whether another set may take effect. It waits for an account that moves in pieces: abandoned, that would begin
    again, and sets that come faster than it moves would keep it from ever being done."""
    return row.moving is None and len(row.reached) < LAYERS_MAX


def _can_abandon(row: LayersRow) -> bool:
    return row.moving is None or row.moving.can_be_abandoned
