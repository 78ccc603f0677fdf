"""Every number has an address: of options and of what is shown as `more` too, with the touchpoints that brute force
names, one prefix of a series after the other."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from state.containers import Containers
from state.definition_set import Definition, DefinitionSet
from state.definitions import Filter, Some, UnderAccount, UnderPerson
from state.durations import bucket_of_duration
from state.figures import figure_of, needs_clock
from state.figures.figure import ClockNeededError
from state.figures.flow import address_through
from state.matches import Model
from state.render import body_of, render
from state.render import flow as flow_rendering
from state.render.canvas import HOUR_MS
from state.render.days import totals_of
from state.render.ranges import days_at, own_range
from state.why import Behind
from streams.errors import UsageError
from streams.snapshot import CohortBody
from streams.touchpoint import Touchpoint
from tests.check.batches import cells_of_oracle
from tests.oracles.brute import containers_of
from tests.oracles.segments import World, lies_under
from tests.state.layers_of import layers_of
from tests.state.numbers import Place, addresses_of, in_full, number_at, numbers_of
from tests.state.test_why import CLOCK_MS, FLOW, WORLDS, all_of, behind_of, stores_of, sums_of
from tests.state.worlds import DAY, START, cohorts, definition_set, definition_sets, flows, touchpoint

RANGES: list[Any] = [None, None, (19_675, 19_690)]
PLACES_TRIED = 30
CONTAINERS_TRIED = 3


def numbers_shown(definition: Definition, sums: dict[tuple[Any, ...], int], days: Any) -> dict[Place, int]:
    """The numbers of a body by place; none where the analysis can not give the range."""
    try:
        return dict(numbers_of(render(definition, sums, days, CLOCK_MS)))
    except UsageError:
        return {}


def numbers_by_prefix(
    definition: Definition, series: Sequence[Touchpoint], world: World, days: Any
) -> list[dict[Place, int]]:
    """What a container alone comes to by brute force with its first touchpoint, its first two, and so on, where others
    have what they have."""
    own = definition.analysis.filter
    while isinstance(own, UnderAccount | UnderPerson):
        own = own.then
    kind = definition.analysis.container.value
    own = None if own is None else without_some(own, lambda asked: world.has(asked, series, kind))
    analysis = definition.analysis.model_copy(update={"filter": own})
    full = in_full(msgspec.structs.replace(definition, analysis=analysis))
    prefixes = [series[: n + 1] for n in range(len(series))]
    return [numbers_shown(full, cells_of_oracle(prefix, full), days) for prefix in prefixes]


ALWAYS = {"has": {"match": {"field": "type", "op": "exists"}, "op": ">=", "number": 0}}


def without_some(segment: Any, is_so: Callable[[Some], bool]) -> Any:
    """The same segment with what is so in the place of what others are asked."""
    if isinstance(segment, Some):
        plain = ALWAYS if is_so(segment) else {"not": ALWAYS}
        return TypeAdapter(Filter).validate_python(plain)
    if isinstance(segment, Model):
        parts = {name: without_some(getattr(segment, name), is_so) for name in type(segment).model_fields}
        return segment.model_copy(update=parts)
    return [without_some(part, is_so) for part in segment] if isinstance(segment, list) else segment


def reasons_of(place: Place, numbers: list[dict[Place, int]], series: Sequence[Touchpoint]) -> list[tuple[bytes, int]]:
    """The touchpoints, each by event and source, at which the number of a place changes, and by how much."""
    amounts = [0, *(number_at(place, each) for each in numbers)]
    return [
        (f"{each.event_id}\0{each.source}".encode(), amounts[n + 1] - amounts[n])
        for n, each in enumerate(series)
        if amounts[n + 1] != amounts[n]
    ]


def has_open_gates(definition: Definition, series: Sequence[Touchpoint], world: World) -> bool:
    """Whether the outer containers of one let it count."""
    asked = definition.analysis.filter
    while isinstance(asked, UnderAccount | UnderPerson):
        kind, outer = ("account", asked.account) if isinstance(asked, UnderAccount) else ("person", asked.person)
        around = [each for each in world.of_kind(kind).values() if lies_under(series, each, kind)]
        if not any(world.has(outer, each, kind) for each in around):
            return False
        asked = asked.then
    return True


def reasons_found(behind: Behind, kind: str, series: Sequence[Touchpoint]) -> list[tuple[bytes, int]]:
    """The same, as `why` says it of the container with this series."""
    first = series[0]
    is_visit = kind == "session" and first.session is None
    id_ = "" if kind == "account" else first.person if is_visit else getattr(first, kind)
    started_ms = first.event_time if is_visit else None
    changes = behind.changes(first.account.encode(), id_.encode())
    return [(each.order[16:], each.amount) for each in changes if each.started_ms == started_ms]


@settings(max_examples=15)
@given(definition_sets(2), WORLDS, st.randoms(use_true_random=False), st.sampled_from(RANGES))
def test_oracle_the_touchpoints_that_made_a_container_count(
    definitions: DefinitionSet, arrived: list[Touchpoint], random_: random.Random, days: Any
) -> None:
    """Of each number that a body shows, whatever it is of: those at which brute force finds that it changes."""
    layers = layers_of(definitions)
    (store,), world = stores_of(layers, arrived, 1), World(arrived)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flow_rendering, "SEQUENCE_COUNT_MAX", 10_000)
        for definition in definitions.definitions:
            kind = definition.analysis.container.value
            places = [*numbers_shown(definition, sums_of([store], definition.version), days)]
            places = random_.sample(places, min(PLACES_TRIED, len(places)))
            shown = days or days_at(definition, own_range(definition), CLOCK_MS)
            found = [*containers_of(arrived, kind).values()]
            for series in random_.sample(found, min(CONTAINERS_TRIED, len(found))):
                numbers = numbers_by_prefix(definition, series, world, days)
                counts = has_open_gates(definition, series, world)
                for place in places:
                    expected = reasons_of(place, numbers, series) if counts else []
                    for cell in addresses_of(place):
                        behind = behind_of(layers, store, definition, cell, shown)
                        assert reasons_found(behind, kind, series) == expected, cell


@settings(max_examples=13)
@given(flows(), WORLDS, st.randoms(use_true_random=False))
def test_oracle_the_containers_behind_the_paths_through_items(
    flow: dict[str, Any], arrived: list[Touchpoint], random_: random.Random
) -> None:
    """Each number of a flow through items has an address inside theirs."""
    flow = flow | {"name": "f", "count": "occurrences", "top": 1, "last": None}
    definitions = definition_set([flow])
    layers, (definition,) = layers_of(definitions), definitions.definitions
    stores = stores_of(layers, arrived)
    totals = totals_of(definition, sums_of(stores, definition.version), None)
    items = [place[1:] for place, _ in numbers_of(body_of(in_full(definition), totals, 0)) if place[0] == "item"]
    through = [random_.choice(items) for _ in range(random_.randint(1, 2))] if items else []
    for place, number in numbers_of(body_of(definition, totals, 0, through)) if through else ():
        for cell in addresses_of(place):
            if cell == "left-out":
                continue
            address = address_through([(step, item) for step, item in through], cell)
            behinds = [behind_of(layers, store, definition, address) for store in stores]
            assert sum(each.amount or 0 for each in all_of(behinds, 9)) == number, address


@settings(max_examples=15)
@given(cohorts(), WORLDS)
def test_oracle_the_containers_that_returned_within_a_percentile(
    cohort: dict[str, Any], arrived: list[Touchpoint]
) -> None:
    """As many as its percentage asks for, and a second earlier fewer."""
    definitions = definition_set([cohort | {"name": "k", "velocity": True, "last": None}])
    layers, (definition,) = layers_of(definitions), definitions.definitions
    stores = stores_of(layers, arrived)
    body = render(definition, sums_of(stores, definition.version), None, CLOCK_MS)
    assert isinstance(body, CohortBody)

    def count(row: Any, seconds: int) -> int:
        (address,) = addresses_of(("within", row, seconds))[-1:]
        behinds = [behind_of(layers, store, definition, address) for store in stores]
        return sum(each.amount or 0 for each in all_of(behinds, 9))

    rows = [place[1] for place, _ in numbers_of(body) if place[0] == "returned"]
    for row, velocity in zip(rows, body.velocity or [], strict=True):
        returned, *percentiles = msgspec.structs.astuple(velocity)
        for percent, seconds in zip((25, 50, 75, 90), percentiles, strict=True):
            if seconds is not None:
                assert 100 * count(row, seconds) >= percent * returned > 100 * count(row, seconds - 1)


KINDS: dict[str, Any] = {"field": "type", "op": "=", "value": "A"}
NODES = [
    {"id": "a", "match": KINDS, "breakdown": {"dimension": "type"}},
    {"id": "b", "match": {"field": "type", "op": "=", "value": "B"}},
]
CANVAS: dict[str, Any] = {"name": "c", "kind": "canvas", "container": "account", "nodes": NODES, "arrows": [
    {"from": "a", "to": "b", "within": "1d"}]}  # fmt: skip
FULL = CANVAS | {"metric": "events", "secondary": "value", "arrow_values": True, "trend": True, "steps": {}}
BY_ITEM: dict[str, Any] = {
    "name": "k", "kind": "cohort", "container": "account", "granularity": "month", "periods": 3, "dimension": "type",
    "inclusion": {"match": KINDS}, "return": {"match": KINDS},
}  # fmt: skip
BY_MONTH = {**BY_ITEM, "dimension": None}


@pytest.mark.parametrize(
    ("analysis", "cells"),
    [
        (FULL, ["a/second", "a/by:A", "a/second-by:A", "a/next:A", "a/previous:(none)", "a>b/between:A", "a>b/amount",
                "a>b/second", "a>b/day:2026-03-01", "b/day:2026-03-01", '["by","a",["A",null]]', '["next","a",null]',
                '["between","a>b",[]]', "a/final-fallout"]),
        (BY_ITEM | {"velocity": True},
         ["A", "A+1", "(none)+0", "A/returned", "A/within:60", '["cell",["A"],1]', '["of",null,0]', '["included",[]]',
          '["within",null,5]', '["returned","A"]']),
        (BY_MONTH, ['["included","2026-01"]', '["cell","2026-01",3]']),
        (FLOW, ['["link",0,["a"],1,"b"]', '["exit",0,["a"],1]', '["item",0,["a"]]', '["through",[[0,"a"]],"*"]',
                '["through",[[0,"a"],[1,"b"]],["item",1,["b"]]]']),
        (FLOW | {"steps": [{"step": 1, "only": ["x"]}]}, ["left-out"]),
        (FLOW | {"steps": [{"step": 1, "only": ["x"]}], "count": "containers"}, ["left-out"]),
    ],
)  # fmt: skip
def test_an_address_that_there_is(analysis: dict[str, Any], cells: list[str]) -> None:
    """Of every option, as text and as JSON."""
    (definition,) = definition_set([analysis]).definitions
    assert [figure_of(definition, cell, None, CLOCK_MS).cell for cell in cells] == cells


@pytest.mark.parametrize(
    ("analysis", "cells"),
    [
        (CANVAS, ["a/second", "a/next:A", "a>b/between:A", "a>b/amount", "a>b/second", "a/day:2026-03-01", "b/by:A",
                  "a/second-by:A", "a>b/day:2026-03-01", "b/final-fallout", "a/by"]),
        (FULL, ["a/by:", "a/by", "a/fallout:A", "a/day:yesterday", "a/day:20260301", '["day","a",["2026-03-01"]]', "a/",
                '["day","a",null]', "x/by:A", "a/between:A", "a>b/next:A", "a>b/fallout", '["by","a"]', '["by",1,"A"]',
                '["by","a","A",1]', "[", "a>b/by:A", '["what","a","A"]', "a/amount"]),
        (FULL | {"secondary": None}, ["a>b/second"]),
        (FULL | {"metric": "containers"}, ["a>b/amount"]),
        (BY_ITEM, ["A+4", "A+-1", "A/returned", "A/within:60", '["cell","A",4]', '["of","A",-1]', '["returned","A"]',
                   '["cell","A"]', "[", '["included",1]', ""]),
        (BY_MONTH, ['["included",null]', '["included",["2026-01"]]', '["of","2026-01",0]', '["included","2026"]']),
        (FLOW, ["9:a", "-1:a", "left-out", '["link",1,"a",0,"b"]', '["exit",1,"a",-1]', '["item",3,"a"]',
                '["through",[],"*"]', '["through",[[9,"a"]],"*"]', '["through",[[0,"a"]],"left-out"]', '["more",5,[]]',
                '["through",[[0,"a"]],"x"]', '["through",[[0,"a"]],["through",[[0,"a"]],"*"]]', '["item",0,null]']),
        (FLOW | {"count": "containers"}, ['["through",[[0,"a"]],"*"]', '["link",0,["a"],1,"b"]', '["item",0,["a"]]']),
        (FLOW | {"steps": [{"step": 1, "only": ["x"]}]}, ['["through",[[0,"a"]],"left-out"]']),
    ],
)  # fmt: skip
def test_an_address_that_there_is_not_says_which_there_are(analysis: dict[str, Any], cells: list[str]) -> None:
    """In words, with the address as it came."""
    (definition,) = definition_set([analysis]).definitions
    for cell in cells:
        with pytest.raises(UsageError, match=f"^{definition.analysis.name} has no number .*; "):
            figure_of(definition, cell, None, CLOCK_MS)


def test_what_is_over_takes_a_clock() -> None:
    """Rows that pool periods and final fallout; without a clock the error says where to find it."""
    (by_item,) = definition_set([BY_ITEM]).definitions
    (limited,) = definition_set([CANVAS]).definitions
    for definition, cell in ((by_item, "A+1"), (by_item, '["of","A",1]'), (limited, "a/final-fallout")):
        assert needs_clock(definition, cell)
        with pytest.raises(ClockNeededError, match="clock_ms, as the snapshot has it"):
            figure_of(definition, cell, None)
    assert not any(needs_clock(by_item, cell) for cell in ("A", "A+9"))
    assert not needs_clock(limited, "a/fallout")


def test_a_pooled_cell_counts_whose_period_is_over_by_the_clock() -> None:
    """acme began in November and came again in December; a month later brit did the same."""
    definitions = definition_set([BY_ITEM])
    layers, (definition,) = layers_of(definitions), definitions.definitions
    arrived = [
        touchpoint(f"{n}", START + 30 * month * DAY, account=account)
        for n, (account, month) in enumerate([("acme", 0), ("acme", 1), ("brit", 1), ("brit", 2)])
    ]
    (store,) = stores_of(layers, arrived, 1)

    def accounts(month: int) -> list[str]:
        figure = figure_of(definition, "A+1", None, START + 30 * month * DAY)
        behind = Behind(layers, Containers(layers, store), definition.version, figure)
        return [each.account for each in all_of([behind], 9)]

    assert [accounts(month) for month in (0, 1, 2, 3)] == [[], [], ["acme"], ["acme", "brit"]]


def test_a_rolling_share_is_of_the_column_before() -> None:
    """Both began in November; acme came again in December and January, brit only in January."""
    definitions = definition_set([BY_ITEM | {"mode": "rolling"}])
    layers, (definition,) = layers_of(definitions), definitions.definitions
    arrived = [
        touchpoint(f"{n}", START + 30 * month * DAY, account=account)
        for n, (account, month) in enumerate([("acme", 0), ("acme", 1), ("acme", 2), ("brit", 0), ("brit", 2)])
    ]
    (store,) = stores_of(layers, arrived, 1)
    found = {k: all_of([behind_of(layers, store, definition, f'["of","A",{k}]')], 9) for k in range(3)}
    assert {k: [each.account for each in accounts] for k, accounts in found.items()} == {
        0: ["acme", "brit"], 1: ["acme", "brit"], 2: ["acme"],
    }  # fmt: skip


def test_time_is_over_from_the_next_full_hour_on() -> None:
    """By the clock that was given."""
    definitions = definition_set([CANVAS])
    layers, (definition,) = layers_of(definitions), definitions.definitions
    (store,) = stores_of(layers, [touchpoint("1", START)], 1)
    hour_ms = ((START + DAY) // HOUR_MS + 1) * HOUR_MS

    def count(clock_ms: int) -> int:
        figure = figure_of(definition, "a/final-fallout", None, clock_ms)
        return len(all_of([Behind(layers, Containers(layers, store), definition.version, figure)], 9))

    assert (count(hour_ms - 1), count(hour_ms)) == (0, 1)


def test_within_is_to_the_end_of_a_duration_bucket() -> None:
    """100 s are counted as 100 or 101 s, so only 101 s are sure to hold them."""
    definitions = definition_set([BY_MONTH | {"velocity": True}])
    layers, (definition,) = layers_of(definitions), definitions.definitions
    (store,) = stores_of(layers, [touchpoint("1", START), touchpoint("2", START + 100_000)], 1)
    assert bucket_of_duration(100_000) == bucket_of_duration(101_000)
    found = [all_of([behind_of(layers, store, definition, f"2023-11/within:{s}")], 9) for s in (99, 100, 101)]
    assert [len(each) for each in found] == [0, 0, 1]


def test_paths_that_a_column_s_filter_leaves_out_have_an_address() -> None:
    """And count in none of the others: A > B is shown, A > C is not."""
    definitions = definition_set([FLOW | {"steps": [{"step": 1, "only": ["B"]}]}])
    layers, (definition,) = layers_of(definitions), definitions.definitions
    shown = [touchpoint("1", START, "A"), touchpoint("2", START + 1, "B")]
    left_out = [touchpoint("3", START, "A", account="brit"), touchpoint("4", START + 1, "C", account="brit")]
    stores = stores_of(layers, [*shown, *left_out])
    for cell, accounts in (("left-out", ["brit"]), ("*", ["acme"]), ("0:A", ["acme"]), ("1:B", ["acme"])):
        behinds = [behind_of(layers, store, definition, cell) for store in stores]
        assert [each.account for each in all_of(behinds, 9)] == accounts, cell
