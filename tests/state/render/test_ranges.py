"""Date ranges that move with the clock: their days, and that the sums over them are those of a batch."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from check.calendar import bucket_of
from check.cells import Cells
from check.compare import body_differences
from check.ranges import range_of as batch_range_of
from check.render import body_of as batch_body_of
from state.accounts import Accounts
from state.definition_set import Definition, DefinitionSet
from state.definitions import Canvas, Cohort, Flow
from state.render import body_of, render
from state.render.ranges import (
    LastPeriods,
    Range,
    Since,
    dates_of,
    dates_text,
    days_at,
    days_of,
    own_range,
    range_of,
    require_range,
)
from state.sums import PartialSums
from streams.errors import UsageError
from streams.partials import Tag
from streams.stage import Applied
from streams.touchpoint import Touchpoint
from tests.check.batches import cells_of_oracle, local_day_of
from tests.state.layers_of import layers_of
from tests.state.memory_store import MemoryStore
from tests.state.worlds import DAY, START, Record, definition_set, definition_sets, touchpoint, touchpoints

FIRST_DAY = START // DAY - 1
HALF_A_DAY = DAY // 2
ANY: dict[str, Any] = {"match": {"field": "type", "op": "exists"}}
CANVAS: dict[str, Any] = {"name": "it", "kind": "canvas", "container": "account", "nodes": [{"id": "n", **ANY}]}
FLOW: dict[str, Any] = {"name": "it", "kind": "flow", "container": "account", "dimension": "type"}


def cohort(granularity: str) -> dict[str, Any]:
    """Who does anything, by this granularity."""
    return {"name": "it", "kind": "cohort", "container": "account", "granularity": granularity,
            "inclusion": ANY, "return": ANY, "periods": 3}  # fmt: skip


def definition_of(analysis: dict[str, Any], zone: str = "UTC", week_start: str = "monday") -> Definition:
    """The one definition."""
    return definition_set([analysis], zone, week_start).definitions[0]


def ms(text: str) -> int:
    """A moment."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def dates(analysis: dict[str, Any], text: str, clock: str, zone: str = "UTC") -> tuple[str, str]:
    """The days of a range at a clock."""
    days = days_at(definition_of(analysis, zone), range_of(text), ms(clock))
    assert days is not None
    return dates_text(days)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("last 1 day", ("2026-05-13", "2026-05-13")),
        ("last 30 days", ("2026-04-14", "2026-05-13")),
        ("  last  2   weeks ", ("2026-05-04", "2026-05-13")),
        ("last 1 month", ("2026-05-01", "2026-05-13")),
        ("last 6 months", ("2025-12-01", "2026-05-13")),
        ("last 2 quarters", ("2026-01-01", "2026-05-13")),
        ("last 2 years", ("2025-01-01", "2026-05-13")),
        ("last 99999 days", ("1970-01-01", "2026-05-13")),
        ("2026-03-05..", ("2026-03-05", "2026-05-13")),
        ("2026-05-13..", ("2026-05-13", "2026-05-13")),
        ("2026-03-05..2026-09-30", ("2026-03-05", "2026-09-30")),
    ],
)
def test_a_range_ends_with_the_day_of_the_clock(text: str, expected: tuple[str, str]) -> None:
    """Included; the last of several periods is the one that the clock is in. A range with an end has that end."""
    assert dates(CANVAS, text, "2026-05-13 23:59") == expected
    assert dates(FLOW, text, "2026-05-13 00:00") == expected


def test_the_day_of_the_clock_is_that_of_the_zone() -> None:
    """Half past eleven in the evening UTC is the next day in Berlin, and the evening before in New York."""
    assert dates(CANVAS, "last 2 days", "2026-05-13 23:30", "Europe/Berlin") == ("2026-05-13", "2026-05-14")
    assert dates(CANVAS, "last 2 days", "2026-05-13 03:30", "America/New_York") == ("2026-05-11", "2026-05-12")


@pytest.mark.parametrize(
    ("granularity", "text", "expected"),
    [
        ("day", "last 3 days", ("2026-05-11", "2026-05-13")),
        ("week", "last 2 weeks", ("2026-05-04", "2026-05-17")),
        ("month", "last 3 months", ("2026-03-01", "2026-05-31")),
        ("quarter", "last 1 quarter", ("2026-04-01", "2026-06-30")),
        ("year", "last 99999 years", ("1970-01-01", "2026-12-31")),
        ("week", "last 9999 weeks", ("1969-12-29", "2026-05-17")),
        ("month", "2026-03-01..", ("2026-03-01", "2026-05-31")),
    ],
)
def test_a_cohort_takes_whole_periods(granularity: str, text: str, expected: tuple[str, str]) -> None:
    """The one of the clock is the last of them, and counted although it is not over."""
    assert dates(cohort(granularity), text, "2026-05-13 12:00") == expected


def test_a_cohort_takes_periods_of_its_own_only() -> None:
    """The refusal says which; a range from the middle of a period on is refused with the whole periods."""
    with pytest.raises(UsageError, match="not the last 30 days; write it as 'last 6 months'"):
        PartialSums([definition_of(cohort("month"))], range_of("last 30 days"))
    sums = PartialSums([definition_of(cohort("month"))], range_of("2026-03-02.."))
    with pytest.raises(UsageError, match=r"not 2026-03-02\.\.2026-05-31 but 2026-03-01\.\.2026-05-31"):
        sums.apply(0, partials(definition_set([cohort("month")]), [], ms("2026-05-13 12:00")))


def test_distinct_containers_have_no_moving_range_either() -> None:
    """Told at once, before any clock is known."""
    with pytest.raises(UsageError, match="distinct containers"):
        require_range(definition_of(FLOW | {"count": "containers"}), LastPeriods(3, "day"))


def test_a_range_that_has_not_begun_is_refused() -> None:
    """With the day of the clock."""
    with pytest.raises(UsageError, match="stands at 2026-05-13, before 2026-05-14"):
        dates(CANVAS, "2026-05-14..", "2026-05-13 23:59")


def test_a_definition_may_ask_for_a_moving_range() -> None:
    """It holds where a reader asks for none; whoever asks has the word."""
    definition = definition_of(CANVAS | {"last": "2 days"})
    cells = {("t", day): 1 for day in range(20_580, 20_590)} | {("n", 0, 20_586): 1}
    clock_ms = ms("2026-05-13 12:00")
    body = render(definition, cells, None, clock_ms)
    assert (body.total, body.nodes["n"].count) == (2, 1)
    assert list(body_differences(batch_body_of(definition, cells, clock_ms), body)) == []
    assert batch_range_of(definition, clock_ms) == ["2026-05-12", "2026-05-13"]
    assert render(definition, cells, (20_580, 20_586), clock_ms).total == 7
    sums = PartialSums([definition], range_of("last 7 days"))
    sums.apply(0, partials(definition_set([CANVAS | {"last": "2 days"}]), [], clock_ms))
    assert sums.days("it") == (20_580, 20_586)


@pytest.mark.parametrize(
    ("analysis", "said"),
    [
        (cohort("month") | {"last": "30 days"}, "a cohort by month takes whole periods; for example 6 months"),
        (FLOW | {"count": "containers", "last": "30 days"}, "take count: occurrences"),
        (CANVAS | {"last": "0 days"}, "last"),
        (CANVAS | {"last": "30 days "}, "last"),
        (CANVAS | {"last": "30"}, "last"),
    ],
)
def test_what_can_not_be_asked_for_is_refused(analysis: dict[str, Any], said: str) -> None:
    """When it is defined, not when somebody looks."""
    with pytest.raises(ValueError, match=said):
        definition_of(analysis)


@pytest.mark.parametrize("text", ["last 0 days", "last -1 days", "last days", "last 3 hours", "2026-02-30..", "..", ""])
def test_impossible_ranges_say_how_to_write_it(text: str) -> None:
    """Also those that are nearly right; what was written stands in the refusal."""
    with pytest.raises(UsageError) as refused:
        range_of(text)
    assert repr(text) in str(refused.value)
    assert "last 30 days" in str(refused.value)


@pytest.mark.parametrize("text", ["2026-01-01..2026-01-31", "1970-01-01..2199-12-31"])
def test_dates_are_days(text: str) -> None:
    """Two dates are a range of either kind of reader, to the day."""
    days = days_of(dates_of(text))
    assert days == range_of(text)
    assert "..".join(dates_text(days)) == text


@pytest.mark.parametrize("text", ["2026-02-01..2026-01-01", "1969-12-31..2026-01-01", "2026-01-01..2200-01-01"])
def test_dates_are_in_order_and_within_the_calendar(text: str) -> None:
    """For readers of moving ranges and for others."""
    for read in (range_of, dates_of):
        with pytest.raises(UsageError, match="must not be after the last"):
            read(text)


def test_a_reader_of_dates_takes_no_moving_range() -> None:
    """And does not offer any."""
    with pytest.raises(UsageError, match=r"write it as 2026-01-01\.\.2026-03-31$"):
        dates_of("last 3 days")


def partials(definitions: DefinitionSet, arrived: list[Touchpoint], clock_ms: int, commit: int = 0) -> Any:
    """What a partition publishes that has applied these, at this clock."""
    store = MemoryStore()
    accounts = Accounts(layers_of(definitions), store)
    outcome = accounts.compute([Record(each) for each in arrived])
    return accounts.partial_records(outcome, Applied(Tag(0, commit), {"touchpoints": commit}, clock_ms))


@st.composite
def ranges(draw: st.DrawFn, definition: Definition) -> Range:
    """A range that the analysis can give, moving or not."""
    analysis, number = definition.analysis, draw(st.integers(1, 70))
    if isinstance(analysis, Cohort):
        return LastPeriods(number, analysis.granularity)
    return draw(
        st.one_of(
            st.builds(
                LastPeriods, st.just(number), st.sampled_from(["day", "day", "week", "month", "quarter", "year"])
            ),
            st.builds(Since, st.integers(FIRST_DAY - 2, FIRST_DAY)),
            st.just((FIRST_DAY, FIRST_DAY + number)),
        )
    )


def expected_days(definition: Definition, wanted: Range, clock_ms: int) -> tuple[int, int]:
    """Counted day by day backwards, on a calendar of the batch computation."""
    if isinstance(wanted, tuple):
        return wanted
    today = local_day_of(definition.zone)(clock_ms)
    if isinstance(wanted, Since):
        return wanted.first_day, today
    seen: set[int] = set()
    for day in range(today, -1, -1):
        seen.add(bucket_of(wanted.granularity, day, definition.week_start))
        if len(seen) > wanted.count:
            return day + 1, today
    return 0, today


def within(definition: Definition, cells: Cells, days: tuple[int, int]) -> Cells:
    """The cells of these days; of a cohort those of their periods."""
    analysis, (first, last) = definition.analysis, days
    place = -1 if isinstance(analysis, Canvas) else 1
    if isinstance(analysis, Cohort):
        first, last = (bucket_of(analysis.granularity, day, definition.week_start) for day in days)
    return {cell: count for cell, count in cells.items() if first <= cell[place] <= last}


def without_last(definition: Definition) -> Definition:
    """The definition without a range of its own: the cells that it gets are those of the range already."""
    return replace(definition, analysis=definition.analysis.model_copy(update={"last": None}))


@settings(deadline=None, max_examples=60)
@given(touchpoints(), definition_sets(count_max=1), st.lists(st.integers(0, 200), min_size=1, max_size=4), st.data())
def test_differential_moving_sums_are_those_of_a_batch(
    arrived: list[Touchpoint], definitions: DefinitionSet, moves: list[int], data: st.DataObject
) -> None:
    """Commit by commit the clock goes on, by hours or months; the sums at each are those over the days that a batch
    computation of everything so far has then."""
    (definition,) = definitions.definitions
    if isinstance(definition.analysis, Flow) and definition.analysis.count == "containers":
        return
    own = own_range(definition)
    asked = data.draw(st.none() if own is not None and data.draw(st.booleans()) else ranges(definition))
    wanted = asked or own
    assert wanted is not None
    store, sums, clock_ms = MemoryStore(), PartialSums(definitions.definitions, asked), START
    accounts = Accounts(layers_of(definitions), store)
    size = -(-len(arrived) // len(moves)) or 1
    for commit, move in enumerate(moves):
        clock_ms += move * HALF_A_DAY
        outcome = accounts.compute([Record(each) for each in arrived[commit * size :][:size]])
        store.apply(outcome.rows)
        applied = Applied(Tag(0, commit), {"touchpoints": commit}, clock_ms)
        sums.apply(commit % 2, [])
        sums.apply(0, accounts.partial_records(outcome, applied))
        days = expected_days(definition, wanted, clock_ms)
        cells = within(definition, cells_of_oracle(arrived[: (commit + 1) * size], definition), days)
        body = body_of(definition, sums.totals(definition.version), clock_ms)
        assert list(body_differences(batch_body_of(without_last(definition), cells, clock_ms), body)) == []


def test_days_that_pass_take_their_numbers_along() -> None:
    """Without a new touchpoint, by the clock alone; a reader is told that they changed. Late ones still count."""
    definitions = definition_set([CANVAS])
    sums = PartialSums(definitions.definitions, range_of("last 2 days"))
    with pytest.raises(KeyError):
        sums.days("it")
    seen = [touchpoint("1", ms("2026-05-12 10:00"), account="a"), touchpoint("2", ms("2026-05-13 10:00"), account="b")]
    sums.apply(0, partials(definitions, seen, ms("2026-05-13 12:00")))
    assert (dict(sums.totals("it")), sums.days("it")) == ({("t",): 2, ("n", 0): 2}, (20585, 20586))
    sums.take_changed()
    sums.apply(0, partials(definitions, [], ms("2026-05-13 23:59"), 1))
    assert sums.take_changed() == set()
    sums.apply(1, partials(definitions, [], ms("2026-05-14 00:00"), 1))
    assert (dict(sums.totals("it")), sums.take_changed()) == ({("t",): 1, ("n", 0): 1}, {"it"})
    late = [touchpoint("3", ms("2026-05-13 09:00"), account="c"), touchpoint("4", ms("2026-05-12 09:00"), account="d")]
    sums.apply(1, partials(definitions, late, ms("2026-05-14 01:00"), 2))
    assert dict(sums.totals("it")) == {("t",): 2, ("n", 0): 2}
    sums.define([])
    sums.define(definitions.definitions)
    assert dict(sums.totals("it")) == {("t",): 2, ("n", 0): 2}
