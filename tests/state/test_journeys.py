"""Journeys: where an account and what lies under it stand, whatever the order of arrival."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state import journeys
from state.accounts_stage import OUTPUT_NAMES, AccountsStage
from state.journeys import Journey, Standing, decode_journey
from streams.partials import COVERS_KEY, Covers, Tag, decode_cell, decode_covers, decode_partial
from streams.stage import Applied, Work
from streams.touchpoint import Touchpoint
from tests.state.memory_store import MemoryStore
from tests.state.test_rules import DAY0, canvas, cohort, flow
from tests.state.worlds import DAY, START, Record, definition_set, touchpoint, touchpoints

DEFINITIONS = definition_set(
    [
        {"name": "far", **canvas("A", "B")},
        {"name": "path", **flow(starts_with="A")},
        {"name": "deals", **canvas("A", "B", container="opportunity")},
        {"name": "again", **cohort(container="opportunity")},
        {"name": "visits", **canvas("A", container="session")},
    ]
)
APPLIED = Applied(Tag(0, 11), {"touchpoints": 5}, 99)


class Worker:
    """A stage on a store in memory, and what a reader of its outputs holds."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.stage = AccountsStage(lambda: (0, DEFINITIONS), OUTPUT_NAMES, self.store)
        self.journeys: dict[str, Journey] = {}
        self.cells: dict[bytes, int] = {}
        self.covers: Covers | None = None

    def take(self, batch: list[Touchpoint]) -> Work:
        """Commits a batch and publishes it."""
        work = self.stage.compute([Record(t) for t in batch], 99)  # type: ignore[misc]
        self.store.apply(work.rows)
        self.read(work)
        return work

    def read(self, work: Work) -> None:
        """Reads what is published."""
        for publication in work.publish(APPLIED):
            for key, value in publication.records:
                assert value is not None
                if publication.topic == "journeys":
                    self.journeys[key.decode()] = decode_journey(value)
                elif key == COVERS_KEY:
                    self.covers = decode_covers(value)
                else:
                    self.cells[key] = decode_partial(value)[1]


def test_a_journey_says_where_the_account_and_its_opportunities_stand() -> None:
    """Nodes reached, first days of included periods, the newest touchpoint, and the commit's tag."""
    worker = Worker()
    worker.take([touchpoint("1", START, "A", opportunity="o1"), touchpoint("2", START + DAY, "X", session="s")])
    journey = worker.journeys["acme"]
    assert (journey.tag, journey.touchpoint_count, journey.canvas) == (Tag(0, 11), 2, {"far": ["n0"]})
    assert journey.last_touchpoint is not None
    assert (journey.last_touchpoint.type, journey.last_touchpoint.event_id) == ("X", "2")
    assert journey.containers == [Standing("opportunity", "o1", {"deals": ["n0"]}, {"again": ["2023-11-14"]})]
    assert journey.container_count == 1


def test_an_account_without_touchpoints_stands_nowhere() -> None:
    """When the last one is withdrawn, the journey says so, also when it is published again after a crash."""
    worker = Worker()
    worker.take([touchpoint("1", START, "A", opportunity="o1")])
    work = worker.take([touchpoint("1", START, "A", opportunity="o1", withdrawn=True, revision=1)])
    gone = Journey(1, Tag(0, 11), "acme", 0, None, {}, {}, 0, [])
    assert worker.journeys["acme"] == gone
    worker.journeys.clear()
    worker.read(work._replace(publish=worker.stage.again(work.pending)))
    assert worker.journeys["acme"] == gone


def test_more_containers_than_a_journey_lists_are_counted() -> None:
    """The list ends at its limit, the count does not."""
    worker = Worker()
    worker.take([touchpoint(str(i), START + i, "A", opportunity=f"o{i:03}") for i in range(journeys.SIBLINGS_MAX + 5)])
    journey = worker.journeys["acme"]
    assert journey.container_count == journeys.SIBLINGS_MAX + 5
    assert len(journey.containers) == journeys.SIBLINGS_MAX


def test_removing_what_lies_in_the_middle_changes_only_that() -> None:
    """A withdrawal between the first and the last touchpoint takes one from the count."""
    worker = Worker()
    worker.take([touchpoint(str(i), START + i, t) for i, t in enumerate("ABA")])
    worker.take([touchpoint("1", START + 1, "B", withdrawn=True, revision=1)])
    assert (worker.journeys["acme"].touchpoint_count, worker.journeys["acme"].canvas) == (2, {"far": ["n0"]})


def test_an_idle_commit_only_says_what_is_covered() -> None:
    """No rows, no cells; covers with the clock, the applied offset and the greatest event time."""
    worker = Worker()
    worker.take([touchpoint("1", START, "A")])
    worker.store.apply(worker.stage.idle(99).rows)
    worker.cells.clear()
    work = worker.stage.idle(99)
    worker.read(work)
    assert (work.rows, worker.cells) == ([], {})
    complete = sorted(each.version for each in DEFINITIONS.definitions)
    covers = Covers(Tag(0, 11), {"touchpoints": 5}, 99, START, DEFINITIONS.hash, complete=complete)
    assert worker.covers == covers


def test_publishing_again_says_the_same() -> None:
    """What a crash swallowed comes from the rows, byte for byte."""
    worker = Worker()
    work = worker.take([touchpoint("1", START, "A", opportunity="o1", person="p")])
    assert worker.stage.again(work.pending)(APPLIED) == work.publish(APPLIED)
    assert {decode_cell(key) for key in worker.cells if key.startswith(b"far")} == {
        ("far", ("n", 0, DAY0)),
        ("far", ("t", DAY0)),
    }


def test_a_place_that_becomes_free_in_the_list_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """When a listed container goes, the next one that stands somewhere comes in, as if it had always been there."""
    monkeypatch.setattr(journeys, "SIBLINGS_MAX", 2)
    worker = Worker()
    worker.take([touchpoint(str(i), START + i, "A", opportunity=f"o{i}", session="s") for i in range(4)])
    worker.take([touchpoint("9", START, "X", opportunity="nowhere")])
    worker.take([touchpoint("0", START, "A", opportunity="o0", session="s", withdrawn=True, revision=1)])
    assert [standing.id for standing in worker.journeys["acme"].containers] == ["o1", "o2"]
    assert worker.journeys["acme"].container_count == 3


@pytest.mark.parametrize("listed_max", [1, 200])
@given(touchpoints(), st.randoms(use_true_random=False))
def test_differential_journeys_do_not_depend_on_the_order(
    listed_max: int, arrived: list[Touchpoint], random_: random.Random
) -> None:
    """One by one and shuffled, the last journey of every account is that of one batch, also where the list is cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journeys, "SIBLINGS_MAX", listed_max)
        compare_orders(arrived, random_)


def compare_orders(arrived: list[Touchpoint], random_: random.Random) -> None:
    """Takes the touchpoints at once and one by one; what readers hold is the same."""
    whole, single = Worker(), Worker()
    whole.take(arrived)
    shuffled = list(arrived)
    random_.shuffle(shuffled)
    for each in shuffled:
        single.take([each])
    known = {a: j for a, j in single.journeys.items() if j.touchpoint_count}
    assert known == {a: j for a, j in whole.journeys.items() if j.touchpoint_count}
    held = {key: n for key, n in single.cells.items() if n}
    assert held == {key: n for key, n in whole.cells.items() if n}
