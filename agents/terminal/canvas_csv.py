"""A canvas as the rows of a CSV table.

A row per node (what = node), then per arrow (what = arrow, from `node` to `to`; share: of the origin's containers),
then the best conversion (what = best, from `node`, empty for all containers, `to` its end), then, where the definition
asks for them, the events or value along each arrow (what = along), the items of each node (what = breakdown; those not
shown: breakdown_more, with item_count how many they are), who came on each day to a node or along an arrow (what =
day), and the steps around nodes (next, previous) and arrows (between), likewise with a row for what is not shown.
"""

from collections.abc import Iterator
from typing import Any

from agents.terminal.canvas_view import titles_of
from streams.snapshot import CanvasSnapshot, TopItems

Row = list[str | int | float | None]
COLUMNS = (
    "what", "node", "to", "title", "count", "of_total", "of_start", "of_previous", "fallout", "share", "second",
    "final_fallout", "item", "item_count", "day",
)  # fmt: skip


def canvas_rows(snapshot: CanvasSnapshot) -> Iterator[Row]:
    """The header and the rows."""
    yield list(COLUMNS)
    for row in _rows(snapshot):
        yield [row.get(column) for column in COLUMNS]


def _rows(snapshot: CanvasSnapshot) -> Iterator[dict[str, Any]]:
    body = snapshot.body
    titles = titles_of(snapshot)
    for node, n in body.nodes.items():
        yield {
            "what": "node", "node": node, "title": titles[node], "count": n.count, "of_total": n.of_total,
            "of_start": n.of_start, "of_previous": n.of_previous, "fallout": n.fallout, "second": n.second,
            "final_fallout": n.final_fallout,
        }  # fmt: skip
    for arrow, figures in body.arrows.items():
        yield {"what": "arrow", **_ends(arrow), "count": figures.containers, "share": figures.share}
    if best := body.caption:
        yield {"what": "best", "node": best.start, "to": best.end, "count": best.containers, "share": best.share}
    for arrow, amounts in (body.arrow_values or {}).items():
        yield {"what": "along", **_ends(arrow), "count": amounts.amount, "second": amounts.second}
    for node, items in (body.breakdowns or {}).items():
        yield from _items("breakdown", {"node": node}, items)
    if body.trend:
        places = [({"node": node}, days) for node, days in body.trend.nodes.items()]
        places += [(_ends(arrow), days) for arrow, days in body.trend.arrows.items()]
        for place, days in places:
            yield from ({"what": "day", **place, "day": each.day, "count": each.count} for each in days)
    if body.steps:
        for node, steps in body.steps.nodes.items():
            yield from _items("next", {"node": node}, steps.next)
            yield from _items("previous", {"node": node}, steps.previous)
        for arrow, items in body.steps.arrows.items():
            yield from _items("between", _ends(arrow), items)


def _items(what: str, place: dict[str, str], top: TopItems) -> Iterator[dict[str, Any]]:
    for each in top.items:
        yield {"what": what, **place, "item": each.item, "count": each.count, "second": each.second}
    more = top.more
    yield {"what": f"{what}_more", **place, "item_count": more.item_count, "count": more.count, "second": more.second}


def _ends(arrow: str) -> dict[str, str]:
    origin, _, target = arrow.partition(">")
    return {"node": origin, "to": target}
