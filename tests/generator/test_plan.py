"""A plan that can not be generated is refused in words that help."""

from typing import Any

import pytest

from generator.rhythm import DAY_MS, office_time, slices, time_of_day, weekday_of
from streams.errors import UsageError
from tests.generator.worlds import END_MS, PLAN, START_MS, run


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"events": 3_999}, "3999 events for 800 accounts"),
        ({"accounts": 0}, "at least one account"),
        ({"late": 1.5}, "late is 1.5"),
        ({"ties": -0.1}, "ties is -0.1"),
        ({"bad": float("nan")}, "bad is nan"),
        ({"late": 0.6, "duplicates": 0.6}, "at most one fault"),
        ({"start_ms": START_MS + 1}, "whole days in UTC"),
        ({"start_ms": END_MS}, "not empty"),
        ({"end_ms": 100_000 * DAY_MS}, "between 1970 and 2200"),
    ],
)
def test_an_impossible_plan_is_refused(changes: dict[str, Any], said: str) -> None:
    """The message says what was found."""
    with pytest.raises(UsageError, match=said):
        run(**changes)


def test_faults_do_not_change_the_ids() -> None:
    """Plans of one world have one tag, whatever happens on the way; another world has another."""
    assert run(late=0.5, events=4_000).plan.tag == run(late=0.0, events=4_000).plan.tag
    assert run(seed=8, events=4_000).plan.tag != PLAN.tag


def test_the_day_runs_from_midnight_to_midnight() -> None:
    """The share of a day's activity grows with the time of day, to the end of the day and never past it."""
    times = [time_of_day(step / 10_000) for step in range(10_001)]
    assert times == sorted(times)
    assert (times[0], times[-1]) == (0, DAY_MS)


def test_office_time_skips_the_weekend() -> None:
    """What falls on a Saturday or Sunday is done on Monday, and nothing is done before it may be."""
    for day in range(20_000, 20_014):
        for share in (0.0, 0.3, 0.999):
            at = office_time(day * DAY_MS + 1, share)
            assert at > day * DAY_MS
            assert weekday_of(at // DAY_MS) < 5


def test_slices_join_without_a_gap() -> None:
    """One ends where the next begins, over the whole window, and the last one holds the last event."""
    parts = list(slices(1_000_000, END_MS - 10 * DAY_MS, END_MS))
    starts = [part.day_ms + time_of_day(part.low) for part in parts]
    assert starts[0] == END_MS - 10 * DAY_MS
    assert [part.end_ms for part in parts] == [*starts[1:], END_MS]
    assert [part.events_until for part in parts] == sorted(part.events_until for part in parts)
    assert parts[-1].events_until == 1_000_000
