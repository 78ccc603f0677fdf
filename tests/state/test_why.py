"""What is behind a number adds up to it, whatever the world, and each container's reasons add up to its share."""

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from state import job, moving
from state.account_batch import Outcome
from state.accounts import Accounts
from state.containers import Containers
from state.definition_set import Definition, DefinitionSet
from state.figures import figure_of
from state.layers import LayerReader, Layers
from state.render import render
from state.render.ranges import days_at, own_range
from state.rows import touchpoint_key
from state.why import Behind, Contribution, Page, merged
from streams.errors import UsageError
from streams.partials import decode_cell
from streams.touchpoint import Touchpoint
from tests.state.layers_of import layers_of
from tests.state.memory_store import MemoryStore
from tests.state.numbers import addresses_of, numbers_of
from tests.state.partitions import Partition
from tests.state.small import make_chunks_small
from tests.state.test_moving import renewals
from tests.state.worlds import (
    DAY,
    START,
    Record,
    definition_set,
    definition_sets,
    flows,
    restless_touchpoints,
    touchpoint,
    touchpoints,
)

CLOCK_MS = START + 100 * DAY
TYPE_B = {"field": "type", "op": "=", "value": "B"}


@pytest.fixture(autouse=True)
def _short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks so short that small worlds have many."""
    make_chunks_small(monkeypatch)


# Three at once, for a list of hypothesis' has five elements most of the time.
WORLDS = st.lists(st.one_of(touchpoints(15), restless_touchpoints(15)), min_size=3, max_size=3).map(
    lambda worlds: [each for world in worlds for each in world]
)


def stores_of(layers: Layers, arrived: Sequence[Touchpoint], partition_count: int = 2) -> list[MemoryStore]:
    """Partitions that have applied these, one batch per touchpoint, an account in one of them."""
    stores = [MemoryStore() for _ in range(partition_count)]
    for each in arrived:
        store = stores[len(each.account.encode()) % 2 if each.account != "brit" else 1 % partition_count]
        store.apply(Accounts(layers, store).compute([Record(each)]).rows)
    return stores


def sums_of(stores: Sequence[MemoryStore], version: str) -> dict[tuple[Any, ...], int]:
    """What the partitions publish of an analysis, added up."""
    found: dict[tuple[Any, ...], int] = {}
    for store in stores:
        for key, value in store.scan(b"c"):
            of, cell = decode_cell(key[1:])
            if of == version:
                frozen = tuple(tuple(part) if isinstance(part, list) else part for part in cell)
                found[frozen] = found.get(frozen, 0) + int(value)
    return found


def behind_of(layers: Layers, store: MemoryStore, definition: Definition, cell: str, days: Any = None) -> Behind:
    """What is behind a number in one partition."""
    figure = figure_of(definition, cell, days, CLOCK_MS)
    return Behind(layers, Containers(layers, store), definition.version, figure)


def all_of(behinds: Sequence[Behind], count: int) -> list[Contribution]:
    """Every contribution, page by page over all partitions."""
    found: list[Contribution] = []
    place: bytes | None = b""
    while place is not None:
        page = merged([behind.page(place, count, lambda: False) for behind in behinds], count)
        assert all(each.place > place for each in page.found)
        found, place = found + page.found, page.reached
    return found


def require_sums(
    definitions: DefinitionSet, stores: list[MemoryStore], days: Any, count: int, layers: Layers | None = None
) -> None:
    """The contributions to each number that is rendered add up to it, and the reasons to the contributions."""
    layers = layers or layers_of(definitions)
    for definition in definitions.definitions:
        try:
            body = render(definition, sums_of(stores, definition.version), days, CLOCK_MS)
        except UsageError:
            continue  # an analysis without ranges, or other periods
        shown = days or days_at(definition, own_range(definition), CLOCK_MS)
        for n, (place, number) in enumerate(numbers_of(body)):
            addresses = addresses_of(place)
            cell = addresses[n % len(addresses)]
            behinds = [behind_of(layers, store, definition, cell, shown) for store in stores]
            found = all_of(behinds, count)
            assert sum(each.amount or 0 for each in found) == number, cell
            assert all(each.amount for each in found)
            assert [each.place for each in found] == sorted(each.place for each in found)
            for each in found[:5]:
                changes = [c for b in behinds for c in b.changes(each.account.encode(), each.id.encode())]
                assert sum(c.amount for c in changes if c.started_ms == each.started_ms) == each.amount


@settings(max_examples=15)
@given(
    definition_sets(),
    WORLDS,
    st.randoms(use_true_random=False),
    st.sampled_from([None, None, (19_675, 19_690), (19_662, 19_691)]),
    st.integers(1, 4),
)
def test_oracle_the_containers_behind_a_number_add_up_to_it(
    definitions: DefinitionSet, arrived: list[Touchpoint], random_: random.Random, days: Any, count: int
) -> None:
    """For each number that rendering shows, of every analysis and container, over any days and pages."""
    random_.shuffle(arrived)
    require_sums(definitions, stores_of(layers_of(definitions), arrived), days, count)


@settings(max_examples=15)
@given(renewals(), WORLDS, st.integers(0, 12))
def test_oracle_so_they_do_while_accounts_move(
    sets: list[DefinitionSet], arrived: list[Touchpoint], chores: int
) -> None:
    """Into another layout, one after the other or in pieces: of what every layer has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moving, "SLICE_TOUCHPOINTS", 4)
        patch.setattr(moving, "SLICE_ROWS", 3)
        partition = Partition(sets[0])
        partition.take(arrived)
        partition.define(sets[1])
        for _ in range(chores):
            partition.chore()
    complete = tuple(each for each in sets[0].every if each.version in partition.in_force())
    reader = LayerReader(partition.store, lambda: (0, sets[0]))
    require_sums(DefinitionSet(complete), [partition.store], None, 2, reader.layers())


def test_so_they_do_at_every_step_of_a_large_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is in both layouts, and an account behind it in the old one; also behind the gate of an account."""
    monkeypatch.setattr(moving, "SLICE_TOUCHPOINTS", 4)
    monkeypatch.setattr(moving, "SLICE_ROWS", 3)
    gated = CANVAS | {"filter": {"account": {"has": {"match": TYPE_B}}}}
    old = definition_set([CANVAS, {**gated, "name": "gated"}])
    new = definition_set([CANVAS, {**gated, "name": "gated"}, {**CANVAS, "name": "more"}])
    large = deal("o1", *"XABABX") + deal("o2", *"ABA")
    partition = Partition(old)
    partition.take([*large, *(replace(each, account="brit") for each in large[:2])])
    partition.define(new)
    steps = 0
    while partition.chore():
        reader = LayerReader(partition.store, lambda: (1, new))
        require_sums(old, [partition.store], None, 2, reader.layers())
        steps += 1
    assert steps > 5


@settings(max_examples=15)
@given(flows(), WORLDS)
def test_oracle_the_containers_behind_a_flow_add_up_to_it(flow: dict[str, Any], arrived: list[Touchpoint]) -> None:
    """Both ways of counting, with so few items shown that there is always more."""
    definitions = definition_set([{"name": "f", **flow, "top": 1, "last": None}])
    require_sums(definitions, stores_of(layers_of(definitions), arrived), None, 3)


@settings(max_examples=10)
@given(definition_sets(2), restless_touchpoints(20))
def test_oracle_a_half_applied_record_changes_nothing(definitions: DefinitionSet, arrived: list[Touchpoint]) -> None:
    """While a record is applied in slices, what is behind the numbers is what they were published of."""
    layers = layers_of(definitions)
    for place, each in enumerate(arrived):
        (store,) = stores_of(layers, arrived[:place], 1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(job, "SLICE_BYTES", 1)
            piece = Accounts(layers, store).slice(Record(each, place))
        if piece is not None and not isinstance(piece, Outcome):
            store.apply(piece)
            require_sums(definitions, [store], None, 50)
            return


@pytest.mark.parametrize("types", ["XABAB", "ABAB"])
def test_a_half_applied_container_keeps_its_first_touchpoint(types: str) -> None:
    """Also where that interests no analysis: a canvas counts the container by its day. It takes nothing of others."""
    definitions = definition_set([CANVAS])
    layers = layers_of(definitions)
    (store,) = stores_of(layers, deal("o1", *types) + deal("o2", *"AB"), 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "SLICE_BYTES", 1)
        piece = Accounts(layers, store).slice(Record(touchpoint("late", START + 1, "B", opportunity="o1")))
    assert isinstance(piece, list)
    store.apply(piece)
    require_sums(definitions, [store], None, 50)


CANVAS: dict[str, Any] = {
    "name": "c", "kind": "canvas", "container": "opportunity",
    "nodes": [{"id": t.lower(), "match": {"field": "type", "op": "=", "value": t}} for t in "AB"],
    "arrows": [{"from": "a", "to": "b"}],
}  # fmt: skip


def canvas(**changed: Any) -> tuple[Layers, Definition]:
    """A layers of one canvas, A then B."""
    definitions = definition_set([CANVAS | changed])
    return layers_of(definitions), definitions.definitions[0]


def deal(name: str, *types: str) -> list[Touchpoint]:
    """Touchpoints of one opportunity, one a day."""
    return [
        touchpoint(f"{name}{n}", START + n * DAY, type_, opportunity=name, session=None)
        for n, type_ in enumerate(types)
    ]


def test_the_touchpoints_that_made_an_opportunity_count() -> None:
    """The first that matches the node behind its parent; a later one adds nothing to distinct containers."""
    layers, definition = canvas()
    (store,) = stores_of(layers, deal("o1", "B", "A", "X", "B", "B"), 1)
    (change,) = behind_of(layers, store, definition, "b").changes(b"acme", b"o1")
    assert (change.order[16:], change.amount, change.started_ms) == (b"o13\0s", 1, None)
    assert touchpoint_key(b"acme", change.order) in store.rows


def test_a_container_that_fell_out_and_came_back() -> None:
    """Fallout is counted at the node, and taken back at the touchpoint that follows an arrow."""
    layers, definition = canvas()
    (store,) = stores_of(layers, [*deal("o1", "A", "B"), *deal("o2", "A")], 1)
    behind = behind_of(layers, store, definition, "a/fallout")
    assert [each.id for each in behind.page(b"", 9, lambda: False).found] == ["o2"]
    assert [change.amount for change in behind.changes(b"acme", b"o1")] == [1, -1]


def test_churn_is_who_was_included_and_did_not_return() -> None:
    """Beside another analysis of the same containers, which reads other touchpoints."""
    definitions = definition_set([COHORT | {"mode": "churn"}, FLOW | {"dimension": "content_type"}])
    layers, definition = layers_of(definitions), definitions.named("k")
    assert definition is not None
    arrived = [
        touchpoint("1", START, "B"), touchpoint("2", START + 30 * DAY, "B"),
        touchpoint("3", START, "X", content_type="x"),
        touchpoint("4", START, "B", account="beta"),
    ]  # fmt: skip
    (store,) = stores_of(layers, arrived, 1)
    found = behind_of(layers, store, definition, "2023-11+1").page(b"", 9, lambda: False).found
    assert [(each.account, each.amount) for each in found] == [("beta", 1)]
    assert [c.amount for c in behind_of(layers, store, definition, "2023-11+1").changes(b"acme", b"")] == [1, -1]


def test_a_session_counts_for_what_it_did_not_for_whom_it_names() -> None:
    """Of sessions that count by their person, and of one whose person becomes known later."""
    layers, definition = canvas(container="session", filter={"person": {"has": {"match": TYPE_B}}})
    named = [touchpoint("1", START, "A", session="s1"), touchpoint("2", START + 1, "X", session="s1", person="p")]
    bought = touchpoint("3", START + DAY, "B", person="p", session=None, stream="crm")
    (store,) = stores_of(layers, [*named, bought], 1)
    (found,) = behind_of(layers, store, definition, "a").page(b"", 9, lambda: False).found
    assert (found.kind, found.id, found.amount) == ("session", "s1", 1)
    (change,) = behind_of(layers, store, definition, "a").changes(b"acme", b"s1")
    assert (change.order[16:], change.amount) == (b"1\0s", 1)


def test_derived_sessions_are_told_apart() -> None:
    """A person's visits stand under one id, each with the time at which it began."""
    layers, definition = canvas(container="session")
    visits = [
        touchpoint(str(n), START + at, type_, person="p", stream="web")
        for n, (at, type_) in enumerate([(0, "A"), (60_000, "B"), (DAY, "A"), (2 * DAY, "B")])
    ]
    (store,) = stores_of(layers, visits, 1)
    found = behind_of(layers, store, definition, "*").page(b"", 9, lambda: False).found
    assert [(each.kind, each.id, each.started_ms) for each in found] == [
        ("session", "p", START), ("session", "p", START + DAY), ("session", "p", START + 2 * DAY)
    ]  # fmt: skip
    (reached,) = behind_of(layers, store, definition, "a>b").page(b"", 9, lambda: False).found
    assert reached.started_ms == START


def test_a_page_ends_when_its_time_is_over() -> None:
    """Behind the container that was looked at last, and the next one goes on there."""
    layers, definition = canvas()
    (store,) = stores_of(layers, [each for n in range(5) for each in deal(f"o{n}", "A")], 1)
    behind = behind_of(layers, store, definition, "a")
    first = behind.page(b"", 9, lambda: True)
    assert first.reached is not None
    place, found = first.reached, list(first.found)
    while place is not None:
        page = behind.page(place, 9, lambda: True)
        place, found = page.reached, found + page.found  # type: ignore[assignment]
    assert [each.id for each in found] == [f"o{n}" for n in range(5)]


def test_a_series_that_is_too_long_is_listed_without_its_amount(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone on its page, so that what lies behind it is reached; where it is not the first, it waits for the next."""
    monkeypatch.setattr("state.why.ENTRIES_PER_LOOK", 4)
    layers, definition = canvas(container="account")
    long = [replace(each, account="beta") for each in deal("o1", *"AAAAAAAA")]
    (store,) = stores_of(layers, [*deal("o0", "A"), *long], 1)
    behind = behind_of(layers, store, definition, "a")
    looks = iter([False, True])
    page = behind.page(b"", 9, lambda: next(looks))
    assert [(each.account, each.amount) for each in page.found] == [("acme", 1)]
    assert page.reached is not None
    page = behind.page(page.reached, 9, lambda: True)
    assert [(each.account, each.amount) for each in page.found] == [("beta", None)]
    assert page.reached is None


def test_pages_of_partitions_are_merged_up_to_where_all_have_come() -> None:
    """What one partition found behind a place that another has not reached waits; one place is never cut in two."""
    a, b, c = (Contribution(place, "person", "acme", "p", 1, n) for n, place in enumerate([b"a", b"b", b"b"]))
    assert merged([Page([a], b"a"), Page([b], None)], 9) == Page([a], b"a")
    assert merged([Page([a], None), Page([b, c], None)], 2) == Page([a, b, c], None)
    assert merged([Page([a, b, c], None)], 1) == Page([a], b"a")
    assert merged([], 1) == Page([], None)


def test_a_container_that_is_not_there_has_no_reason() -> None:
    """Nor is it an error: it may have been withdrawn since the list was made."""
    layers, definition = canvas()
    (store,) = stores_of(layers, [], 1)
    assert list(behind_of(layers, store, definition, "a").changes(b"acme", b"o1")) == []


COHORT: dict[str, Any] = {
    "name": "k", "kind": "cohort", "container": "account", "granularity": "month", "periods": 3,
    "inclusion": {"match": TYPE_B}, "return": {"match": TYPE_B},
}  # fmt: skip
FLOW: dict[str, Any] = {"name": "f", "kind": "flow", "container": "account", "dimension": "type", "columns": 3}


@pytest.mark.parametrize(
    ("analysis", "cell"),
    [
        (CANVAS, "x"), (CANVAS, "b>a"), (CANVAS, "b/fallout"), (CANVAS, "x/fallout"), (CANVAS, ""),
        (COHORT, "2026"), (COHORT, "2026-13"), (COHORT, "2026-1"), (COHORT, "2026-01+4"), (COHORT, "2026-01+x"),
        (COHORT, "9999-01"), (COHORT, ""), (COHORT | {"granularity": "week"}, "2026-01-01"), (COHORT, "-"),
        (COHORT | {"granularity": "quarter"}, "2026-Q5"), (COHORT | {"granularity": "day"}, "2026-02-30"),
        (FLOW, "x"), (FLOW, "x:1"), (FLOW, "0:"), (FLOW, "[]"), (FLOW, '["item"]'), (FLOW, '["link",0,"a",2,"b"]'),
        (FLOW, '["exit",0,"a",2]'), (FLOW, '["what",1]'), (FLOW, "["),
        (FLOW | {"count": "containers"}, '["path",[],["a"]]'), (FLOW | {"count": "containers"}, '["more",0,[]]'),
    ],
)  # fmt: skip
def test_an_address_that_there_is_not_is_refused_with_what_there_is(analysis: dict[str, Any], cell: str) -> None:
    """In words, with the address as it came."""
    (definition,) = definition_set([analysis]).definitions
    with pytest.raises(UsageError, match=f"^{definition.analysis.name} has no number"):
        figure_of(definition, cell, None)


def test_behind_all_containers_of_a_flow_is_who_has_an_item_at_its_anchor() -> None:
    """Once each, however many paths they have."""
    definitions = definition_set([FLOW | {"count": "containers"}])
    layers = layers_of(definitions)
    arrived = [*deal("o1", *"ABAB"), touchpoint("b", START, "B", account="brit")]
    (store,) = stores_of(layers, arrived, 1)
    found = all_of([behind_of(layers, store, definitions.definitions[0], "*")], 9)
    assert [(each.account, each.amount) for each in found] == [("acme", 1), ("brit", 1)]


def test_an_anchor_that_is_a_condition_goes_by_its_title() -> None:
    """In its column, and in links to it."""
    anchor = {"match": {"field": "type", "op": "=", "value": "B"}, "title": "bought"}
    definitions = definition_set([FLOW | {"ends_with": anchor}])
    layers = layers_of(definitions)
    arrived = [
        touchpoint("1", START, "A"),
        touchpoint("2", START + 1, "B"),
        touchpoint("3", START, "B", account="brit"),
    ]
    (store,) = stores_of(layers, arrived, 1)
    for cell, accounts in (("0:bought", ["acme", "brit"]), ("0:bought>-1:A", ["acme"]), ("0:B", [])):
        found = all_of([behind_of(layers, store, definitions.definitions[0], cell)], 9)
        assert [each.account for each in found] == accounts


def test_behind_more_are_the_paths_with_none_of_the_items_shown() -> None:
    """In their column; a path that does not get there has no item at all."""
    definitions = definition_set([FLOW])
    layers = layers_of(definitions)
    arrived = [touchpoint(f"{n}", START + n, each, account=account) for n, (account, each) in enumerate(
        [("acme", "A"), ("acme", "B"), ("brit", "A"), ("brit", "C"), ("cask", "B")])]  # fmt: skip
    (store,) = stores_of(layers, arrived, 1)
    for cell, accounts in (('["more",0,["A"]]', ["cask"]), ('["more",1,["B"]]', ["brit"]), ('["more",2,[]]', [])):
        found = all_of([behind_of(layers, store, definitions.definitions[0], cell)], 9)
        assert [each.account for each in found] == accounts


@pytest.mark.parametrize(
    ("options", "counts"),
    [
        ({"mode": "rolling"}, {"2023-11+0": 2, "2023-11+1": 1, "2023-11+2": 0, "2023-11+3": 0}),
        ({"mode": "cumulative"}, {"2023-11+0": 0, "2023-11+1": 1, "2023-11+2": 1, "2023-11+3": 1}),
        ({"mode": "cumulative", "latency": True, "return": {"match": {"field": "type", "op": "=", "value": "A"}}},
         {"2023-11+-1": 1, "2023-11+-3": 1, "2023-11+0": 0}),
        ({"mode": "churn"}, {"2023-11": 2, "2023-11+1": 1}),
        ({"dimension": "content_type"}, {"x": 1, "(none)": 1}),
    ],
)  # fmt: skip
def test_every_mode_of_a_cohort_has_its_containers(options: dict[str, Any], counts: dict[str, int]) -> None:
    """acme buys in November, December and February, and looked around in October; beta only buys in November."""
    layers = layers_of(definition_set([COHORT | options]))
    (definition,) = definition_set([COHORT | options]).definitions
    arrived = [
        touchpoint("0", START - 30 * DAY, "A"), touchpoint("1", START, "B", content_type="x"),
        touchpoint("2", START + 30 * DAY, "B"), touchpoint("3", START + 90 * DAY, "B"),
        touchpoint("4", START, "B", account="beta"),
    ]  # fmt: skip
    (store,) = stores_of(layers, arrived, 1)
    found = {
        cell: sum(c.amount or 0 for c in behind_of(layers, store, definition, cell).page(b"", 9, lambda: False).found)
        for cell in counts
    }
    assert found == counts


def test_a_path_in_the_end_of_a_flow_is_found_from_either_side() -> None:
    """Where paths begin and where they end, by address."""
    layers = layers_of(definition_set([FLOW | {"contains": "B"}]))
    (definition,) = definition_set([FLOW | {"contains": "B"}]).definitions
    (store,) = stores_of(layers, [touchpoint("1", START, "B"), touchpoint("2", START + 1, "C")], 1)
    for cell, count in (("0:B<entry", 1), ("0:B>exit", 0), ('["path",[],["B","C"]]', 1), ('["path",["A"],["B"]]', 0),
                        ('["more",1,["A"]]', 1), ('["more",1,["C"]]', 0)):  # fmt: skip
        assert len(behind_of(layers, store, definition, cell).page(b"", 9, lambda: False).found) == count


@pytest.mark.parametrize(
    ("granularity", "label"),
    [("day", "2026-02-28"), ("week", "2026-02-23"), ("month", "2026-02"), ("quarter", "2026-Q1"), ("year", "2026")],
)
def test_a_row_is_called_as_readers_see_it(granularity: str, label: str) -> None:
    """Every granularity, and a bucket far from 1970."""
    (definition,) = definition_set([COHORT | {"granularity": granularity}]).definitions
    assert figure_of(definition, label, None).cell == label
    assert figure_of(definition, f"{label}+3", None).cell == f"{label}+3"


def test_items_that_look_like_addresses_are_given_as_json() -> None:
    """Text takes the first meaning that fits; JSON has one only."""
    layers = layers_of(definition_set([FLOW]))
    (definition,) = definition_set([FLOW]).definitions
    arrived = [touchpoint("1", START, "a>1:b"), touchpoint("2", START + 1, "c")]
    (store,) = stores_of(layers, arrived, 1)
    distinct = definition_set([FLOW | {"count": "containers"}])
    (store_of_distinct,) = stores_of(layers_of(distinct), arrived, 1)
    for cell in ("0:a>1:b>exit", "1:c>exit"):
        behind = behind_of(layers_of(distinct), store_of_distinct, distinct.definitions[0], cell)
        assert len(behind.page(b"", 9, lambda: False).found) == (cell == "1:c>exit")
    for cell, count in (("0:a>1:b", 0), ('["item",0,"a>1:b"]', 1), ('["link",0,"a>1:b",1,"c"]', 1), ("0:a>2:b", 0)):
        assert len(behind_of(layers, store, definition, cell).page(b"", 9, lambda: False).found) == count
