"""What a canvas counts by the items of a dimension, in SQL over `reach` and `matching` (`check.canvas`)."""

from collections.abc import Mapping

from check.conditions import ConditionWriter
from check.literals import Literals
from state.definitions import Canvas

_MATCHING_FROM_REACH_ON = """
    FROM matching JOIN reach USING (container, node) WHERE matching.place >= reach.place
    """

# Per metric the kind of cell, and what is counted: containers at the place of reach, events and value at every place.
_COUNTED_BY_METRIC = {
    "containers": ("b", "SELECT container, node, place, 1 AS amount FROM reach"),
    "events": ("be", f"SELECT container, node, matching.place, 1 AS amount {_MATCHING_FROM_REACH_ON}"),
    "value": ("bv", f"SELECT container, node, matching.place, value AS amount {_MATCHING_FROM_REACH_ON}"),
}


def breakdown_queries(canvas: Canvas, columns: Mapping[str, str]) -> list[tuple[str, str]]:
    """The cells of every node that is broken down, by kind."""
    queries = []
    for n, node in enumerate(canvas.nodes):
        if node.breakdown is not None:
            item = ConditionWriter(columns, Literals()).shown(node.breakdown.dimension)
            metrics = [metric for metric in (canvas.metric, canvas.secondary) if metric is not None]
            queries += [_by_item(n, item, *_COUNTED_BY_METRIC[metric]) for metric in metrics]
    return queries


def _by_item(n: int, item: str, kind: str, counted: str) -> tuple[str, str]:
    return (
        kind,
        f"""
        SELECT born.part, node, touchpoint.{item} AS item, day, sum(amount)
        FROM ({counted}) JOIN touchpoint USING (place) JOIN born USING (container) WHERE node = {n} GROUP BY ALL
        """,
    )
