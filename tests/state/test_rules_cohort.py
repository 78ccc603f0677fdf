"""The rules of cohort modes and options one by one, each with a test that is named for it and fails when it is bent."""

from typing import Any

import pytest

from state.analyses.cohort import CohortLens
from state.durations import bucket_of_duration, last_second_of, percentile_s
from state.plan import lens_of
from tests.state.cells import cells
from tests.state.layers_of import layers_of
from tests.state.test_rules import DAY0, cohort, is_
from tests.state.worlds import DAY, START, definition_set, touchpoint


def days(*texts: str, **fields: Any) -> list[Any]:
    """The letters of each text a minute apart on a day of their own, from DAY0."""
    return [
        touchpoint(f"{day}-{n}", START + day * DAY + n * 60_000, letter, **fields)
        for day, text in enumerate(texts)
        for n, letter in enumerate(text)
    ]


def ks(counted: dict[tuple[Any, ...], int], letter: str) -> list[int]:
    """The columns of the inclusion on DAY0 that have a cell of this letter."""
    return sorted(cell[2] for cell in counted if cell[0] == letter and cell[1] == DAY0)


# -------------------------------------------------------------------------------------------------------- rolling


def test_rule_rolling_ends_with_the_first_period_without_a_return() -> None:
    """Back in each of 1..k: a period without one ends it, whatever comes later."""
    assert ks(cells(cohort(mode="rolling"), days("A", "B", "B", "C", "B")), "s") == [1, 2]
    assert ks(cells(cohort(mode="rolling"), days("A", "B", "B", "", "B")), "s") == [1, 2]
    assert ks(cells(cohort(mode="rolling"), days("A", "", "B")), "s") == []


def test_rule_rolling_a_period_with_too_little_ends_it() -> None:
    """A single B where two are a return."""
    twice = {"match": is_("B"), "number": 2}
    assert ks(cells(cohort(mode="rolling", **{"return": twice}), days("A", "BB", "B", "BB")), "s") == [1]


def test_rule_rolling_asks_for_nothing_in_the_inclusion_s_own_period() -> None:
    """k = 0 is everybody, and no return there is needed for k = 1."""
    assert cells(cohort(mode="rolling"), days("AB", "B")) == {("i", DAY0): 1, ("s", DAY0, 1): 1}
    assert cells(cohort(mode="rolling"), days("A", "B")) == {("i", DAY0): 1, ("s", DAY0, 1): 1}


def test_rule_rolling_a_late_return_mends_what_was_broken() -> None:
    """The day between comes last, and the days behind it count again."""
    late = touchpoint("late", START + DAY, "B")
    assert ks(cells(cohort(mode="rolling"), days("A", "", "B", "B"), [late]), "s") == [1, 2, 3]


# ----------------------------------------------------------------------------------------------------- cumulative


def test_rule_cumulative_counts_the_first_return_once() -> None:
    """Later ones add nothing; k = 0 counts, but only behind the inclusion."""
    assert ks(cells(cohort(mode="cumulative"), days("A", "", "B", "B")), "f") == [2]
    assert ks(cells(cohort(mode="cumulative"), days("AB", "B")), "f") == [0]
    assert ks(cells(cohort(mode="cumulative"), days("BA", "B")), "f") == [1]


def test_rule_cumulative_with_latency_counts_the_last_return_before() -> None:
    """Of the periods before the inclusion the nearest one counts."""
    found = cells(cohort(mode="cumulative", latency=True), days("B", "B", "C", "A", "B"))
    assert found == {("i", DAY0 + 3): 1, ("f", DAY0 + 3, -2): 1, ("f", DAY0 + 3, 1): 1}


# -------------------------------------------------------------------------------------------------------- latency


def test_rule_latency_looks_as_far_back_as_ahead() -> None:
    """Every period before the inclusion with a return, up to `periods` of them; the whole period counts."""
    found = cells(cohort(latency=True, periods=2), days("B", "B", "B", "BA", "B"))
    assert found == {("i", DAY0 + 3): 1, **{("r", DAY0 + 3, k): 1 for k in (-2, -1, 1)}}


def test_rule_latency_every_inclusion_looks_back() -> None:
    """With `every` the second inclusion has its own past; with `first` only the first has one."""
    found = cells(cohort(latency=True, include="every"), days("B", "A", "A"))
    assert found == {
        ("i", DAY0 + 1): 1, ("r", DAY0 + 1, -1): 1, ("i", DAY0 + 2): 1, ("r", DAY0 + 2, -2): 1,
    }  # fmt: skip
    assert cells(cohort(latency=True), days("B", "A", "A")) == {("i", DAY0 + 1): 1, ("r", DAY0 + 1, -1): 1}


# ------------------------------------------------------------------------------------------------------ dimension


def at(n: int, letter: str, item: str | None) -> Any:
    """A touchpoint n minutes from the start, with a content type."""
    return touchpoint(str(n), START + n * 60_000, letter, content_type=item)


BY_CONTENT = {"dimension": "content_type"}


def test_rule_dimension_is_that_of_the_touchpoint_that_includes() -> None:
    """Neither what came before nor the return says the item; every cell carries it."""
    events = [at(0, "C", "x"), at(1, "A", "y"), at(2, "A", "z"), at(1440, "B", "w")]
    assert cells(cohort(**BY_CONTENT), events) == {("i", DAY0, "y"): 1, ("r", DAY0, 1, "y"): 1}


def test_rule_dimension_stays_when_the_return_comes() -> None:
    """Also within the period of inclusion."""
    assert cells(cohort(**BY_CONTENT), [at(0, "A", "y"), at(1, "B", "w")]) == {
        ("i", DAY0, "y"): 1,
        ("r", DAY0, 0, "y"): 1,
    }


def test_rule_dimension_of_two_it_is_the_second_that_includes() -> None:
    """Thresholds that need two events become true at the second."""
    twice = {"match": is_("A"), "number": 2}
    assert cells(cohort(inclusion=twice, **BY_CONTENT), [at(0, "A", "x"), at(1, "A", "y")]) == {("i", DAY0, "y"): 1}


def test_rule_dimension_without_a_value_is_a_row_of_its_own() -> None:
    """Nobody is left out."""
    assert cells(cohort(**BY_CONTENT), [at(0, "A", None)]) == {("i", DAY0, None): 1}


def test_rule_dimension_where_it_can_revert_the_last_time_counts() -> None:
    """Less than two C, or three: true at x, not at the second, true again at z."""
    few = {"any": [{"match": is_("C"), "op": "<", "number": 2}, {"match": is_("C"), "op": "=", "number": 3}]}
    events = [at(0, "C", "x"), at(1, "C", "y"), at(2, "C", "z"), at(3, "A", "w")]
    assert cells(cohort(inclusion=few, **BY_CONTENT), events[:1]) == {("i", DAY0, "x"): 1}
    assert cells(cohort(inclusion=few, **BY_CONTENT), events[:2]) == {}
    assert cells(cohort(inclusion=few, **BY_CONTENT), events) == {("i", DAY0, "z"): 1}


def test_rule_dimension_holding_over_nothing_is_that_of_the_first_touchpoint() -> None:
    """No C holds from the period's first touchpoint on."""
    none = {"match": is_("C"), "op": "=", "number": 0}
    assert cells(cohort(inclusion=none, **BY_CONTENT), [at(0, "X", "x"), at(1, "A", "y")]) == {("i", DAY0, "x"): 1}


# ------------------------------------------------------------------------------------------------------- velocity


def took(counted: dict[tuple[Any, ...], int]) -> list[tuple[int, int]]:
    """(k, seconds to the end of the bucket) of the first returns."""
    return sorted((cell[2], last_second_of(cell[3])) for cell in counted if cell[0] == "v")


def test_rule_velocity_is_from_the_event_that_includes_to_the_first_return() -> None:
    """One first return per inclusion, in whole seconds; a second one adds nothing."""
    events = [
        touchpoint("0", START, "B"), touchpoint("1", START + 1_000, "A"), touchpoint("2", START + 43_999, "B"),
        touchpoint("3", START + 50_000, "B"), touchpoint("4", START + DAY, "B"),
    ]  # fmt: skip
    counted = cells(cohort(velocity=True), events)
    assert took(counted) == [(0, 42)]
    assert {cell: n for cell, n in counted.items() if cell[0] != "v"} == cells(cohort(), events)


def test_rule_velocity_in_a_later_period_is_when_the_thresholds_hold_over_it() -> None:
    """Two B in a day: the second one is the return, and the B of the day before does not count for it."""
    midnight = DAY0 * DAY
    twice = {"match": is_("B"), "number": 2}
    events = [touchpoint("0", midnight, "A"), *(touchpoint(str(n), midnight + n * DAY // 4, "B") for n in (1, 5, 6))]
    (found,) = took(cells(cohort(velocity=True, **{"return": twice}), events))
    assert found[0] == 1
    again = [touchpoint(f"later {n}", midnight + 2 * DAY + n, "B") for n in range(2)]
    assert took(cells(cohort(velocity=True, **{"return": twice}), events + again)) == [found]
    assert 6 * 21_600 <= found[1] <= 6 * 21_600 * 33 // 32


def test_rule_velocity_of_a_return_that_can_revert_counts_from_when_it_last_held() -> None:
    """Exactly one B, or three: at the third it holds again, and that is the return."""
    odd = {"any": [{"match": is_("B"), "op": "=", "number": n} for n in (1, 3)]}
    events = [touchpoint(str(n), START + n * 10_000, letter) for n, letter in enumerate("ABBB")]
    assert took(cells(cohort(velocity=True, **{"return": odd}), events[:2])) == [(0, 10)]
    assert took(cells(cohort(velocity=True, **{"return": odd}), events[:3])) == []
    assert took(cells(cohort(velocity=True, **{"return": odd}), events)) == [(0, 30)]


def test_rule_velocity_a_return_before_an_inclusion_that_can_revert_took_no_time() -> None:
    """There the whole period counts, so the return was there when the inclusion became true."""
    exactly_one = {"match": is_("A"), "op": "=", "number": 1}
    events = [touchpoint(str(n), START + n * 10_000, letter) for n, letter in enumerate("BAB")]
    assert took(cells(cohort(velocity=True, inclusion=exactly_one), events)) == [(0, 0)]
    assert took(cells(cohort(velocity=True, inclusion=exactly_one), events[1:])) == [(0, 10)]


def test_rule_velocity_goes_with_every_mode() -> None:
    """The first return is the same, also where the mode's own cells have ended."""
    events = days("A", "C", "B")
    for mode in ("retention", "churn", "rolling", "cumulative"):
        assert [k for k, _ in took(cells(cohort(mode=mode, velocity=True), events))] == [2]


def test_rule_velocity_buckets_are_at_most_a_thirty_second_wide() -> None:
    """Each begins where the one before ends, holds both its ends, and says its last second."""
    begins = 0
    for bucket in range(1000):
        ends = last_second_of(bucket)
        assert bucket_of_duration(begins * 1000) == bucket == bucket_of_duration(ends * 1000 + 999)
        assert ends - begins == 0 if begins < 64 else 32 * (ends + 1 - begins) <= begins
        begins = ends + 1
    assert begins > 400 * 366 * 86_400


@pytest.mark.parametrize(("percent", "seconds"), [(25, 1), (50, 2), (75, 2), (90, 9), (100, 9)])
def test_rule_velocity_percentiles_are_the_nearest_rank(percent: int, seconds: int) -> None:
    """The least duration that so many percent do not exceed: of 1, 2, 2, 9 three quarters lie within 2."""
    assert percentile_s({1: 1, 9: 1, 2: 2}, percent) == seconds
    assert percentile_s({}, percent) is None


@pytest.mark.parametrize("include", ["first", "every"])
def test_rule_options_of_a_cohort_end_with_its_periods(include: str) -> None:
    """A return behind the last column makes no cell of any kind."""
    events = [touchpoint("0", START, "A"), touchpoint("1", START + 6 * DAY, "B")]
    for mode in ("retention", "cumulative"):
        assert cells(cohort(mode=mode, include=include, velocity=True), events) == {("i", DAY0): 1}


def behind(analysis: dict[str, Any], events: list[Any]) -> tuple[CohortLens, list[Any]]:
    """The lens, and its state behind these touchpoints."""
    lens = lens_of(definition_set([{"name": "it", **analysis}]).definitions[0])
    assert isinstance(lens, CohortLens)
    state = lens.empty()
    for event in events:
        projection = lens.project(event)
        if projection is not None:
            lens.advance(state, event.event_time, projection, {})
    return lens, state


def test_rule_latency_keeps_returns_only_for_an_inclusion_to_come() -> None:
    """Behind the first inclusion nobody looks back any more, and a long series keeps nothing for it."""
    _, before = behind(cohort(latency=True), days("B", "B", "B"))
    _, after = behind(cohort(latency=True), days("B", "A", "B", "B"))
    assert (before[8], after[8]) == ([DAY0, DAY0 + 1], [])


@pytest.mark.parametrize("include", ["first", "every"])
def test_rule_options_of_a_cohort_leave_journeys_as_they_are(include: str) -> None:
    """A container stands in the same periods with options and without."""
    events = days("A", "A", "C", "A", "A")
    standing = []
    for options in ({}, {"velocity": True}):
        lens, state = behind(cohort(include=include, periods=2, **options), events)
        standing.append(lens.position(state))
    assert standing[0] == standing[1]
    assert len(standing[0]) == (1 if include == "first" else 2)


def test_rule_options_of_a_cohort_leave_the_others_as_they_are() -> None:
    """Without any of them a container keeps what it always kept."""

    plain, tracked = (
        layers_of(definition_set([{"name": "it", **cohort(**options)}])).newest.account.empty()[0]
        for options in ({}, {"velocity": True})
    )
    assert plain == [None, [0], False, [0], [0], False, False, []]
    assert len(tracked) > len(plain)
