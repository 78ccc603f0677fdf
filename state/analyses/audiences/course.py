"""A course: a yes or no that changes with time alone, as long as nothing comes.

`[first, moment, moment ...]`: what it is from the beginning, and the moments (ms) at which it turns, rising. It is
made of msgpack's types, so a state can keep it. What lies before the present is not in it: a course says what is true
now, and what will be.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence

Course = list[int]  # the first is 0 or 1


def always(holds: bool) -> Course:
    """What time does not change."""
    return [int(holds)]


def holds_at(course: Sequence[int], moment: int) -> bool:
    """What it is at a moment."""
    return (course[0] + bisect_right(course, moment, 1) - 1) & 1 == 1


def turned_at(course: Sequence[int], moment: int) -> int | None:
    """When it turned last, up to a moment; None where it never did."""
    place = bisect_right(course, moment, 1)
    return course[place - 1] if place > 1 else None


def turns_next(course: Sequence[int], moment: int) -> int | None:
    """When it turns next behind a moment; None where it never does."""
    place = bisect_right(course, moment, 1)
    return course[place] if place < len(course) else None


def during(start: int | None, end: int | None) -> Course:
    """Yes from a moment (None: the beginning) up to before another one (None: for ever)."""
    course = [1] if start is None else [0, start]
    return course if end is None else [*course, end]


def joined(courses: Sequence[Course], holds: Callable[[Sequence[bool]], bool]) -> Course:
    """The course of what holds of several."""
    found: Course = [int(holds([course[0] == 1 for course in courses]))]
    moments = {moment for course in courses for moment in course[1:]}
    for moment in sorted(moments) if moments else ():
        if holds([holds_at(course, moment) for course in courses]) != bool((found[0] + len(found) - 1) & 1):
            found.append(moment)
    return found
