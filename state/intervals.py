"""Uncertainty intervals of comparisons, by published methods, at a level of 95 %.

Newcombe (1998): Interval estimation for the difference between independent proportions, Statistics in Medicine 17,
873-890, method 10. Brunner and Munzel (2000): The nonparametric Behrens-Fisher problem, Biometrical Journal 42, 17-25.
"""

import math
from collections.abc import Iterator, Mapping
from statistics import NormalDist

LEVEL = 0.95
_QUANTILE = 1 - (1 - LEVEL) / 2
_SIMPSON_STEPS = 400
_T_MAX = 13.0  # above the quantile of one degree of freedom, the largest there is

Interval = tuple[float, float]


def difference_interval(part: int, whole: int, other_part: int, other_whole: int) -> Interval:
    """The interval of part/whole - other_part/other_whole (Newcombe's hybrid score). Both wholes are above 0."""
    p, q = part / whole, other_part / other_whole
    (p_low, p_high), (q_low, q_high) = _wilson(p, whole), _wilson(q, other_whole)
    return p - q - math.hypot(p - p_low, q_high - q), p - q + math.hypot(p_high - p, q - q_low)


def _wilson(p: float, n: int) -> Interval:
    """The score interval of a proportion (Wilson 1927)."""
    z = NormalDist().inv_cdf(_QUANTILE)
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return (middle - half) / scale, (middle + half) / scale


def less_share(counts: Mapping[int, int], others: Mapping[int, int]) -> float:
    """In which share of all pairs the value of the first is the lesser one, ties halved. Counts by value; neither is
    empty."""
    pairs = sum(counts.values()) * sum(others.values())
    return sum(n * greater for n, greater in _placements(counts, others, above=True)) / pairs


def less_interval(counts: Mapping[int, int], others: Mapping[int, int]) -> Interval | None:
    """The interval of `less_share` (Brunner and Munzel), within 0 and 1; None where they give none: for fewer than two
    values, and where the two do not overlap."""
    m, n = sum(counts.values()), sum(others.values())
    if min(m, n) < 2:
        return None
    of_first, of_second = m * _variance(counts, others), n * _variance(others, counts)
    together = of_first + of_second
    if not together:
        return None
    freedom = together**2 / (of_first**2 / (m - 1) + of_second**2 / (n - 1))
    half = _t_quantile(freedom) * math.sqrt(together) / (m * n)
    middle = less_share(counts, others)
    return max(0.0, middle - half), min(1.0, middle + half)


def _variance(counts: Mapping[int, int], others: Mapping[int, int]) -> float:
    """The variance of how many of the others lie below each value."""
    placed = list(_placements(counts, others, above=False))
    size = sum(n for n, _ in placed)
    mean = sum(n * place for n, place in placed) / size
    return sum(n * (place - mean) ** 2 for n, place in placed) / (size - 1)


def _placements(counts: Mapping[int, int], others: Mapping[int, int], *, above: bool) -> Iterator[tuple[int, float]]:
    """Per value: how often it stands there, and how many of the others lie below it (or above), ties halved."""
    below = 0
    size = sum(others.values())
    for value in sorted(counts.keys() | others.keys()):
        tied = others.get(value, 0)
        if count := counts.get(value, 0):
            place = below + tied / 2
            yield count, size - place if above else place
        below += tied


def _t_quantile(freedom: float) -> float:
    """Student's t that is exceeded with half of 1 - LEVEL, by bisection."""
    low, high = 0.0, _T_MAX
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if _t_below(middle, freedom) < _QUANTILE else (low, middle)
    return high


def _t_below(t: float, freedom: float) -> float:
    """How much of Student's distribution lies below t >= 0, by Simpson's rule."""
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(freedom * math.pi)
    step = t / _SIMPSON_STEPS
    weights = (1 if i in (0, _SIMPSON_STEPS) else 4 if i % 2 else 2 for i in range(_SIMPSON_STEPS + 1))
    heights = (math.pow(1 + (i * step) ** 2 / freedom, -(freedom + 1) / 2) for i in range(_SIMPSON_STEPS + 1))
    return 0.5 + scale * step / 3 * sum(weight * height for weight, height in zip(weights, heights, strict=True))
