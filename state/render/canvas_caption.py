"""The caption of a canvas: the end that converts best."""

from collections.abc import Mapping
from fractions import Fraction

from state.definitions import Canvas
from state.render.shares import share_of
from streams.snapshot import CanvasCaption


def caption_of(
    canvas: Canvas, starts: Mapping[str, set[str]], reached: Mapping[str, int], whole: int
) -> CanvasCaption | None:
    """The end whose containers are the greatest share of those at its start; of equals the first in the definition.

    An end has arrows to it and none from it. starts: per node the start nodes that lead to it; several of them stand
    for all containers, as in the percentages. reached: containers per node. None where no end is reached.
    """
    origins = {arrow.from_ for arrow in canvas.arrows}
    best: CanvasCaption | None = None
    best_share = Fraction(0)
    for node in (node.id for node in canvas.nodes):
        if node in origins or node in starts[node]:
            continue
        start = next(iter(starts[node])) if len(starts[node]) == 1 else None
        base = whole if start is None else reached[start]
        if base and (share := Fraction(reached[node], base)) > best_share:
            best, best_share = CanvasCaption(start, node, reached[node], share_of(reached[node], base)), share
    return best
