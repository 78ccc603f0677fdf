"""Hypothesis strategies: small worlds of touchpoints and definitions in which everything collides."""

from typing import Any

from hypothesis import strategies as st

from state.definition_set import Definition, DefinitionSet
from state.definitions import DefinitionFile
from streams.touchpoint import Touchpoint, encode_touchpoint
from tests.state.canvas_worlds import arrow_limits, canvas_options, node_options

TYPES = ("A", "B", "C", "D")
VALUES = ("x", "y", "z")
DAY = 86_400_000
START = 1_700_000_000_000


def touchpoint(event_id: str = "1", event_time: int = 0, type: str = "A", **fields: Any) -> Touchpoint:
    """A touchpoint of account `acme` with everything else at its least."""
    given: dict[str, Any] = dict.fromkeys(Touchpoint.__struct_fields__)
    given.update(
        event_id=event_id, source="s", event_time=event_time, source_sequence=0, withdrawn=False, type=type,
        stream="web", account="acme", revision=0, ingest_time=0,
    )  # fmt: skip
    given.update(fields)
    return Touchpoint(**given)


@st.composite
def touchpoints(draw: st.DrawFn, count_max: int = 40) -> list[Touchpoint]:
    """Touchpoints of two accounts in order of arrival: ties, duplicates, corrections and withdrawals among them."""
    made = st.builds(
        touchpoint,
        event_id=st.integers(0, 25).map(str),
        source=st.sampled_from(["s", "t"]),
        event_time=st.one_of(
            st.integers(0, 12).map(lambda n: START + n * 600_000),
            st.integers(0, 90).map(lambda n: START + n * DAY),
        ),
        source_sequence=st.sampled_from([0, 0, 0, 1]),
        withdrawn=st.sampled_from([False] * 9 + [True]),
        type=st.sampled_from(TYPES),
        opportunity=st.sampled_from([None, "o1", "o2"]),
        content_type=st.sampled_from([None, *VALUES]),
        person=st.sampled_from([None, "p1", "p2"]),
        buying_group=st.sampled_from([None, "g1"]),
        session=st.sampled_from([None, None, "s1"]),
        stream=st.sampled_from(["web", "crm"]),
        value=st.sampled_from([None, 1_000_000, -500_000, 2_500_000]),
        attributes=st.sampled_from([None, {"tier": 1}, {"tier": "gold", "hot": True}]),
        account=st.sampled_from(["acme", "brit"]),
        revision=st.sampled_from([0, 0, 0, 1, 2]),
        ingest_time=st.integers(0, 3),
    )
    found: list[Touchpoint] = draw(st.lists(made, max_size=count_max))
    again = draw(st.lists(st.sampled_from(found), max_size=5)) if found else []
    return found + again


def restless_touchpoints(count_max: int = 50) -> st.SearchStrategy[list[Touchpoint]]:
    """Few events of one account that come, change and go again and again: containers lose their edges, their chunks
    and all they have."""
    made = st.builds(
        touchpoint,
        event_id=st.integers(0, 8).map(str),
        event_time=st.one_of(
            st.integers(0, 6).map(lambda n: START + n * 600_000),
            st.integers(0, 9).map(lambda n: START + n * DAY),
        ),
        withdrawn=st.sampled_from([False, False, True]),
        type=st.sampled_from([*TYPES, "X"]),
        opportunity=st.sampled_from([None, "o1", "o2"]),
        content_type=st.sampled_from([None, *VALUES]),
        session=st.sampled_from([None, "s1"]),
        revision=st.integers(0, 4),
    )
    return st.lists(made, max_size=count_max)


def matches() -> st.SearchStrategy[dict[str, Any]]:
    """Conditions of any shape."""
    leaf = st.one_of(
        st.sampled_from(TYPES).map(lambda t: {"field": "type", "op": "=", "value": t}),
        st.lists(st.sampled_from(TYPES), min_size=1, max_size=2).map(
            lambda t: {"field": "type", "op": "in", "value": t}
        ),
        st.sampled_from(VALUES).map(lambda v: {"field": "content_type", "op": "!=", "value": v}),
        st.sampled_from([1, 0.5, -1]).map(lambda v: {"field": "value", "op": ">=", "value": v}),
        st.just({"field": "attributes.tier", "op": "exists"}),
    )
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=2).map(lambda parts: {"all": parts}),
            st.lists(inner, min_size=1, max_size=2).map(lambda parts: {"any": parts}),
            inner.map(lambda part: {"not": part}),
        ),
        max_leaves=3,
    )


CONTAINERS = ("account", "opportunity", "buying_group", "person", "session")


def last_periods(*units: str) -> st.SearchStrategy[dict[str, Any]]:
    """The range that a definition may ask for: most often none."""
    some = st.builds("{} {}s".format, st.integers(1, 60), st.sampled_from(units or ("day", "day", "week", "month")))
    return st.one_of(st.just({}), st.just({}), st.fixed_dictionaries({"last": some}))


@st.composite
def canvases(draw: st.DrawFn) -> dict[str, Any]:
    """A canvas of up to five nodes over any acyclic graph."""
    count = draw(st.integers(1, 5))
    pairs = [(a, b) for a in range(count) for b in range(a + 1, count)]
    arrows = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=7)) if pairs else []
    return {
        "kind": "canvas",
        "container": draw(st.sampled_from(CONTAINERS)),
        **draw(canvas_options()),
        **draw(last_periods()),
        "nodes": [{"id": f"n{i}", "match": draw(matches()), **draw(node_options())} for i in range(count)],
        "arrows": [
            {"from": f"n{a}", "to": f"n{b}", **limits}
            for (a, b), limits in zip(arrows, draw(arrow_limits(len(arrows))), strict=True)
        ],
    }


def _thresholds() -> st.SearchStrategy[dict[str, Any]]:
    leaf = st.fixed_dictionaries(
        {
            "match": matches(),
            "metric": st.sampled_from(["count", "count", "value"]),
            "op": st.sampled_from([">=", ">=", ">", "=", "!=", "<=", "<"]),
            "number": st.sampled_from([0, 1, 1, 2]),
        }
    )
    groups = st.one_of(
        st.lists(leaf, min_size=1, max_size=2).map(lambda parts: {"all": parts}),
        st.lists(leaf, min_size=1, max_size=2).map(lambda parts: {"any": parts}),
    )
    return st.one_of(leaf, leaf, groups)


@st.composite
def cohorts(draw: st.DrawFn) -> dict[str, Any]:
    """A cohort over any thresholds, granularity, way of inclusion and options."""
    granularity = draw(st.sampled_from(["day", "week", "month", "quarter", "year"]))
    return {
        "kind": "cohort",
        "container": draw(st.sampled_from(CONTAINERS)),
        "granularity": granularity,
        **draw(last_periods(granularity)),
        "mode": draw(st.sampled_from(["retention", "churn"])),
        **(draw(_cohort_options()) if draw(st.booleans()) else {}),
        "include": draw(st.sampled_from(["first", "every"])),
        "inclusion": draw(_thresholds()),
        "return": draw(_thresholds()),
        "periods": draw(st.sampled_from([1, 3, 40])),
    }


@st.composite
def _cohort_options(draw: st.DrawFn) -> dict[str, Any]:
    """Any combination that is allowed."""
    mode = draw(st.sampled_from(["retention", "churn", "rolling", "cumulative"]))
    dimension = draw(st.sampled_from([None, None, "content_type", "attributes.tier", "type"]))
    return {
        "mode": mode,
        "latency": mode != "rolling" and draw(st.booleans()),
        "velocity": draw(st.booleans()),
        **({"dimension": dimension, "top": draw(st.sampled_from([1, 2, 9]))} if dimension else {}),
    }


@st.composite
def flow_steps(draw: st.DrawFn, numbers: list[int]) -> list[dict[str, Any]]:
    """Columns with a dimension, a filter or both of their own; `numbers` are the columns that may have both."""
    items = st.lists(st.sampled_from([*VALUES, *TYPES, "gold"]), min_size=1, max_size=3)
    said = st.sampled_from([("dimension",), ("dimension",), ("only",), ("except",), ("dimension", "except")])
    return [
        {"step": number}
        | {key: draw(st.sampled_from(FLOW_DIMENSIONS) if key == "dimension" else items) for key in draw(said)}
        for number in draw(st.lists(st.sampled_from(numbers), unique=True, min_size=1, max_size=3))
    ]


FLOW_DIMENSIONS = ("content_type", "type", "attributes.tier")


@st.composite
def flows(draw: st.DrawFn) -> dict[str, Any]:
    """A flow with any anchor, limit, way of counting, and columns of their own."""
    anchor = draw(st.sampled_from(["starts_with", "ends_with", "contains", None]))
    flow: dict[str, Any] = {
        "kind": "flow",
        "container": draw(st.sampled_from(CONTAINERS)),
        "dimension": draw(st.sampled_from(FLOW_DIMENSIONS)),
        "columns": draw(st.integers(3, 5)),
        "include_repeats": draw(st.booleans()),
        "count": draw(st.sampled_from(["occurrences", "containers"])),
    }
    if anchor is not None:
        value = draw(st.sampled_from([*VALUES, *TYPES]))
        matched = anchor != "contains" and draw(st.booleans())
        flow[anchor] = {"match": draw(matches()), "title": "anchor"} if matched else value
        limit = {"starts_with": "first", "ends_with": "last"}.get(anchor)
        if limit and draw(st.booleans()):
            flow["limit"] = limit
    if draw(st.booleans()):
        flow["stages"] = draw(st.lists(st.sampled_from([*VALUES, *TYPES]), unique=True, min_size=2, max_size=5))
    if flow["count"] == "occurrences":
        flow |= draw(last_periods())
    if draw(st.booleans()):
        count = flow["columns"]
        first = {"ends_with": 1 - count, "contains": -((count - 1) // 2)}.get(anchor or "", 0)
        flow["steps"] = draw(flow_steps([step for step in range(first, first + count) if step != 0]))
        if anchor is None and draw(st.booleans()):
            items = draw(st.lists(st.sampled_from([*VALUES, *TYPES]), min_size=1, max_size=3))
            flow["steps"].append({"step": 0, draw(st.sampled_from(["only", "except"])): items})
    return flow


KINDS_UNDER = {"account": ("opportunity", "buying_group", "person", "session"), "person": ("session",)}


def _segments(kind: str = "") -> st.SearchStrategy[dict[str, Any]]:
    """What the whole series of a container may have; of a kind under which others lie also what these have."""
    threshold = st.fixed_dictionaries(
        {
            "match": matches(),
            "metric": st.sampled_from(["count", "count", "value"]),
            "op": st.sampled_from([">=", ">=", ">", "=", "!=", "<=", "<"]),
            "number": st.sampled_from([0, 1, 1, 2, 4]),
        }
    )
    newest = st.sampled_from(
        [
            {"field": "attributes.tier", "op": "=", "value": "gold"},
            {"field": "attributes.tier", "op": "!=", "value": 1},
            {"field": "content_type", "op": "in", "value": ["x", "y"]},
            {"field": "content_type", "op": "exists", "value": False},
            {"field": "value", "op": "<", "value": 1},
            {"field": "type", "op": "not-in", "value": ["A", "B"]},
        ]
    )
    leaves = [threshold.map(lambda asked: {"has": asked}), newest.map(lambda asked: {"last": asked})]
    if kind in KINDS_UNDER:
        some = st.fixed_dictionaries({"some": st.sampled_from(KINDS_UNDER[kind]), "that": _segments()})
        leaves += [some, some]
    return st.recursive(
        st.one_of(leaves),
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=2).map(lambda parts: {"all": parts}),
            st.lists(inner, min_size=1, max_size=2).map(lambda parts: {"any": parts}),
            inner.map(lambda part: {"not": part}),
        ),
        max_leaves=3,
    )


@st.composite
def analyses(draw: st.DrawFn, container: str | None = None) -> dict[str, Any]:
    """An analysis of any kind, and of any or this container, every third with a filter."""
    analysis: dict[str, Any] = draw(st.one_of(canvases(), cohorts(), flows()))
    if container is not None:
        analysis["container"] = container
    return analysis if draw(st.integers(0, 2)) else {**analysis, "filter": draw(filters(analysis["container"]))}


@st.composite
def filters(draw: st.DrawFn, container: str) -> dict[str, Any]:
    """A filter of its own series, of its account's, of a session's person's, of one after the other, or of
    touchpoints."""
    outer = {"session": ["account", "person"], "account": []}.get(container, ["account"])
    kinds = [kind for kind in outer if draw(st.booleans())]
    inner = draw(_inner_filters(container)) if not kinds or draw(st.booleans()) else None
    for kind in reversed(kinds):
        inner = {kind: draw(_segments(kind)), **({} if inner is None else {"then": inner})}
    assert inner is not None
    return inner


@st.composite
def _inner_filters(draw: st.DrawFn, container: str) -> dict[str, Any]:
    """What a container's own series has, or which of its touchpoints are seen."""
    if draw(st.booleans()):
        return draw(_segments(container))
    return {"touchpoints": draw(matches()), **({"of": draw(_segments(container))} if draw(st.booleans()) else {})}


def _named(draw: st.DrawFn, wanted: Any, segments: dict[str, Any]) -> Any:
    """The same filter, with names for some parts of it, which come into `segments`."""
    if not isinstance(wanted, dict):
        return [_named(draw, part, segments) for part in wanted]
    parts = {key: _named(draw, part, segments) if key in _OF_SEGMENTS else part for key, part in wanted.items()}
    if draw(st.integers(0, 2)):
        return parts
    segments[f"s{len(segments)}"] = parts
    return {"segment": f"s{len(segments) - 1}"}


_OF_SEGMENTS = ("all", "any", "not", "account", "person", "then", "of", "that")


@st.composite
def definition_sets(draw: st.DrawFn, count_max: int = 3) -> DefinitionSet:
    """A set of one to `count_max` valid analyses. In every other set all are of one container: they share its row."""
    container = draw(st.sampled_from([None] * len(CONTAINERS) + [*CONTAINERS]))
    made = draw(st.lists(analyses(container), min_size=1, max_size=count_max))
    zone = draw(st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Apia"]))
    segments: dict[str, Any] = {}
    written = [
        {**each, "filter": _named(draw, each["filter"], segments)} if "filter" in each else each for each in made
    ]
    return definition_set([{"name": f"a{i}", **each} for i, each in enumerate(written)], zone, segments=segments)


def definition_set(
    analyses: list[dict[str, Any]],
    zone: str = "UTC",
    week_start: str = "monday",
    segments: dict[str, Any] = {},  # noqa: B006  (nobody changes it)
) -> DefinitionSet:
    """The set of these analyses, each with its name as version."""
    file = DefinitionFile.model_validate(
        {"version": 1, "zone": zone, "week_start": week_start, "segments": segments, "analyses": analyses}
    )
    return DefinitionSet(tuple(Definition(a.name, file.zone, file.week_start, "", a) for a in file.analyses))


class Record:
    """A record of the touchpoints topic."""

    __slots__ = ("key", "offset", "value")

    def __init__(self, touchpoint: Touchpoint, offset: int = 0) -> None:
        self.offset = offset
        self.key = touchpoint.account.encode()
        self.value = encode_touchpoint(touchpoint)
