"""The intervals against the figures that their authors published."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.intervals import _t_quantile, difference_interval, less_interval, less_share

# Newcombe (1998), Table II, method 10.
TABLE_II = [
    ((56, 70, 48, 80), (0.0524, 0.3339)),
    ((9, 10, 3, 10), (0.1705, 0.8090)),
    ((6, 7, 2, 7), (0.0582, 0.8062)),
    ((5, 56, 0, 29), (-0.0381, 0.1926)),
    ((0, 10, 0, 20), (-0.1611, 0.2775)),
    ((0, 10, 0, 10), (-0.2775, 0.2775)),
    ((10, 10, 0, 20), (0.6791, 1.0000)),
    ((10, 10, 0, 10), (0.6075, 1.0000)),
]


@pytest.mark.parametrize(("counts", "limits"), TABLE_II)
def test_difference_of_shares_is_newcombe_s_table(
    counts: tuple[int, int, int, int], limits: tuple[float, float]
) -> None:
    """To the four decimals that are printed."""
    assert [round(limit, 4) for limit in difference_interval(*counts)] == list(limits)


# Pain scores of 14 and 11 patients: the example of Brunner and Munzel (2000), with the limits that R's lawstat prints.
PAIN_Y = Counter([1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 2, 4, 1, 1])
PAIN_N = Counter([3, 3, 4, 3, 1, 2, 3, 1, 1, 5, 4])


def test_less_share_is_that_of_the_pain_scores() -> None:
    """P(Y < N) + P(Y = N) / 2 = 0.788961, from 0.5952169 to 0.9827052."""
    assert less_share(PAIN_Y, PAIN_N) == pytest.approx(0.788961, abs=5e-7)
    assert less_interval(PAIN_Y, PAIN_N) == pytest.approx((0.5952169, 0.9827052), abs=5e-8)


def test_less_interval_where_there_is_none() -> None:
    """A single value has no spread; nor have two samples that do not overlap, or that are all the same."""
    assert less_interval({1: 1}, {1: 5, 2: 3}) is None
    assert less_interval({1: 4}, {2: 4}) is None
    assert less_interval({1: 4}, {1: 4}) is None


@pytest.mark.parametrize(
    ("freedom", "t"), [(1, 12.70620), (2, 4.302653), (5, 2.570582), (30, 2.042272), (1e7, 1.959964)]
)
def test_quantiles_are_those_of_the_tables(freedom: float, t: float) -> None:
    """Student's t, two-sided 95 %."""
    assert _t_quantile(freedom) == pytest.approx(t, abs=2e-5)


SAMPLES = st.dictionaries(st.integers(0, 8), st.integers(1, 9), min_size=1)


@given(SAMPLES, SAMPLES)
def test_less_share_counts_every_pair(counts: dict[int, int], others: dict[int, int]) -> None:
    """Pair by pair; the other way round it is the rest, and the interval holds it and lies within 0 and 1."""
    pairs = [(a, b) for a, n in counts.items() for b, m in others.items() for _ in range(n * m)]
    found = sum(1 if a < b else 0.5 if a == b else 0 for a, b in pairs) / len(pairs)
    assert less_share(counts, others) == pytest.approx(found)
    assert less_share(others, counts) == pytest.approx(1 - found)
    interval = less_interval(counts, others)
    if interval is not None:
        assert 0 <= interval[0] <= found + 1e-12
        assert found - 1e-12 <= interval[1] <= 1
