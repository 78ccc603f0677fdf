"""Milestones that time alone brings about: something is missing, or stays as it is, for so long.

Of a container one claim is open at most: made when the time begins, for the moment when it is over. What comes behind
that moment finds it standing for good; what comes before, or at it, may take it back.
"""

from state.analyses.dimension import item_of
from state.analyses.lens import Cells, Projection, State
from state.analyses.masks import mask_of
from state.analyses.milestones.lens import MilestoneLens, Ref, claim, ref_of
from state.conditions import wire_field
from state.definitions.milestone import Missing, Unchanged, within_ms
from state.milestone_set import MilestoneDefinition
from streams.touchpoint import Touchpoint

_DONE, _OPEN, _VALUE = range(3)
_AFTER, _WITHOUT = 1, 2


class _WaitingLens(MilestoneLens):
    """State: [whether it happened and is told once, the open claim as [when it is over, the touchpoint that began it]
    or None, and what the lens keeps]."""

    waits = True
    _within: int

    def _is_over(self, state: State, event_time: int) -> bool:
        """Whether the open claim stands for good, and nothing else is to be told."""
        if state[_OPEN] is not None and event_time > state[_OPEN][0]:
            state[_OPEN], state[_DONE] = None, not self.each
        return bool(state[_DONE])

    def _begin(self, state: State, event_time: int, ref: Ref, cells: Cells) -> None:
        over = event_time + self._within
        claim(cells, self.episode(ref), over, [ref])
        state[_OPEN] = [over, ref]

    def _take_back(self, state: State, cells: Cells) -> None:
        if state[_OPEN] is not None:
            over, ref = state[_OPEN]
            claim(cells, self.episode(ref), over, [ref], change=-1)
            state[_OPEN] = None


class MissingLens(_WaitingLens):
    """Nothing does what should follow. While a claim is open another beginning begins nothing."""

    def __init__(self, made: MilestoneDefinition, when: Missing) -> None:
        super().__init__(made, [when.after, when.without])
        self._mask = mask_of([when.after, when.without])
        self._within = within_ms(when.within)

    def project(self, touchpoint: Touchpoint) -> Projection | None:
        mask = self._mask(touchpoint)
        return (ref_of(touchpoint), mask) if mask else None

    def empty(self) -> State:
        return [False, None]

    def advance(self, state: State, event_time: int, projection: Projection | None, cells: Cells) -> None:
        assert projection is not None, "the first touchpoint is not asked for"
        ref, mask = projection
        if self._is_over(state, event_time):
            return
        if mask & _WITHOUT:
            self._take_back(state, cells)
        if mask & _AFTER and state[_OPEN] is None:
            self._begin(state, event_time, ref, cells)


class UnchangedLens(_WaitingLens):
    """A value stays. The state keeps it behind the claim."""

    def __init__(self, made: MilestoneDefinition, when: Unchanged) -> None:
        super().__init__(made, [], [wire_field(when.field)])
        self._item = item_of(when.field)
        self._admits = when.admits
        self._within = within_ms(when.for_)

    def project(self, touchpoint: Touchpoint) -> Projection | None:
        item = self._item(touchpoint)
        return None if item is None else (ref_of(touchpoint), item)

    def empty(self) -> State:
        return [False, None, None]

    def advance(self, state: State, event_time: int, projection: Projection | None, cells: Cells) -> None:
        assert projection is not None, "the first touchpoint is not asked for"
        ref, item = projection
        if self._is_over(state, event_time) or item == state[_VALUE]:
            return
        self._take_back(state, cells)
        state[_VALUE] = item
        if self._admits(item):
            self._begin(state, event_time, ref, cells)
