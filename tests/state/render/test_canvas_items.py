"""Items of a dimension: the greatest by name, the rest as one, and nothing lost."""

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from state.render.items import top_items
from streams.snapshot import CanvasSteps, ItemFigures, MoreItems, NodeSteps, TopItems
from tests.state.render.test_canvas import body, canvas


def test_greatest_come_first_and_the_rest_is_one() -> None:
    """Of equals the first by name, null behind them."""
    found = top_items(3, "containers", {"y": 2, "x": 2, None: 2, "z": 5, "v": 1})
    assert found == TopItems(
        [ItemFigures("z", 5, None), ItemFigures("x", 2, None), ItemFigures("y", 2, None)], MoreItems(2, 3, None)
    )


def test_an_item_of_one_metric_only_is_there_in_both() -> None:
    """Of no value and with events; what is zero in both is no item."""
    found = top_items(9, "value", {"x": -500_000, "z": 0}, "events", {"x": 1, "y": 2, "z": 0})
    assert found == TopItems([ItemFigures("y", "0", 2), ItemFigures("x", "-0.5", 1)], MoreItems(0, "0", 0))


def test_breakdowns_stand_by_node() -> None:
    """Only those of nodes that ask for one; days are summed, and ranges select by the start."""
    graph = canvas("ab", ["ab"], "events") | {"secondary": "containers"}
    assert body(graph, {}).breakdowns is None
    graph["nodes"][1]["breakdown"] = {"dimension": "channel", "top": 1}
    sums = {
        ("be", 1, "ads", 1): 3, ("be", 1, "ads", 2): 1, ("be", 1, None, 1): 2, ("b", 1, "ads", 1): 1,
        ("b", 1, None, 1): 2, ("n", 1, 1): 3, ("be", 0, "ads", 1): 77,
    }  # fmt: skip
    expected = TopItems([ItemFigures("ads", 4, 1)], MoreItems(1, 2, 2))
    assert body(graph, sums).breakdowns == {"b": expected}
    assert (body(graph, sums, (1, 1)).breakdowns or {})["b"].items == [ItemFigures("ads", 3, 1)]


def test_steps_stand_by_node_and_arrow() -> None:
    """In containers, whatever the metric; everything is there, also where nobody does anything."""
    graph = canvas("ab", ["ab"], "value") | {"steps": {"top": 1}}
    sums = {
        ("sn", 0, "x", 1): 3,
        ("sn", 0, "y", 1): 1,
        ("sp", 1, None, 1): 2,
        ("sb", 0, "z", 1): 1,
        ("sb", 0, "z", 2): 1,
    }
    nothing = TopItems([], MoreItems(0, 0, None))
    assert body(graph, sums).steps == CanvasSteps(
        {
            "a": NodeSteps(TopItems([ItemFigures("x", 3, None)], MoreItems(1, 1, None)), nothing),
            "b": NodeSteps(nothing, TopItems([ItemFigures(None, 2, None)], MoreItems(0, 0, None))),
        },
        {"a>b": TopItems([ItemFigures("z", 2, None)], MoreItems(0, 0, None))},
    )
    assert body(canvas("ab", ["ab"]), sums).steps is None


AMOUNTS = st.dictionaries(st.sampled_from([None, *"uvwxyz"]), st.integers(-(10**7), 10**7))


@settings(deadline=None)
@given(st.integers(1, 4), AMOUNTS, AMOUNTS)
def test_nothing_is_lost(top: int, first: dict[Any, int], second: dict[Any, int]) -> None:
    """Shown items and the rest are the whole in both metrics, and no rest is above what is shown."""
    found = top_items(top, "value", first, "events", second)
    parts = [*found.items, found.more]
    assert sum(Decimal(each.count) for each in parts) * 1_000_000 == sum(first.values())
    assert sum(int(each.second or 0) for each in parts) == sum(second.values())
    kept = {item for item in {*first, *second} if first.get(item) or second.get(item)}
    assert len(found.items) + found.more.item_count == len(kept)
    assert len(found.items) == min(top, len(kept))
