"""Percentages as bodies have them: two decimals, rounded half up, null where there is nothing to divide by."""

from fractions import Fraction


def share(part: int, whole: int) -> float | None:
    """Percent of `whole`, in integers until the last division."""
    return None if whole == 0 else ((20_000 * part + whole) // (2 * whole)) / 100


def mean(shares: list[Fraction]) -> float | None:
    """The mean of exact shares in percent; null of nothing."""
    if not shares:
        return None
    exact = sum(shares, Fraction(0)) / len(shares)
    return share(exact.numerator, exact.denominator)
