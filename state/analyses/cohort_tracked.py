"""Cohort with options: what rolling, cumulative, latency, dimension and velocity keep of a container besides.

The law: a period behind us is settled, and what the current one says of the cells follows from the state alone. So
where anything that counts turns, all of that is taken back and said anew (`_say`); between turns nothing is said.
Cells: i included in a bucket, then by mode r returned k buckets later, s returned in every one of 1..k, f first
returned k later (k < 0: last returned before); v first returned k later, after a duration of this bucket. A dimension's
item stands at the end of each.
"""

from typing import Any

from state.analyses.cohort import CohortLens, add
from state.analyses.dimension import item_of
from state.analyses.lens import Cells, Projection, State
from state.calendar import Calendar
from state.conditions import wire_field
from state.definitions import Cohort
from state.durations import bucket_of_duration
from streams.touchpoint import Touchpoint

_BUCKET, _INCLUSION, _IN, _RETURN, _AFTER, _BACK, _BACK_AFTER, _PAST, _BEFORE, _ITEM, _MOMENTS = range(11)
_START = 0
_INCLUDED, _RETURNED, _RETURNED_BEHIND = range(3)
_NO_MOMENTS = (None, None, None)
_LETTER_BY_MODE = {"retention": "r", "churn": "r", "rolling": "s", "cumulative": "f"}


def cohort_lens(definition: Cohort, version: str, calendar: Calendar) -> CohortLens:
    """The lens of a cohort; one without options keeps no more than it needs."""
    plain = definition.mode in ("retention", "churn") and definition.dimension is None
    if plain and not definition.latency and not definition.velocity:
        return CohortLens(definition, version, calendar)
    return TrackedCohortLens(definition, version, calendar)


class TrackedCohortLens(CohortLens):
    """State: what CohortLens keeps, then: buckets with a return before the inclusion (latency), the item of the current
    inclusion, the moments at which it, the return and the return behind it last became true (velocity; else None).

    Earlier included buckets are [bucket, item, moment of the inclusion, whether the mode's cells go on, whether the
    first return is still to come].
    """

    def __init__(self, definition: Cohort, version: str, calendar: Calendar) -> None:
        super().__init__(definition, version, calendar)
        self._mode, self._letter = definition.mode, _LETTER_BY_MODE[definition.mode]
        self._latency, self._velocity = definition.latency, definition.velocity
        self._item = None if definition.dimension is None else item_of(definition.dimension)
        self._includes_nothing = self._included([0] * self._inclusion_count)
        self._inclusion_bits = (1 << self._inclusion_count) - 1
        if definition.dimension is not None:
            self.fields |= {wire_field(definition.dimension)}

    def project(self, touchpoint: Touchpoint) -> Projection | None:
        read = super().project(touchpoint)
        if read is None or self._item is None:
            return read
        mask, value = read if self._reads_value else (read, 0)
        # Only here an inclusion can become true, so that nothing else has to be kept with its item.
        includes = mask & self._inclusion_bits or self._includes_nothing
        return (mask, value, self._item(touchpoint) if includes else None)

    def empty(self) -> State:
        return [*super().empty(), [], None, _NO_MOMENTS]

    def advance(self, state: State, event_time: int, projection: Projection, cells: Cells) -> None:
        bucket = self._bucket_of_day(self._day_of(event_time))
        if bucket != state[_BUCKET]:
            self._open_next(state, bucket)
        mask, value, item = self._parts_of(projection)
        self._count(state, mask, value)
        holds = self._holding(state)
        held = state[_IN], state[_BACK], state[_BACK_AFTER]
        if holds == held:
            return
        self._say(state, cells, -1)
        if holds[0] and not held[0]:
            state[_ITEM] = item
        if self._velocity:
            turned = zip(state[_MOMENTS], held, holds, strict=True)
            state[_MOMENTS] = [event_time if now and not before else moment for moment, before, now in turned]
        state[_IN], state[_BACK], state[_BACK_AFTER] = holds
        self._say(state, cells, 1)

    def _parts_of(self, projection: Projection) -> tuple[int, int, str | None]:
        if self._item is not None:
            mask, value, item = projection
            return mask, value, item
        mask, value = projection if self._reads_value else (projection, 0)
        return mask, value, None

    def _say(self, state: State, cells: Cells, sign: int) -> None:
        """Adds what the current bucket says, `sign` times."""
        bucket, moments = state[_BUCKET], state[_MOMENTS]
        if state[_IN]:
            tail = self._tail(state[_ITEM])
            add(cells, ("i", bucket, *tail), sign)
            for before in state[_BEFORE]:
                add(cells, (self._letter, bucket, before - bucket, *tail), sign)
            if state[_BACK_AFTER]:
                if self._mode != "rolling":
                    add(cells, (self._letter, bucket, 0, *tail), sign)
                if self._velocity:
                    took = bucket_of_duration(moments[_RETURNED_BEHIND] - moments[_INCLUDED])
                    add(cells, ("v", bucket, 0, took, *tail), sign)
        if state[_BACK]:
            for start, item, since, goes_on, waits in state[_PAST]:
                k, tail = bucket - start, self._tail(item)
                if k <= self._periods:
                    if goes_on:
                        add(cells, (self._letter, start, k, *tail), sign)
                    if waits:
                        add(cells, ("v", start, k, bucket_of_duration(moments[_RETURNED] - since), *tail), sign)

    def _tail(self, item: str | None) -> tuple[Any, ...]:
        return () if self._item is None else (item,)

    def _holding(self, state: State) -> tuple[bool, bool, bool]:
        """Whether, over the current bucket so far, it is included, returned, and returned behind its inclusion."""
        included = not (self._first_only and state[_PAST]) and self._included(state[_INCLUSION])
        back = self._returned(state[_RETURN])
        return included, back, included and (back if self._reverts else self._returned(state[_AFTER]))

    def _open_next(self, state: State, bucket: int) -> None:
        """Settles the bucket behind us and begins another."""
        back, back_after, follows = state[_BACK], state[_BACK_AFTER], state[_BUCKET] == bucket - 1
        past = [
            [start, item, since, goes_on and self._goes_on(back, follows), waits and not back]
            for start, item, since, goes_on, waits in state[_PAST]
        ]
        if state[_IN]:
            # In its own bucket nobody has to return for rolling.
            goes_on = self._goes_on(back_after or self._mode == "rolling", follows)
            waits = self._velocity and not back_after
            past.append([state[_BUCKET], state[_ITEM], state[_MOMENTS][_INCLUDED], goes_on, waits])
        if not self._first_only:
            past = [row for row in past if bucket - row[_START] <= self._periods]
        state[:] = [bucket, *self.empty()[1:_PAST], past, self._returns_before(state, past, bucket), None, _NO_MOMENTS]

    def _goes_on(self, is_back: bool, follows: bool) -> bool:
        """Whether a return in a later bucket still makes cells. follows: the next bucket is adjacent."""
        if self._mode == "rolling":
            return is_back and follows
        return self._mode != "cumulative" or not is_back

    def _returns_before(self, state: State, past: list[Any], bucket: int) -> list[int]:
        """The buckets with a return that an inclusion in `bucket` or later would still look back on."""
        if not self._latency or (self._first_only and past):
            return []
        before = [*state[_BEFORE], state[_BUCKET]] if state[_BACK] else state[_BEFORE]
        near = [each for each in before if bucket - each <= self._periods]
        return near[-1:] if self._mode == "cumulative" else near

    def _past_buckets(self, state: State) -> list[int]:
        return [row[_START] for row in state[_PAST]]
