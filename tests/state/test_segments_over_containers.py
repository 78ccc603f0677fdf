"""Filters that ask for other containers than the analysis' own: whatever comes, in any order, they count as brute force
does."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state import moving
from state.definition_set import DefinitionSet
from streams.touchpoint import Touchpoint
from tests.check.batches import cells_of_oracle, cells_of_sql
from tests.state.layers_of import layers_of
from tests.state.memory_store import MemoryStore
from tests.state.small import make_chunks_small
from tests.state.test_accounts import brute, cells_of, run, split, take_sliced
from tests.state.test_moving import ACTS, renewals, require_exact_changes
from tests.state.test_why import require_sums, stores_of
from tests.state.worlds import KINDS_UNDER, START, definition_set, touchpoint

MINUTE = 60_000


@pytest.fixture(autouse=True)
def _short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks so short that small worlds have many."""
    make_chunks_small(monkeypatch)


def moves() -> st.SearchStrategy[list[Touchpoint]]:
    """Few events of one account that come, change and go again: sessions change their people, end and meet, and people,
    deals and groups come to have something and lose it."""
    made = st.builds(
        touchpoint,
        event_id=st.integers(0, 11).map(str),
        event_time=st.integers(0, 8).map(lambda n: START + n * 20 * MINUTE),
        withdrawn=st.sampled_from([False, False, False, True]),
        type=st.sampled_from("ABBC"),
        person=st.sampled_from([None, "p1", "p2"]),
        session=st.sampled_from([None, None, "s1", "s2"]),
        opportunity=st.sampled_from([None, "o1", "o2"]),
        buying_group=st.sampled_from([None, None, "g1"]),
        content_type=st.sampled_from([None, "x", "y"]),
        value=st.sampled_from([None, 1_000_000, -1_000_000]),
        attributes=st.sampled_from([None, None, {"tier": 1}, {"tier": "gold"}]),
        revision=st.integers(0, 3),
    )
    # Three at once, for a list of hypothesis' has five elements most of the time.
    three = st.lists(st.lists(made, min_size=3, max_size=15), min_size=3, max_size=3)
    return three.map(lambda some: [each for one in some for each in one])


CANVAS: dict[str, Any] = {
    "kind": "canvas",
    "metric": "events",
    "nodes": [{"id": f"n{type_.lower()}", "match": {"field": "type", "value": type_}} for type_ in "AB"],
    "arrows": [{"from": "na", "to": "nb"}],
}
FLOW: dict[str, Any] = {"kind": "flow", "dimension": "type", "columns": 3, "starts_with": "A"}


def _has(type_: str, op: str = ">=", number: int = 1) -> dict[str, Any]:
    return {"has": {"match": {"field": "type", "value": type_}, "op": op, "number": number}}


OWN: list[dict[str, Any]] = [
    _has("A"), _has("B"), _has("A", ">=", 2), _has("B", "<", 2), {"not": _has("A")}, {"not": _has("B")},
    {"last": {"field": "attributes.tier", "op": "!=", "value": "gold"}},
]  # fmt: skip


@st.composite
def asked_of(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    """What about half of all containers of a kind have: of its own, of what lies under it, or joined."""
    own = st.sampled_from(OWN)
    inside = KINDS_UNDER.get(kind, ())
    some = st.fixed_dictionaries({"some": st.sampled_from(inside), "that": own}) if inside else own
    first, second = draw(some), draw(own)
    joined = [first, first, second, {"not": first}, {"any": [first, second]}, {"all": [{"not": second}, first]}]
    return draw(st.sampled_from(joined))


@st.composite
def filtered(draw: st.DrawFn) -> dict[str, Any]:
    """An analysis whose filter asks for something of other containers, mostly."""
    container = draw(st.sampled_from(["account", "opportunity", "person", "session", "session", "session"]))
    outer = {"session": [["person"], ["person"], ["account", "person"], ["account"]], "account": [[]]}
    wanted = draw(st.none() | asked_of(container) | st.just({"touchpoints": {"field": "type", "value": "A"}}))
    for kind in reversed(draw(st.sampled_from(outer.get(container, [["account"], []])))):
        wanted = {kind: draw(asked_of(kind)), **({} if wanted is None else {"then": wanted})}
    of_what = draw(st.sampled_from([CANVAS, CANVAS, FLOW, {**FLOW, "count": "containers"}]))
    return {**of_what, "container": container, **({} if wanted is None else {"filter": wanted})}


WORLDS = moves(), st.randoms(use_true_random=False), st.lists(st.integers(0, 60), max_size=8)


@st.composite
def filtered_sets(draw: st.DrawFn, count_max: int = 2) -> DefinitionSet:
    """A set of such analyses."""
    made = draw(st.lists(filtered(), min_size=1, max_size=count_max))
    return definition_set([{"name": f"a{n}", **each} for n, each in enumerate(made)])


@settings(max_examples=200, deadline=None)
@given(filtered_sets(), *WORLDS)
def test_oracle_any_order_and_batching_equals_brute_force(
    definitions: DefinitionSet, arrived: list[Touchpoint], random_: random.Random, cuts: list[int]
) -> None:
    """Shuffled and cut anywhere."""
    store, shuffled = MemoryStore(), list(arrived)
    random_.shuffle(shuffled)
    run(definitions, split(shuffled, cuts), store)
    assert cells_of(store) == brute(definitions, arrived)


@settings(max_examples=35, deadline=None)
@given(filtered_sets(1), *WORLDS)
def test_oracle_slices_equal_brute_force(
    definitions: DefinitionSet, arrived: list[Touchpoint], random_: random.Random, cuts: list[int]
) -> None:
    """Where every change of the past is cut into slices of one chunk."""
    store, shuffled = MemoryStore(), list(arrived)
    random_.shuffle(shuffled)
    take_sliced(definitions, split(shuffled, cuts), store)
    assert cells_of(store) == brute(definitions, arrived)


@settings(max_examples=35, deadline=None)
@given(filtered_sets(1), *WORLDS)
def test_tallies_are_those_of_what_is_there(
    definitions: DefinitionSet, arrived: list[Touchpoint], random_: random.Random, cuts: list[int]
) -> None:
    """However it came to be so, the rows of tallies, gates and of sessions under people are the same."""
    whole, pieces, shuffled = MemoryStore(), MemoryStore(), list(arrived)
    random_.shuffle(shuffled)
    run(definitions, [arrived] if arrived else [], whole)
    run(definitions, split(shuffled, cuts), pieces)
    assert list(pieces.scan(b"y")) == list(whole.scan(b"y"))


@settings(max_examples=20, deadline=None)
@given(filtered_sets(), moves())
def test_oracle_the_batch_in_sql_equals_brute_force(definitions: DefinitionSet, arrived: list[Touchpoint]) -> None:
    """What `milepost check` compares with."""
    expected = [cells_of_oracle(arrived, each) for each in definitions.definitions]
    assert cells_of_sql(arrived, definitions) == expected


@settings(max_examples=15, deadline=None)
@given(renewals(filtered_sets), moves(), st.randoms(use_true_random=False), ACTS)
def test_oracle_while_definitions_change(
    sets: list[DefinitionSet], arrived: list[Touchpoint], random_: random.Random, acts: list[int | str]
) -> None:
    """Accounts move into other layouts, whole and in pieces, between any two batches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moving, "SLICE_TOUCHPOINTS", 4)
        patch.setattr(moving, "SLICE_ROWS", 3)
        require_exact_changes(sets, arrived, random_, acts)


@settings(max_examples=25, deadline=None)
@given(filtered_sets(), moves())
def test_oracle_the_containers_behind_a_number_add_up_to_it(
    definitions: DefinitionSet, arrived: list[Touchpoint]
) -> None:
    """Whoever is let in by others, and nobody else."""
    require_sums(definitions, stores_of(layers_of(definitions), arrived), None, 3)
