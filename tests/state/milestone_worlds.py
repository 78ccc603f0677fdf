"""Hypothesis strategies for milestones, and what must hold of what a partition tells of them."""

from typing import Any

from hypothesis import strategies as st

from state.definition_set import DefinitionSet
from state.definitions import Canvas, DefinitionFile, Milestone
from state.milestone_set import MilestoneDefinition
from streams.alert import Alert
from streams.touchpoint import Touchpoint
from tests.oracles.milestones import Found, found_by, waits
from tests.state.canvas_worlds import arrow_limits
from tests.state.partitions import Partition
from tests.state.worlds import DAY, START, TYPES, matches

KINDS = ("account", "opportunity", "buying_group", "person")
DURATIONS = ("10m", "1200s", "1h", "1d", "3d")
FIELDS = ("type", "content_type", "attributes.tier")


@st.composite
def milestones(draw: st.DrawFn, condition: str | None = None) -> dict[str, Any]:
    """A milestone of a condition, any without one, and the canvas that it speaks of."""
    condition = condition or draw(st.sampled_from(CONDITIONS))
    container = draw(st.sampled_from(KINDS))
    if condition in _PLAIN:
        return {"container": container, "when": draw(_PLAIN[condition]()), "each": draw(st.booleans())}
    canvas = draw(canvases(container))
    at = draw(st.sampled_from(canvas["arrows"]))
    if condition == "node":
        return {"container": container, "when": {"canvas": "it", "node": at["to"]}, "canvas": canvas}
    ends = {"from": at["from"], "to": at["to"]}
    within = draw(st.sampled_from(DURATIONS))
    return {"container": container, "when": {"canvas": "it", "arrow": ends, "within": within}, "canvas": canvas}


@st.composite
def canvases(draw: st.DrawFn, container: str) -> dict[str, Any]:
    count = draw(st.integers(2, 5))
    pairs = [(a, b) for a in range(count) for b in range(a + 1, count)]
    arrows = draw(st.lists(st.sampled_from(pairs), unique=True, min_size=1, max_size=7))
    return {
        "name": "it",
        "kind": "canvas",
        "container": container,
        "metric": draw(st.sampled_from(["containers", "events", "value"])),
        "trend": draw(st.booleans()),
        "nodes": [{"id": f"n{i}", "match": draw(matches())} for i in range(count)],
        "arrows": [
            {"from": f"n{a}", "to": f"n{b}", **limits}
            for (a, b), limits in zip(arrows, draw(arrow_limits(len(arrows))), strict=True)
        ],
    }


def _within() -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(st.just({}), st.fixed_dictionaries({"within": st.sampled_from(DURATIONS)}))


def _amounts() -> st.SearchStrategy[dict[str, Any]]:
    counts = st.fixed_dictionaries({"match": matches(), "at_least": st.integers(1, 4)})
    values = st.fixed_dictionaries(
        {"match": matches(), "metric": st.just("value"), "at_least": st.sampled_from([0.5, 1, 3, 4.25])}
    )
    return st.builds(lambda amount, within: amount | within, st.one_of(counts, values), _within())


def _scores() -> st.SearchStrategy[dict[str, Any]]:
    rules = st.fixed_dictionaries({"match": matches(), "points": st.sampled_from([-5, 1, 2, 10])})
    scores = st.fixed_dictionaries(
        {"points": st.lists(rules, min_size=1, max_size=3), "at_least": st.sampled_from([1, 3, 10])}
    )
    return st.builds(lambda score, within: score | within, scores, _within())


def _missing() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"after": matches(), "without": matches(), "within": st.sampled_from(DURATIONS)})


def _unchanged() -> st.SearchStrategy[dict[str, Any]]:
    items = st.lists(st.sampled_from([*TYPES, "x", "y", "1", "gold"]), min_size=1, max_size=3)
    picked = st.one_of(st.just({}), st.fixed_dictionaries({"only": items}), st.fixed_dictionaries({"except": items}))
    stay = st.fixed_dictionaries({"field": st.sampled_from(FIELDS), "for": st.sampled_from(DURATIONS)})
    return st.builds(lambda stay, picked: stay | picked, stay, picked)


_PLAIN = {
    "happens": lambda: st.fixed_dictionaries({"match": matches()}),
    "amount": _amounts,
    "score": _scores,
    "missing": _missing,
    "unchanged": _unchanged,
}
CONDITIONS = (*_PLAIN, "node", "arrow")


SINCE = st.one_of(
    st.just(0),
    st.integers(0, 9).map(lambda n: START + n * 600_000),
    st.integers(0, 9).map(lambda n: START + n * DAY),
)


@st.composite
def milestone_sets(draw: st.DrawFn, count_max: int = 3, stem: str = "v", condition: str | None = None) -> DefinitionSet:
    """A set of one to `count_max` milestones, under few names."""
    made = []
    for number in range(draw(st.integers(1, count_max))):
        milestone = draw(milestones(condition))
        made.append(milestone_definition(f"m{number}", milestone, draw(SINCE), f"{stem}{number}"))
    return with_milestones(made)


def milestone_definition(name: str, said: dict[str, Any], since_ms: int = 0, version: str = "v") -> MilestoneDefinition:
    """A milestone as it stands in a file, published."""
    canvas, body = said.get("canvas"), {key: value for key, value in said.items() if key != "canvas"}
    file = DefinitionFile.model_validate(
        {"version": 1, "analyses": [canvas or ANALYSIS], "milestones": [{"name": name, **body}]}
    )
    if canvas is not None:
        _canvas_by_graph[file.milestones[0].model_dump_json()] = file.analyses[0]  # type: ignore[assignment]
    return MilestoneDefinition(version, since_ms, file.milestones[0])


ANALYSIS = {"name": "far", "kind": "canvas", "container": "account", "nodes": [
    {"id": "a", "match": {"field": "type", "op": "=", "value": "A"}}]}  # fmt: skip
_canvas_by_graph: dict[str, Canvas] = {}


def with_milestones(made: list[MilestoneDefinition]) -> DefinitionSet:
    """The set of these milestones, without any analysis."""
    return DefinitionSet((), (), tuple(made))


def expected_of(made: MilestoneDefinition, arrived: list[Touchpoint], clock_ms: int) -> set[Found]:
    """All that is true by the clock, told or not."""
    found = truth_of(made, arrived)
    return {each for each in found if not waits(made.milestone) or each.happened_ms <= clock_ms}


def truth_of(made: MilestoneDefinition, arrived: list[Touchpoint]) -> set[Found]:
    """All that is true, or will be if nothing more comes."""
    milestone: Milestone = made.milestone
    canvas = _canvas_by_graph.get(milestone.model_dump_json())
    return found_by(milestone, [] if canvas is None else [canvas], arrived)


def asserted_of(partition: Partition, name: str) -> dict[Found, Alert]:
    """What stands of a milestone for a reader of its topic."""
    alerts = [each for each in partition.alerts.values() if each.milestone == name and each.state == "asserted"]
    return {Found(each.who.account, each.who.id, each.episode, each.happened_ms): each for each in alerts}


def require_told(partition: Partition, made: MilestoneDefinition, arrived: list[Touchpoint]) -> None:
    """What stands is what is true by the clock: all that happened since alerts begin, and nothing that is not true."""
    expected = expected_of(made, arrived, partition.clock_ms)
    asserted = asserted_of(partition, made.name)
    assert {each for each in expected if each.happened_ms >= made.since_ms} <= asserted.keys()
    assert {each for each, alert in asserted.items() if alert.version == made.version} <= expected
