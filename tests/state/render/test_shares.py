"""Percentages: exact, half up, and null where there is nothing to divide by."""

from fractions import Fraction
from math import floor

from hypothesis import example, given
from hypothesis import strategies as st

from state.render.shares import mean_share, share_of


def half_up(percent: Fraction) -> float:
    """An exact percentage at two decimals."""
    return floor(percent * 100 + Fraction(1, 2)) / 100


@given(st.integers(0, 10**30), st.integers(1, 10**30))
@example(1, 20_000)
@example(1, 8)
def test_share_is_the_exact_one_rounded_half_up(part: int, whole: int) -> None:
    """No float takes part before the rounding is done."""
    assert share_of(part, whole) == half_up(Fraction(part, whole) * 100)


def test_share_of_nothing_is_null() -> None:
    """A denominator of 0 gives no number, also when the numerator is 0."""
    assert share_of(0, 0) is None
    assert share_of(3, 0) is None


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 10_000)), min_size=1, max_size=30))
@example([(1, 20_000), (0, 1), (2, 20_000)])
@example([(1, 3), (1, 3), (1, 3)])
def test_mean_is_that_of_the_exact_shares(pairs: list[tuple[int, int]]) -> None:
    """The mean rounds once, at the end."""
    mean = sum((Fraction(part, whole) for part, whole in pairs), Fraction(0)) / len(pairs)
    assert mean_share(pairs) == half_up(mean * 100)


def test_mean_in_the_middle_goes_up() -> None:
    """0.005 percent is 0.01, as with a single share."""
    assert mean_share([(1, 20_000)]) == share_of(1, 20_000) == 0.01


def test_mean_of_thirds_that_meet_the_middle_goes_up() -> None:
    """1/60000 and 1/30000 sum to 1/20000, which the bounds alone can not decide."""
    assert mean_share([(1, 30_000), (1, 15_000)]) == 0.01


def test_mean_of_nothing_is_null() -> None:
    """A column without a complete cell has no mean."""
    assert mean_share([]) is None
