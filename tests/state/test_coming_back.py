"""Definitions that are changed back, or removed and added again, while accounts move: the numbers are right, and what
readers had of a name that stays is never away."""

from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state import moving
from state.definition_set import (
    RETIREMENT_VALUE,
    DefinitionSet,
    Retirement,
    definition_set_of,
    publications,
    stale_retirements,
)
from state.definitions import DefinitionFile
from streams.touchpoint import Touchpoint
from tests.state.partitions import Partition, assert_equal_to_scratch, assert_what_is_complete_is_exact
from tests.state.small import make_chunks_small
from tests.state.test_accounts import WORLDS
from tests.state.test_rules import canvas, flow
from tests.state.worlds import DAY, START, definition_set, touchpoint


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks and slices so small that small worlds have many."""
    make_chunks_small(monkeypatch)
    monkeypatch.setattr(moving, "SLICE_TOUCHPOINTS", 4)
    monkeypatch.setattr(moving, "SLICE_ROWS", 3)


VARIANTS: dict[str, list[dict[str, Any]]] = {
    "one": [canvas("A", "B"), flow(starts_with="A", count="containers")],
    "two": [flow(starts_with="B", container="person"), canvas("B", "C", container="opportunity", metric="events")],
    "stays": [flow(ends_with="B")],
}
FILES = st.fixed_dictionaries(
    {"stays": st.just(0), "one": st.sampled_from([0, 1, None]), "two": st.sampled_from([0, 1, None])}
)


def file_of(variants: dict[str, int | None]) -> DefinitionFile:
    """A definition file with these variants of these names."""
    chosen = [{"name": name, **VARIANTS[name][number]} for name, number in variants.items() if number is not None]
    return DefinitionFile.model_validate({"version": 1, "analyses": chosen})


class Opened(NamedTuple):
    """An apply that has read the topic and the screens, and has published nothing yet."""

    variants: dict[str, int | None]
    topic: dict[str, bytes]
    screen: dict[str, str]


class World:
    """Two partitions, the definitions topic, and what readers have on their screens: versions by name.

    Whoever reads the topic hears of it late; an apply takes a while, and so does the agent from deciding on a
    retirement to saying it. Of time there is only what the agent promises: whoever began to apply before a version was
    shown has published when it decides that the former one is retired, or never does.
    """

    def __init__(self) -> None:
        self.topic: dict[str, bytes] = {}
        self.end = 0
        self.partitions = [Partition(DefinitionSet(())) for _ in range(2)]
        self.taken: list[list[Touchpoint]] = [[], []]
        self.screen: dict[str, str] = {}
        self.heard = DefinitionSet(())
        self.opened: Opened | None = None
        self.decided: list[Retirement] = []

    def publish(self, records: dict[str, bytes | None]) -> None:
        """Records come to the topic."""
        for key, value in records.items():
            if value is None:
                self.topic.pop(key, None)
            else:
                self.topic[key] = value
        self.end += len(records)

    def definitions(self) -> DefinitionSet:
        """The set in force."""
        return definition_set_of(self.topic)

    def begin_to_apply(self, variants: dict[str, int | None]) -> None:
        """An apply looks; a former one ends before, for only one comes at a time."""
        self.go_on_to_apply()
        self.opened = Opened(variants, dict(self.topic), dict(self.screen))

    def go_on_to_apply(self) -> None:
        """It publishes what it found right."""
        if self.opened is None:
            return
        variants, topic, screen = self.opened
        self.opened = None
        records, _ = publications(file_of(variants), definition_set_of(topic), 5, screen)
        self.publish(records | dict.fromkeys(stale_retirements(topic, records)))
        self.screen = {name: version for name, version in self.screen.items() if variants[name] is not None}

    def apply(self, variants: dict[str, int | None]) -> None:
        """A file is applied."""
        self.begin_to_apply(variants)
        self.go_on_to_apply()

    def follow(self, number: int) -> None:
        """A partition hears of the definitions."""
        self.partitions[number].definitions, self.partitions[number].offset = self.definitions(), self.end

    def take(self, number: int, touchpoints: list[Touchpoint]) -> None:
        """A batch of a partition."""
        self.partitions[number].take(touchpoints)
        self.taken[number] += touchpoints

    def is_complete(self, version: str) -> bool:
        """Whether every partition has it complete."""
        return all(version in partition.covers.complete for partition in self.partitions)

    def show(self) -> None:
        """The snapshots agent publishes."""
        is_newest = self.heard == self.definitions()
        for each in self.heard.definitions:
            name = each.analysis.name
            shown = self.heard.shown(name, self.is_complete)
            assert shown is not None or name not in self.screen or not is_newest, "the numbers of a name went away"
            if shown is not None:
                self.screen[name] = shown.version

    def decide(self) -> None:
        """The agent sees what is not shown any more; whoever began to apply before that is done, or gives up."""
        for former in self.heard.replaced:
            name, new = former.analysis.name, self.heard.named(former.analysis.name)
            if new is not None and self.screen.get(name) == new.version:
                self.decided.append(Retirement(former.version, new.version))
                if self.opened is not None and self.opened.screen.get(name) != new.version:
                    self.opened = None

    def say(self) -> None:
        """It says so, whatever happened meanwhile."""
        self.publish({retirement.key: RETIREMENT_VALUE for retirement in self.decided})
        self.decided.clear()

    def require_exact(self) -> None:
        """What is complete somewhere is exact there."""
        for partition, taken in zip(self.partitions, self.taken, strict=True):
            assert_what_is_complete_is_exact(partition, taken)

    def hear(self) -> None:
        """The agent hears of the definitions."""
        self.heard = self.definitions()

    def settle(self) -> None:
        """Every partition hears of the definitions and moves all accounts."""
        for number, partition in enumerate(self.partitions):
            self.follow(number)
            partition.rest()

    def rest(self) -> None:
        """Everything that can be done is done."""
        for _ in range(3):
            self.settle()
            self.hear()
            self.show()
            self.decide()
            self.say()
        for partition, taken in zip(self.partitions, self.taken, strict=True):
            assert_equal_to_scratch(partition, taken)
        assert self.screen == {each.analysis.name: each.version for each in self.definitions().definitions}


PARTITION = st.integers(0, 1)
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), PARTITION),
        st.tuples(st.just("chore"), PARTITION),
        st.tuples(st.just("chore"), PARTITION),
        st.tuples(st.just("follow"), PARTITION),
        st.tuples(st.sampled_from(["settle", "hear", "show", "decide", "say", "go_on_to_apply"]), st.none()),
        st.tuples(st.just("begin"), FILES),
    ),
    max_size=80,
)


@settings(max_examples=60)
@given(WORLDS, ACTS)
def test_oracle_definitions_that_are_changed_back_equal_brute_force(
    arrived: list[Touchpoint], acts: list[tuple[str, Any]]
) -> None:
    """Files come in any order, each at any moment; partitions hear of them late, and of some never."""
    world = World()
    left = [[each for each in arrived if (each.account == "acme") == (number == 0)] for number in range(2)]
    for what, with_ in acts:
        match what:
            case "take":
                world.take(with_, left[with_][:4])
                del left[with_][:4]
            case "chore":
                world.partitions[with_].chore()
            case "follow":
                world.follow(with_)
            case "begin":
                world.begin_to_apply(with_)
            case _:
                getattr(world, what)()
        world.require_exact()
    for number in range(2):
        world.take(number, left[number])
    world.go_on_to_apply()
    world.rest()


LARGE = [touchpoint(f"{n:02}", START + n * DAY, "AB"[n % 2], person="p") for n in range(14)]
OTHERS = [touchpoint(f"{n}", START + n * DAY, "AB"[n % 2], account="brit", person="q") for n in range(6)]
A, B, NEITHER = ({"stays": 0, "one": variant} for variant in (0, 1, None))


@pytest.mark.exhaustive
@pytest.mark.parametrize("between", [B, NEITHER], ids=["changed", "removed"])
@pytest.mark.parametrize("chore_count", range(0, 26, 5))
def test_a_definition_that_comes_back_is_counted_anew(between: dict[str, int | None], chore_count: int) -> None:
    """In a version of its own, however far the move away from it had come."""
    world = World()
    world.apply(A)
    for number, touchpoints in enumerate((LARGE, OTHERS)):
        world.take(number, touchpoints)
    world.settle()
    world.hear()
    world.show()
    first = world.screen["one"]
    for file in (between, A):
        world.apply(file)
        for number in range(2):
            world.follow(number)
            for _ in range(chore_count):
                world.partitions[number].chore()
        world.require_exact()
        world.hear()
        world.show()
    world.rest()
    assert world.screen["one"] != first


def test_what_is_shown_again_is_not_retired_for_what_replaced_it_before() -> None:
    """Changed back while the agent retires the former version, for the changed one is shown: who applies did not see
    that, and takes the former one along. It is on the screen again until its definition has come back."""
    world = World()
    world.take(0, LARGE)
    world.apply(A)
    world.settle()
    world.hear()
    world.show()
    first = world.screen["one"]
    world.apply(B)
    world.settle()
    world.hear()
    world.begin_to_apply(A)
    world.show()
    assert world.screen["one"] != first
    world.go_on_to_apply()
    world.decide()
    world.say()
    for number in range(2):
        world.follow(number)
        world.partitions[number].chore()
    world.hear()
    world.show()
    assert world.screen["one"] == first
    world.rest()


OLD = definition_set([{"name": "one", **VARIANTS["one"][0]}, {"name": "stays", **VARIANTS["stays"][0]}])
OTHER = definition_set([{"name": "other", **VARIANTS["one"][1]}])
GONE = DefinitionSet(OLD.definitions[1:])
SETS = st.lists(st.sampled_from([OLD, GONE, OTHER, DefinitionSet(OTHER.definitions, OLD.definitions)]), max_size=5)


@settings(max_examples=50)
@given(WORLDS, SETS, st.lists(st.sampled_from(["take", "define", "chore", "chore", "chore"]), max_size=60))
def test_oracle_a_version_that_comes_back_is_exact_or_away(
    arrived: list[Touchpoint], sets: list[DefinitionSet], acts: list[str]
) -> None:
    """`definitions apply` gives a fresh version each time. Should an old one come back nevertheless, its old rows are
    never counted on: it is away as long as there are any, and counts everything when they are gone."""
    partition, left = Partition(OLD), list(arrived)
    taken: list[Touchpoint] = []
    for act in acts:
        if act == "chore":
            partition.chore()
        elif act == "define" and sets:
            partition.define(sets.pop())
        elif act == "take" and left:
            taken += left[:4]
            partition.take(left[:4])
            del left[:4]
        assert_what_is_complete_is_exact(partition, taken)
    partition.rest()
    assert_what_is_complete_is_exact(partition, taken)
    partition.define(DefinitionSet(()))
    partition.rest()
    partition.define(OLD)
    partition.rest()
    assert_equal_to_scratch(partition, taken)
