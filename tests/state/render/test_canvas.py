"""The body of a canvas: which denominators its percentages have, and what falls out where."""

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from state.definitions import Canvas
from state.render import render
from state.render.amounts import decimal_text
from streams.snapshot import ArrowAmounts, ArrowFigures, CanvasBody, CanvasCaption, CanvasTrend, DayCount
from tests.state.worlds import canvases, definition_set

HOUR_MS = 3_600_000


def match(value: str) -> dict[str, str]:
    """A condition on the type."""
    return {"field": "type", "op": "=", "value": value}


def canvas(nodes: str, arrows: list[str], metric: str = "containers") -> dict[str, Any]:
    """A canvas with one node per letter and arrows as `ab`."""
    return {
        "name": "c",
        "kind": "canvas",
        "container": "account",
        "metric": metric,
        "nodes": [{"id": node, "match": match(node)} for node in nodes],
        "arrows": [{"from": arrow[0], "to": arrow[1]} for arrow in arrows],
    }


def body(
    analysis: dict[str, Any], sums: dict[Any, int], days: tuple[int, int] | None = None, clock_ms: int = 0
) -> CanvasBody:
    """The rendered canvas."""
    found = render(definition_set([analysis]).definitions[0], sums, days, clock_ms)
    assert isinstance(found, CanvasBody)
    return found


CHAIN = canvas("abc", ["ab", "bc"])
CHAIN_SUMS = {
    ("t", 1): 6, ("t", 2): 4, ("n", 0, 1): 5, ("n", 0, 2): 3, ("n", 1, 1): 2, ("n", 1, 2): 1, ("n", 2, 2): 1,
    ("a", 0, 1): 2, ("a", 0, 2): 1, ("a", 1, 2): 1, ("f", 0, 1): 2, ("f", 0, 2): 1, ("f", 1, 2): 1,
}  # fmt: skip


def test_chain_has_every_percentage() -> None:
    """Of total, of the start, of the previous node; fallout where there are arrows."""
    found = body(CHAIN, CHAIN_SUMS)
    assert found.total == 10
    assert {node: tuple(vars_of(figures)) for node, figures in found.nodes.items()} == {
        "a": (8, None, 80.0, 100.0, None, 5, None),
        "b": (3, None, 30.0, 37.5, 37.5, 2, None),
        "c": (1, None, 10.0, 12.5, 33.33, None, None),
    }
    assert found.arrows == {"a>b": ArrowFigures(3, 37.5), "b>c": ArrowFigures(1, 33.33)}


def vars_of(figures: Any) -> list[Any]:
    """The figures of a node, in order."""
    return [getattr(figures, name) for name in figures.__struct_fields__]


def test_range_takes_the_containers_that_started_in_it() -> None:
    """Both ends are included, whatever the cell."""
    found = body(CHAIN, CHAIN_SUMS, (2, 2))
    assert (found.total, found.nodes["a"].count, found.nodes["b"].fallout) == (4, 3, 0)
    assert body(CHAIN, CHAIN_SUMS, (1, 2)) == body(CHAIN, CHAIN_SUMS)
    assert body(CHAIN, CHAIN_SUMS, (3, 9)).nodes["a"].of_total is None


def test_converging_starts_fall_back_to_the_total() -> None:
    """A node that two start nodes lead to is measured against all containers; its previous is their union."""
    found = body(
        canvas("abcd", ["ac", "bc", "cd"]),
        {("t", 0): 20, ("n", 0, 0): 5, ("n", 1, 0): 4, ("p", 2, 0): 8, ("n", 2, 0): 2, ("n", 3, 0): 1},
    )
    assert (found.nodes["c"].of_start, found.nodes["c"].of_previous) == (10.0, 25.0)
    assert (found.nodes["d"].of_start, found.nodes["d"].of_previous) == (5.0, 50.0)
    assert found.nodes["b"].of_start == 100.0


def test_diamond_has_one_start() -> None:
    """Two ways from one start node do not converge starts."""
    sums = {("t", 0): 20, ("n", 0, 0): 10, ("n", 3, 0): 5, ("p", 3, 0): 8}
    assert body(canvas("abcd", ["ab", "ac", "bd", "cd"]), sums).nodes["d"].of_start == 50.0


def test_events_may_exceed_their_containers() -> None:
    """Events are divided by containers: 12 of 10 is 120 percent. Fallout stays in containers."""
    sums = {("t", 0): 10, ("n", 0, 0): 8, ("e", 0, 0): 12, ("f", 0, 0): 3}
    figures = body(canvas("ab", ["ab"], "events"), sums).nodes["a"]
    assert (figures.count, figures.of_total, figures.of_start, figures.fallout) == (12, 120.0, 150.0, 5)


def test_values_are_text_without_percentages() -> None:
    """Money is no share of containers."""
    sums = {("t", 0): 10, ("n", 0, 0): 8, ("v", 0, 0): 1_234_500_000}
    figures = body(canvas("ab", ["ab"], "value"), sums).nodes["a"]
    assert vars_of(figures) == ["1234.5", None, None, None, None, 8, None]


def test_a_second_metric_stands_beside_the_first() -> None:
    """In its own unit; percentages and fallout are the first one's."""
    sums = {("t", 0): 10, ("n", 0, 0): 8, ("e", 0, 0): 12, ("v", 0, 0): 2_500_000}
    events = canvas("ab", ["ab"], "events")
    assert vars_of(body(events | {"secondary": "value"}, sums).nodes["a"]) == [12, "2.5", 120.0, 150.0, None, 8, None]
    assert body(events | {"secondary": "containers"}, sums).nodes["a"].second == 8
    assert body(canvas("a", [], "value") | {"secondary": "events"}, sums).nodes["a"].second == 12
    assert body(events | {"secondary": "value"}, sums).nodes["b"].second == "0"


def test_arrow_values_are_in_both_metrics() -> None:
    """What counts containers is null there, for an arrow has those anyway."""
    sums = {("ae", 0, 1): 7, ("ae", 0, 2): 2, ("av", 0, 1): -1_500_000}
    for metric, secondary, expected in [
        ("events", None, ArrowAmounts(9, None)), ("events", "value", ArrowAmounts(9, "-1.5")),
        ("value", "containers", ArrowAmounts("-1.5", None)), ("containers", "events", ArrowAmounts(None, 9)),
    ]:  # fmt: skip
        asked = canvas("ab", ["ab"], metric) | {"arrow_values": True} | ({"secondary": secondary} if secondary else {})
        assert body(asked, sums).arrow_values == {"a>b": expected}
    assert body(canvas("ab", ["ab"], "events"), sums).arrow_values is None


def test_trend_has_every_day_on_which_somebody_came() -> None:
    """In order of the days; a range selects by the start of the container and not by the day of reaching."""
    asked = canvas("ab", ["ab"]) | {"trend": True}
    sums = {("nd", 0, 3, 1): 2, ("nd", 0, 2, 1): 1, ("nd", 0, 3, 2): 4, ("nd", 1, 5, 1): 0, ("ad", 0, 9, 1): 1}
    assert body(asked, sums).trend == CanvasTrend(
        {"a": [DayCount("1970-01-03", 1), DayCount("1970-01-04", 6)], "b": []}, {"a>b": [DayCount("1970-01-10", 1)]}
    )
    ranged = body(asked, sums, (2, 2)).trend
    assert ranged is not None
    assert ranged.nodes["a"] == [DayCount("1970-01-04", 4)]
    assert body(CHAIN, CHAIN_SUMS).trend is None


def test_final_fallout_is_what_the_clock_has_passed() -> None:
    """Of the hours that have begun; null where an arrow has no limit, or where there is none."""
    asked = canvas("abc", ["ab", "bc"])
    asked["arrows"][0]["within"] = "2h"
    sums = {("n", 0, 1): 9, ("f", 0, 1): 2, ("x", 0, 5, 1): 3, ("x", 0, 6, 1): 4}
    for clock_ms, expected in [(5 * HOUR_MS - 1, 0), (5 * HOUR_MS, 3), (6 * HOUR_MS, 7)]:
        nodes = body(asked, sums, clock_ms=clock_ms).nodes
        assert [nodes[node].final_fallout for node in "abc"] == [expected, None, None]
        assert nodes["a"].fallout == 7


def test_nothing_at_all_is_zero_and_null() -> None:
    """Before the first event every count is 0 and every percentage null."""
    found = body(CHAIN, {})
    assert found.total == 0
    assert vars_of(found.nodes["b"]) == [0, None, None, None, None, 0, None]
    assert found.arrows["a>b"] == ArrowFigures(0, None)


def test_caption_is_the_end_that_converts_best() -> None:
    """By its share of the start's containers and not by its count; always containers, whatever the metric."""
    graph = canvas("abcd", ["ab", "cd"], "events")
    sums = {("t", 0): 99, ("n", 0, 0): 50, ("n", 1, 0): 20, ("n", 2, 0): 6, ("n", 3, 0): 4, ("e", 3, 0): 900}
    assert body(graph, sums).caption == CanvasCaption("c", "d", 4, 66.67)
    assert body(CHAIN, CHAIN_SUMS).caption == CanvasCaption("a", "c", 1, 12.5)


def test_caption_of_equals_is_the_first() -> None:
    """Exactly equal shares; a thousandth of a percent more is better, though it reads the same."""
    graph = canvas("abc", ["ab", "ac"])
    assert body(graph, {("n", 0, 0): 8, ("n", 1, 0): 2, ("n", 2, 0): 2}).caption == CanvasCaption("a", "b", 2, 25.0)
    close = {("n", 0, 0): 100_000, ("n", 1, 0): 25_000, ("n", 2, 0): 25_001}
    assert body(graph, close).caption == CanvasCaption("a", "c", 25_001, 25.0)


def test_caption_of_converging_starts_is_a_share_of_all() -> None:
    """Which of two starts a container came from is not kept."""
    sums = {("t", 0): 20, ("n", 0, 0): 5, ("n", 1, 0): 4, ("p", 2, 0): 8, ("n", 2, 0): 2}
    assert body(canvas("abc", ["ac", "bc"]), sums).caption == CanvasCaption(None, "c", 2, 10.0)


def test_no_caption_without_a_conversion() -> None:
    """A node without arrows converts nothing, and so does an end that nobody reached."""
    assert body(canvas("a", []), {("t", 0): 2, ("n", 0, 0): 2}).caption is None
    assert body(CHAIN, {("t", 0): 2, ("n", 0, 0): 2}).caption is None
    assert b"caption" not in msgspec.json.encode(body(CHAIN, {}))


@settings(deadline=None)
@given(st.integers(-(10**40), 10**40))
def test_amounts_keep_every_digit(millionths: int) -> None:
    """The text is the amount, however large, and ends in no zero behind the point."""
    text = decimal_text(millionths)
    whole, _, rest = text.partition(".")
    assert int(whole + rest.ljust(6, "0")) == millionths
    assert not rest.endswith("0")


@settings(deadline=None)
@given(canvases(), st.data())
def test_shape_follows_the_definition(analysis: dict[str, Any], data: st.DataObject) -> None:
    """Every node and arrow is there in the definition's order; fallout exactly where arrows leave, previous where
    they enter."""
    definition = definition_set([{"name": "c", **analysis}]).definitions[0].analysis
    assert isinstance(definition, Canvas)
    reached = {("n", node, 0): data.draw(st.integers(1, 9)) for node in range(len(definition.nodes))}
    joins = {("p", node, 0): 10 for node in range(len(definition.nodes))}
    found = body({"name": "c", **analysis}, {("t", 0): 10, **reached, **joins})
    assert list(found.nodes) == [node.id for node in definition.nodes]
    assert list(found.arrows) == [f"{arrow.from_}>{arrow.to}" for arrow in definition.arrows]
    shares = analysis["metric"] != "value"
    for node, figures in found.nodes.items():
        assert (figures.fallout is not None) == any(arrow.from_ == node for arrow in definition.arrows)
        assert (figures.of_previous is not None) == (shares and bool(definition.parents(node)))
        assert (figures.of_start is not None) == shares
