"""Containers by name: accounts in order, and who has an id, by rows where there are some and else by events."""

import pytest

from state import search
from state.accounts import Accounts
from state.containers import Containers
from state.definition_set import DefinitionSet
from state.definitions import ContainerKind
from state.layers import Layers
from state.search import accounts_named, accounts_of
from tests.state.layers_of import layers_of
from tests.state.memory_store import MemoryStore
from tests.state.worlds import Record, definition_set, touchpoint

FLOW = {"name": "f", "kind": "flow", "container": "opportunity", "dimension": "type"}
CANVAS = {
    "name": "c", "kind": "canvas", "container": "opportunity",
    "nodes": [{"id": "a", "match": {"field": "type", "op": "=", "value": "never"}}],
}  # fmt: skip
ARRIVED = [
    touchpoint("1", account="a", opportunity="o1"),
    touchpoint("2", account="ab", opportunity="o1", person="p"),
    touchpoint("3", account="ab", opportunity="o1", person="p"),
    touchpoint("4", account="b", opportunity="o2"),
    touchpoint("5", account="b", opportunity="o1", withdrawn=True),
]


def store_of(definitions: DefinitionSet) -> tuple[Layers, MemoryStore]:
    """A partition with three accounts."""
    layers, store = layers_of(definitions), MemoryStore()
    store.apply(Accounts(layers, store).compute([Record(each) for each in ARRIVED]).rows)
    return layers, store


@pytest.mark.parametrize(("beginning", "names"), [("", "a ab b"), ("a", "a ab"), ("ab", "ab"), ("c", "")])
def test_accounts_are_found_by_how_they_begin(beginning: str, names: str) -> None:
    """Each once, in order, as many as are asked for."""
    layers, store = store_of(definition_set([FLOW]))
    assert [each.account for each in accounts_named(Containers(layers, store), beginning, 9)] == names.split()
    assert len(accounts_named(Containers(layers, store), beginning, 1)) == min(1, len(names.split()))


@pytest.mark.parametrize("analyses", [[FLOW], [CANVAS], [FLOW | {"container": "account"}]])
def test_who_has_an_id_is_found(analyses: list[dict[str, object]]) -> None:
    """Also where no analysis keeps a row of it; a withdrawn touchpoint makes nobody have one."""
    layers, store = store_of(definition_set(analyses))
    found, is_complete = accounts_of(layers, store, ContainerKind.OPPORTUNITY, "o1", lambda: True)
    assert ([(each.kind, each.account, each.id) for each in found], is_complete) == (
        [("opportunity", "a", "o1"), ("opportunity", "ab", "o1")],
        True,
    )
    assert accounts_of(layers, store, ContainerKind.PERSON, "p", lambda: True)[0][0].account == "ab"
    assert accounts_of(layers, store, ContainerKind.PERSON, "x", lambda: True) == ([], True)


@pytest.mark.parametrize("container", ["session", "account"])
def test_a_derived_session_is_found_by_its_person(container: str) -> None:
    """It has no id of its own; whoever has a session that the source names is found by that."""
    arrived = [
        touchpoint("1", account="a", person="p", stream="web"), touchpoint("2", account="b", person="p", session="s"),
        touchpoint("3", account="c", person="p", stream="crm"),
    ]  # fmt: skip
    layers, store = layers_of(definition_set([FLOW | {"container": container}])), MemoryStore()
    store.apply(Accounts(layers, store).compute([Record(each) for each in arrived]).rows)
    for id_, account in (("p", "a"), ("s", "b")):
        found, _ = accounts_of(layers, store, ContainerKind.SESSION, id_, lambda: True)
        assert [each.account for each in found] == [account]


def test_a_search_ends_when_it_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what it found, and the word that it is not all."""
    monkeypatch.setattr(search, "_ROWS_PER_LOOK", 1)
    layers, store = store_of(definition_set([CANVAS]))
    found, is_complete = accounts_of(layers, store, ContainerKind.OPPORTUNITY, "o1", lambda: True)
    assert ([each.account for each in found], is_complete) == (["a"], False)
