"""The oracle itself, on the examples that docs/semantics.md works out by hand."""

from typing import Any

import pytest

from state.definitions import Canvas, Flow
from tests.oracles.brute import containers_of, flow_cells
from tests.oracles.canvas import canvas_cells
from tests.state.worlds import touchpoint

PAGES = ("Home", "Products", "Add", "Products", "Add", "Billing", "Confirm")


@pytest.mark.parametrize(
    ("anchor", "paths"),
    [
        ({"starts_with": "Add"}, {((), ("Add", "Products")): 1, ((), ("Add", "Billing")): 1}),
        ({"starts_with": "Add", "limit": "first"}, {((), ("Add", "Products")): 1}),
        ({"ends_with": "Add"}, {(("Products",), ("Add",)): 2}),
        ({"ends_with": "Add", "limit": "last"}, {(("Products",), ("Add",)): 1}),
        ({}, {((), ("Home", "Products")): 1}),
    ],
)
def test_the_shop_of_the_semantics(anchor: dict[str, Any], paths: dict[Any, int]) -> None:
    """Home>Products>Add>Products>Add>Billing>Confirm gives the paths that the semantics print."""
    flow = Flow.model_validate(
        {"kind": "flow", "name": "shop", "container": "account", "dimension": "content", "columns": 2, **anchor}
    )
    visits = [touchpoint(str(i), i, content=page) for i, page in enumerate(PAGES)]
    assert flow_cells(flow, containers_of(visits, "account"), lambda _: 0) == {
        ("o", 0, back, fore): count for (back, fore), count in paths.items()
    }


def test_later_nodes_may_count_more_events() -> None:
    """Series 1, 2, 3, 3 along 1 -> 2 -> 3 counts 1, 1 and 2 events; a series that skips 2 counts at node 1 only."""
    canvas = Canvas.model_validate(
        {
            "kind": "canvas",
            "name": "steps",
            "container": "account",
            "metric": "events",
            "nodes": [{"id": n, "match": {"field": "type", "op": "=", "value": n}} for n in "123"],
            "arrows": [{"from": "1", "to": "2"}, {"from": "2", "to": "3"}],
        }
    )
    whole = [touchpoint(str(i), i, each) for i, each in enumerate("1233")]
    skipping = [touchpoint(f"s{i}", i, each, account="brit") for i, each in enumerate("133")]
    cells = canvas_cells(canvas, containers_of(whole + skipping, "account"), lambda _: 0)
    assert {cell: count for cell, count in cells.items() if cell[0] == "e"} == {
        ("e", 0, 0): 2,
        ("e", 1, 0): 1,
        ("e", 2, 0): 2,
    }
