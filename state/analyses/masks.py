"""Which of an analysis' conditions a touchpoint matches; what its type decides is decided once per type."""

from collections.abc import Callable, Sequence
from functools import partial

from state.analyses.lens import TypeCache
from state.conditions import Predicate, given_type, predicate_of
from state.matches import Condition
from streams.touchpoint import Touchpoint


def mask_of(conditions: Sequence[Condition]) -> Callable[[Touchpoint], int]:
    """The function from a touchpoint to the mask of `conditions` it matches, bit i for condition i."""
    predicates = [predicate_of(condition) for condition in conditions]

    def by_type(type_: str) -> tuple[int, list[tuple[int, Predicate]]]:
        known, open_ = 0, []
        for index, condition in enumerate(conditions):
            decided = given_type(condition, type_)
            if decided is None:
                open_.append((1 << index, predicates[index]))
            elif decided:
                known |= 1 << index
        return known, open_

    cache = TypeCache(by_type)

    def mask(touchpoint: Touchpoint) -> int:
        matched: int
        matched, open_ = cache[touchpoint.type]
        for bit, predicate in open_:
            if predicate(touchpoint):
                matched |= bit
        return matched

    return mask


def matcher_of(condition: Condition) -> Predicate:
    """The function that says whether a touchpoint matches a single condition."""
    holds = predicate_of(condition)
    cache = TypeCache(partial(given_type, condition))

    def matches(touchpoint: Touchpoint) -> bool:
        decided: bool | None = cache[touchpoint.type]
        return holds(touchpoint) if decided is None else decided

    return matches
