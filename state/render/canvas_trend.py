"""When containers came to the nodes of a canvas and along its arrows."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta

from state.definitions import Canvas
from streams.partials import Cell
from streams.snapshot import CanvasTrend, DayCount

_EPOCH = date(1970, 1, 1)


def trend_of(canvas: Canvas, totals: Mapping[Cell, int]) -> CanvasTrend | None:
    """The days of every node and arrow; None where the canvas does not ask for them."""
    if not canvas.trend:
        return None
    counts: dict[tuple[str, int], dict[int, int]] = {}
    for cell, count in totals.items():
        if cell[0] in ("nd", "ad") and count:
            counts.setdefault((cell[0], cell[1]), {})[cell[2]] = count

    def days(kind: str, names: Iterable[str]) -> dict[str, list[DayCount]]:
        return {
            name: [DayCount(_date(day), count) for day, count in sorted(counts.get((kind, place), {}).items())]
            for place, name in enumerate(names)
        }

    arrows = [f"{arrow.from_}>{arrow.to}" for arrow in canvas.arrows]
    return CanvasTrend(days("nd", [node.id for node in canvas.nodes]), days("ad", arrows))


def _date(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).isoformat()
