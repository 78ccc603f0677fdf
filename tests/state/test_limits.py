"""The windows of an arrow against all arrivals, and how many there ever are."""

from hypothesis import given, settings
from hypothesis import strategies as st

from state.analyses.limits import Limits, Windows

GAPS = st.lists(st.one_of(st.integers(0, 3), st.integers(0, 200)), max_size=60)


def after(limits: Limits, arrivals: list[int]) -> Windows:
    """The windows behind these arrivals."""
    windows: Windows = []
    for arrival in arrivals:
        windows = limits.opened(windows, arrival)
    return windows


@settings(deadline=None, max_examples=300)
@given(GAPS, st.integers(0, 60), st.one_of(st.none(), st.integers(1, 60)), st.integers(0, 120))
def test_oracle_windows_are_all_arrivals(gaps: list[int], least: int, more: int | None, later: int) -> None:
    """Open exactly where some arrival lies far enough back and near enough, at any moment that may still come."""
    most = None if more is None else least + more
    arrivals = [sum(gaps[: n + 1]) for n in range(len(gaps))]
    limits = Limits(least, most)
    windows = after(limits, arrivals)
    moment = (arrivals[-1] if arrivals else 0) + later
    expected = any(least <= moment - each and (most is None or moment - each <= most) for each in arrivals)
    assert limits.is_open(windows, moment) == expected
    if more is not None:
        assert len(windows) <= least / more + 2


def test_one_window_is_enough_for_one_limit() -> None:
    """`within` keeps the latest arrival and `after` the earliest, however many there are."""
    assert after(Limits(0, 10), [1, 2, 3, 50, 55]) == [[0, 65]]
    assert after(Limits(10, None), [3, 4, 5]) == [[13, None]]
    assert after(Limits(10, None), [3, 4, 20]) == [[0, None]]


def test_equal_futures_are_equal_states() -> None:
    """What has passed leaves nothing, so that a late event is forgotten as soon as it can not matter."""
    limits = Limits(10, 15)
    assert after(limits, [0, 3, 100]) == after(limits, [100]) == [[110, 115]]
    assert after(limits, [0, 12]) == [[0, 15], [22, 27]]
    assert after(limits, [0, 4, 9]) == [[10, 24]]
