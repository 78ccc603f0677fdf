"""Percentages in integers: two decimals, half up, nothing of nothing. Floats appear only as the last step."""

from collections.abc import Iterable
from fractions import Fraction

_SCALE = 2**64


def share_of(part: int, whole: int) -> float | None:
    """`part` in percent of `whole`, two decimals, half up; None when `whole` is 0."""
    return None if whole == 0 else (20_000 * part + whole) // (2 * whole) / 100


def mean_share(parts: Iterable[tuple[int, int]]) -> float | None:
    """The mean of the exact shares of (part, whole), every whole above 0, rounded once at the end; None of nothing.

    Exact fractions with many denominators grow to thousands of digits. So the sum is first taken between two bounds,
    and exactly only where they round apart, which is where the mean lies on or beside the middle of two roundings.
    """
    pairs = list(parts)
    if not pairs:
        return None
    low = sum(part * _SCALE // whole for part, whole in pairs)
    rounded = _hundredths(low, _SCALE * len(pairs))
    if rounded != _hundredths(low + len(pairs), _SCALE * len(pairs)):
        exact = sum((Fraction(part, whole) for part, whole in pairs), Fraction(0))
        rounded = _hundredths(exact.numerator, exact.denominator * len(pairs))
    return rounded / 100


def _hundredths(part: int, whole: int) -> int:
    return (20_000 * part + whole) // (2 * whole)
