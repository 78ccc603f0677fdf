"""Milestones that come when so much has come together: touchpoints, their value, or points.

A touchpoint crosses when what came before it, within the time up to it, was less than is asked for, and with it is not.
So of a window it is told again only when it had been less in between.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal

from state.analyses.lens import Cells, Projection, State
from state.analyses.masks import mask_of
from state.analyses.milestones.lens import REFS_MAX, MilestoneLens, claim, ref_of
from state.analyses.thresholds import increase
from state.definitions.canvas_options import duration_ms
from state.definitions.milestone import Amount, Score
from state.matches import Condition
from state.milestone_set import MilestoneDefinition
from streams.touchpoint import MILLIONTHS, Touchpoint

_DONE, _TOTAL, _WINDOW, _RECENT = range(4)


class _CrossingLens(MilestoneLens):
    """State: [whether it happened and is told once, what has come together, of a window [moment, amount] of each, the
    last touchpoints as [moment, touchpoint]]. A count goes no further than is asked for, for more decides nothing."""

    def __init__(
        self,
        made: MilestoneDefinition,
        conditions: Sequence[Condition],
        bound: int,
        within: str | None,
        *,
        is_count: bool = False,
        reads_value: bool = False,
    ) -> None:
        super().__init__(made, conditions, ["value"] if reads_value else [])
        self._mask = mask_of(conditions)
        self._bound = bound
        self._within = duration_ms(within)
        self._is_count = is_count
        self._amount: Callable[[Touchpoint, int], int]

    def project(self, touchpoint: Touchpoint) -> Projection | None:
        mask = self._mask(touchpoint)
        amount = self._amount(touchpoint, mask) if mask else 0
        return (ref_of(touchpoint), amount) if amount else None

    def empty(self) -> State:
        return [False, 0, [], []]

    def advance(self, state: State, event_time: int, projection: Projection | None, cells: Cells) -> None:
        if state[_DONE]:
            return
        assert projection is not None, "the first touchpoint is not asked for"
        ref, amount = projection
        self._forget(state, event_time)
        before = int(state[_TOTAL])
        self._take(state, event_time, amount)
        state[_RECENT] = [*state[_RECENT], [event_time, ref]][-REFS_MAX:]
        if before < self._bound <= int(state[_TOTAL]):
            claim(cells, self.episode(ref), event_time, [each for _, each in state[_RECENT]])
            if not self.each:
                state[:] = [True, 0, [], []]

    def _forget(self, state: State, now: int) -> None:
        """Drops what lies before the window that ends now."""
        if self._within is None:
            return
        start = now - self._within
        window = state[_WINDOW]
        gone = next((n for n, (moment, _) in enumerate(window) if moment >= start), len(window))
        for _, amount in window[:gone]:
            increase(state, _TOTAL, -amount)
        state[_WINDOW] = window[gone:]
        state[_RECENT] = [each for each in state[_RECENT] if each[0] >= start]

    def _take(self, state: State, now: int, amount: int) -> None:
        increase(state, _TOTAL, amount)
        if self._within is not None:
            state[_WINDOW] = [*state[_WINDOW], [now, amount]]
        if self._is_count and state[_TOTAL] > self._bound:
            state[_TOTAL] = self._bound
            state[_WINDOW] = state[_WINDOW][-self._bound :]


class AmountLens(_CrossingLens):
    """A count, or a sum of value in millionths."""

    def __init__(self, made: MilestoneDefinition, when: Amount) -> None:
        is_count = when.metric == "count"
        bound = int(Decimal(str(when.at_least)) * (1 if is_count else MILLIONTHS))
        super().__init__(made, [when.match], bound, when.within, is_count=is_count, reads_value=not is_count)
        self._amount = (lambda _, mask: mask) if is_count else (lambda touchpoint, _: touchpoint.value or 0)


class ScoreLens(_CrossingLens):
    """A sum of points; a touchpoint that matches several rules has the points of all of them."""

    def __init__(self, made: MilestoneDefinition, when: Score) -> None:
        super().__init__(made, [each.match for each in when.points], when.at_least, when.within)
        points = [each.points for each in when.points]
        self._amount = lambda _, mask: sum(each for bit, each in enumerate(points) if mask >> bit & 1)
