"""Cohort: which containers, included in one period, return in later ones (`docs/semantics.md`, Cohort table).

Only the current period is open: its counters and whether its thresholds hold now are kept, and what held in a
period before is settled. Thresholds that can revert take back what they said within the period.
Cells: i included in a bucket, r returned k buckets later.
"""

from functools import partial
from typing import Any

from state.analyses.gate import Gate, Level
from state.analyses.lens import Cells, Projection, State
from state.analyses.masks import mask_of
from state.analyses.thresholds import holding, increase
from state.calendar import Calendar
from state.conditions import fields_of
from state.definitions import Cohort
from state.definitions.thresholds import leaves_of
from streams.partials import Cell
from streams.touchpoint import Touchpoint

_BUCKET, _INCLUSION, _IN, _RETURN, _AFTER, _BACK, _BACK_AFTER, _PAST = range(8)


class CohortLens:
    """State: [bucket, sums of the inclusion thresholds in it, whether it is included now, sums of the return
    thresholds in the whole bucket, sums since the inclusion, whether either holds now, earlier included buckets]."""

    kind: str = "cohort"
    needs_first = False
    distinct = False
    gate: Gate[Cell] | None = None
    under: tuple[Level, ...] = ()

    def __init__(self, definition: Cohort, version: str, calendar: Calendar) -> None:
        self.name, self.version = definition.name, version
        self._first_only = definition.include == "first"
        self._periods = definition.period_count
        inclusion, returning = leaves_of(definition.inclusion), leaves_of(definition.return_)
        self._inclusion_count, self._return_count = len(inclusion), len(returning)
        self._included = holding(definition.inclusion, iter(range(len(inclusion))))
        self._returned = holding(definition.return_, iter(range(len(returning))))
        self._reverts = any(leaf.metric != "count" or leaf.op not in (">=", ">") for leaf in inclusion)
        leaves = [*inclusion, *returning]
        self._sums_value = [leaf.metric == "value" for leaf in leaves]
        self._reads_value = any(self._sums_value)
        self._mask = mask_of([leaf.match for leaf in leaves])
        # Thresholds that hold over nothing make every touchpoint count: its period has one.
        self.needs_all = self._included([0] * len(inclusion)) or self._returned([0] * len(returning))
        read = {field for leaf in leaves for field in fields_of(leaf.match)}
        self.fields = frozenset(read | {"type"} | ({"value"} if self._reads_value else set()))
        self._day_of, self._bucket_of_day = calendar.day_of, calendar.bucket_of_day(definition.granularity)
        self._start_of = partial(calendar.bucket_start_day, definition.granularity)
        self._date_of_day = calendar.date_of_day

    def project(self, touchpoint: Touchpoint) -> Projection | None:
        mask = self._mask(touchpoint)
        if not mask and not self.needs_all:
            return None
        return (mask, touchpoint.value or 0) if self._reads_value else mask

    def empty(self) -> State:
        return [None, [0] * self._inclusion_count, False, [0] * self._return_count, [0] * self._return_count,
                False, False, []]  # fmt: skip

    def advance(self, state: State, event_time: int, projection: Projection, cells: Cells) -> None:
        bucket = self._bucket_of_day(self._day_of(event_time))
        if bucket != state[_BUCKET]:
            self._open(state, bucket)
        mask, value = projection if self._reads_value else (projection, 0)
        self._count(state, mask, value)
        past = state[_PAST]
        included = not (self._first_only and past) and self._included(state[_INCLUSION])
        back = self._returned(state[_RETURN])
        back_after = included and (back if self._reverts else self._returned(state[_AFTER]))
        if included != state[_IN]:
            add(cells, ("i", bucket), 1 if included else -1)
        if back != state[_BACK]:
            for start in past:
                if bucket - start <= self._periods:
                    add(cells, ("r", start, bucket - start), 1 if back else -1)
        if back_after != state[_BACK_AFTER]:
            add(cells, ("r", bucket, 0), 1 if back_after else -1)
        state[_IN], state[_BACK], state[_BACK_AFTER] = included, back, back_after

    def _open(self, state: State, bucket: int) -> None:
        """Settles the bucket behind us and begins another."""
        past = [*state[_PAST], state[_BUCKET]] if state[_IN] else state[_PAST]
        if not self._first_only:
            past = [start for start in past if bucket - start <= self._periods]
        state[:] = [bucket, *self.empty()[1:_PAST], past]

    def _count(self, state: State, mask: int, value: int) -> None:
        was_included = state[_IN]
        for index, sums_value in enumerate(self._sums_value):
            if mask >> index & 1:
                amount = value if sums_value else 1
                if index < self._inclusion_count:
                    increase(state[_INCLUSION], index, amount)
                else:
                    place = index - self._inclusion_count
                    increase(state[_RETURN], place, amount)
                    if was_included:
                        increase(state[_AFTER], place, amount)

    def position(self, state: State) -> Any:
        past = self._past_buckets(state)
        included = [*past, state[_BUCKET]] if state[_IN] else past
        return [self._date_of_day(self._start_of(bucket)).isoformat() for bucket in included] or None

    def _past_buckets(self, state: State) -> list[int]:
        past: list[int] = state[_PAST]
        return past


def add(cells: Cells, cell: tuple[Any, ...], amount: int) -> None:
    """Changes a cell."""
    cells[cell] = cells.get(cell, 0) + amount
