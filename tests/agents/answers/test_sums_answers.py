"""Snapshots over other days, and paths through items, as the owner of the sums answers them."""

import threading
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.live_snapshots import part_snapshot
from state.accounts import Accounts
from state.definition_set import Definition, DefinitionSet
from state.render.ranges import range_of
from state.render.through import place_of
from state.sums import PartialSums
from streams.errors import UnavailableError, UsageError
from streams.partials import Tag
from streams.stage import Applied
from streams.store import Row
from streams.touchpoint import Touchpoint
from tests.agents.answers.asking import LATENESS_MS, asked_of, queries_of
from tests.agents.snapshot_worlds import CELLS, DEFINITIONS, TOUCHPOINTS, commit
from tests.agents.test_snapshots import schedule
from tests.state.layers_of import layers_of
from tests.state.memory_store import MemoryStore
from tests.state.worlds import DAY, START, Record, definition_sets, touchpoints

PARTITIONS = (0, 1)


def asker(definitions: DefinitionSet = DEFINITIONS, building: dict[str, tuple[int, int]] | None = None) -> Any:
    """Asks a worker that has read CELLS from each partition."""
    plan = schedule(current=lambda: (0, definitions))
    for partition in PARTITIONS:
        plan.apply(partition, list(commit(7 + partition, CELLS, definitions, building or {})), 0.0)
    plan.is_caught_up = True
    return asked_of(queries_of(lambda: (0, definitions), lambda: {}, standing=lambda: plan))


def expected(name: str, days: str | None, *through: str) -> Any:
    """What sums that were made for these days give, as JSON."""
    definition = DEFINITIONS.named(name)
    assert definition is not None
    sums = PartialSums([definition], None if days is None else range_of(days))
    for partition in PARTITIONS:
        sums.apply(partition, commit(7 + partition, CELLS))
    made = part_snapshot(definition, sums, TOUCHPOINTS, LATENESS_MS, [place_of(text) for text in through])
    return msgspec.json.decode(msgspec.json.encode(made))


ask = asker()


@pytest.mark.parametrize(
    ("name", "days"),
    [
        ("way", None), ("way", "2024-10-04..2024-10-04"), ("way", "2024-10-05..2026-01-01"), ("way", "last 2 years"),
        ("months", None), ("months", "2026-02-01..2026-02-28"), ("months", "last 1 month"),
        ("content", "2024-10-05..2024-10-05"), ("content", "2024-10-05.."), ("content", "2030-01-01..2030-01-02"),
    ],
)  # fmt: skip
def test_other_days_than_the_definitions_own(name: str, days: str | None) -> None:
    """Everything that the same sums give where they are made for these days."""
    query = {} if days is None else {"range": days}
    status, found = ask("/v1/snapshot", analysis=name, **query)
    assert (status, found) == (200, expected(name, days))
    assert ask("/v1/snapshot", analysis=name, v=name, **query)[1] == found


RANGES = st.one_of(
    st.none(),
    st.builds(lambda first, days: dates(first, first + days), st.integers(-3, 100), st.integers(0, 90)),
    st.integers(-3, 100).map(lambda first: f"{dates(first, first)[:10]}.."),
    st.builds("last {} {}s".format, st.integers(1, 60), st.sampled_from(["day", "week", "month", "quarter", "year"])),
)


def dates(first: int, last: int) -> str:
    """A range between two days, numbered from that of START on."""
    one, other = (datetime.fromtimestamp((START + day * DAY) / 1000, UTC).date() for day in (first, last))
    return f"{one}..{other}"


@given(definition_sets(2), st.lists(touchpoints(20), min_size=2, max_size=2), RANGES, st.integers(0, 120))
def test_any_analysis_over_any_range_is_what_the_command_has(
    definitions: DefinitionSet, arrived: list[list[Touchpoint]], days: str | None, clock_day: int
) -> None:
    """Or both refuse it, in the same words. The command makes sums for these days from the beginning of `partials`."""
    log: list[list[Row]] = []
    for partition, mine in enumerate(arrived):
        store = MemoryStore()
        accounts = Accounts(layers_of(definitions), store)
        applied = Applied(Tag(0, partition), {TOUCHPOINTS: partition}, START + clock_day * DAY)
        log.append(accounts.partial_records(accounts.compute([Record(each) for each in mine]), applied))
    plan = schedule(current=lambda: (0, definitions))
    for partition, records in enumerate(log):
        plan.apply(partition, records, 0.0)
    plan.is_caught_up = True
    asking = asked_of(queries_of(lambda: (0, definitions), lambda: {}, standing=lambda: plan))
    for definition in definitions.definitions:
        query = {"analysis": definition.analysis.name} | ({} if days is None else {"range": days})
        status, found = asking("/v1/snapshot", **query)
        expected_status, wanted = commanded(definition, log, days)
        assert status == expected_status
        assert (found if status == 200 else found["detail"]) == wanted


def commanded(definition: Definition, log: list[list[Row]], days: str | None) -> tuple[int, Any]:
    """What the command makes of each partition's records, as JSON; or its words, with the status that stands for it."""
    try:
        sums = PartialSums([definition], None if days is None else range_of(days))
        for partition, records in enumerate(log):
            sums.apply(partition, records)
        made = part_snapshot(definition, sums, TOUCHPOINTS, LATENESS_MS)
    except UsageError as error:
        return 400, str(error)
    return 200, msgspec.json.decode(msgspec.json.encode(made))


def test_paths_through_items() -> None:
    """Of all days or of some; with several items those through all of them."""
    status, found = ask("/v1/flow/through", analysis="content", item="-1=Blog")
    assert (status, found) == (200, expected("content", None, "-1=Blog"))
    assert found["body"]["through"] == {"items": [[-1, "Blog"]], "all": 190, "share": 84.21}
    both = ["-1=Blog", "-2=Webinar"]
    days = "2024-10-04..2024-10-04"
    assert ask("/v1/flow/through", analysis="content", item=both, range=days)[1] == expected("content", days, *both)


@pytest.mark.parametrize(
    ("path", "query", "status", "said"),
    [
        ("snapshot", {}, 400, "analysis is missing"),
        ("snapshot", {"analysis": "x"}, 404, "there are way, months, content"),
        ("snapshot", {"analysis": "way", "v": "old"}, 404, "in force as version way"),
        ("snapshot", {"analysis": "way", "range": "2026"}, 400, "or 'last 30 days'"),
        ("snapshot", {"analysis": "way", "range": "2030-01-01.."}, 400, "the range has not begun"),
        ("snapshot", {"analysis": "months", "range": "last 30 days"}, 400, "write it as 'last 6 months'"),
        ("snapshot", {"analysis": "months", "range": "2026-02-02..2026-02-28"}, 400, "but 2026-02-01..2026-02-28"),
        ("snapshot", {"analysis": "way", "item": "1=a"}, 400, "no parameter item"),
        ("snapshot", {"analysis": "way", "f": "channel:in:webinar"}, 400, "Define an analysis of its own"),
        ("flow/through", {"analysis": "content"}, 400, "item is missing"),
        ("flow/through", {"analysis": "content", "item": "Blog"}, 400, "write STEP=ITEM"),
        ("flow/through", {"analysis": "content", "item": "1=Blog"}, 400, "its columns go from -2 to 0"),
        ("flow/through", {"analysis": "way", "item": "1=Blog"}, 400, "way is a canvas"),
    ],
)  # fmt: skip
def test_what_sums_can_not_give_is_a_problem(path: str, query: dict[str, Any], status: int, said: str) -> None:
    """With what would be right; of a filter, that it needs an analysis of its own."""
    found, problem = ask(f"/v1/{path}", **query)
    assert (found, problem["status"]) == (status, status)
    assert said in problem["detail"]


def test_who_has_no_sums_names_who_has() -> None:
    """As a problem with the owner; where nobody is known it says what to run."""

    def refused(url: str | None) -> tuple[int, Any]:
        made = queries_of(lambda: (0, DEFINITIONS), lambda: {}, sums_url=url)
        found: tuple[int, Any] = asked_of(made)("/v1/snapshot", analysis="way")
        return found

    status, problem = refused("http://owner:1")
    assert (status, problem["owner"]) == (421, "http://owner:1")
    status, problem = refused(None)
    assert (status, "run a worker of the role snapshots" in problem["detail"]) == (503, True)


def test_nothing_is_said_before_everything_was_read() -> None:
    """Compaction may have taken cells away whose newer value comes later."""
    plan = schedule()
    asking = asked_of(queries_of(lambda: (0, DEFINITIONS), lambda: {}, standing=lambda: plan))
    plan.is_caught_up = True
    assert asking("/v1/snapshot", analysis="way")[0] == 503
    plan.is_caught_up = False
    plan.apply(0, list(commit(1, CELLS)), 0.0)
    assert asking("/v1/snapshot", analysis="way")[0] == 503
    plan.is_caught_up = True
    assert asking("/v1/snapshot", analysis="way")[0] == 200


def test_of_a_changed_analysis_the_complete_version_is_shown() -> None:
    """The former one until the new one counts everything; who names the new one is told to ask again."""
    (way,) = [each for each in DEFINITIONS.definitions if each.analysis.name == "way"]
    new = Definition("new", way.zone, way.week_start, way.tzdata, way.analysis)
    changed = DefinitionSet((new,), (way,))
    asking = asker(changed, {"new": (1, 2)})
    assert asking("/v1/snapshot", analysis="way")[1]["version"] == "way"
    assert asking("/v1/snapshot", analysis="way", v="way")[0] == 200
    status, problem = asking("/v1/snapshot", analysis="way", v="new")
    assert (status, "does not count all accounts yet" in problem["detail"]) == (503, True)
    assert asker(changed)("/v1/snapshot", analysis="way")[1]["version"] == "new"
    assert asker(DefinitionSet((new,)), {"new": (1, 2)})("/v1/snapshot", analysis="way")[0] == 503


def test_a_thread_that_reads_holds_up_what_is_applied() -> None:
    """So that it never sees half of a commit; and is told when there is nothing to see."""
    plan = schedule()
    with pytest.raises(UnavailableError), plan.standing():
        pass
    plan.apply(0, list(commit(1, CELLS)), 0.0)
    plan.is_caught_up = True
    applying = threading.Thread(target=lambda: plan.apply(0, list(commit(2, CELLS)), 0.0))
    with plan.standing() as sums:
        applying.start()
        applying.join(0.2)
        assert (applying.is_alive(), sums.covers[0].tag.offset) == (True, 1)
    applying.join(10)
    assert plan.sums.covers[0].tag.offset == 2
