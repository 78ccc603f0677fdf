"""The items of a dimension, the greatest by name and the rest as one; nothing is lost.

An item that a touchpoint lacks is null and stands among the others.
"""

from collections.abc import Mapping

from state.definitions import Metric
from state.render.amounts import shown_amount
from streams.snapshot import ItemFigures, MoreItems, TopItems

Amounts = Mapping[str | None, int]


def top_items(
    top: int, metric: Metric, first: Amounts, secondary: Metric | None = None, second: Amounts | None = None
) -> TopItems:
    """The `top` items by their amount in `metric`; of equals the first by name, null last.

    What comes to zero in both metrics is no item.
    """
    seconds = second or {}

    def figures(items: list[str | None]) -> tuple[int | str, int | str | None]:
        count = sum(first.get(item, 0) for item in items)
        beside = sum(seconds.get(item, 0) for item in items)
        return shown_amount(metric, count), shown_amount(secondary, beside) if secondary else None

    found = [item for item in first.keys() | seconds.keys() if first.get(item, 0) or seconds.get(item, 0)]
    found.sort(key=lambda item: (-first.get(item, 0), item is None, item or ""))
    shown, rest = found[:top], found[top:]
    return TopItems([ItemFigures(item, *figures([item])) for item in shown], MoreItems(len(rest), *figures(rest)))
