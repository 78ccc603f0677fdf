"""Percentiles of what was measured, exact: all values are kept and sorted."""

from collections.abc import Sequence


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The least value that at least so many percent are not above (nearest rank). Raises ValueError for no values."""
    if not ordered:
        raise ValueError("there is no percentile of nothing")
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(1, int(rank)) - 1]
