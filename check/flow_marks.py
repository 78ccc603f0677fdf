"""The marks of a flow's whole paths and links, each told by comparing all pairs of steps.

In the order of time an item is a loop where any step before it has the same item in the same dimension. Where both are
stages, it goes back behind the nearest stage before it that is a later one, and skips behind one with others between.
"""

from collections.abc import Mapping
from typing import Any

from state.definitions import AnchorMatch, Flow

Line = list[tuple[int, str]]  # (step, item) in the order of time


def marks_of(flow: Flow, body: Mapping[str, Any]) -> dict[str, list[Any]]:
    """`link_marks` and `sequence_marks` of a body: what is marked, by its place."""
    link_marks = []
    for number, (from_step, origin, to_step, target, _) in enumerate(body["links"]):
        line = sorted([(from_step, origin), (to_step, target)], key=lambda end: int(end[0]))
        if origin is not None and target is not None and (found := _marks(flow, line, 1)):
            link_marks.append([number, found])
    sequence_marks = []
    for number, (back, fore, _) in enumerate(body["sequences"] or []):
        line = [*((-place, back[place - 1]) for place in range(len(back), 0, -1)), *enumerate(fore)]
        for at, (step, _) in enumerate(line):
            if found := _marks(flow, line, at):
                sequence_marks.append([number, step, found])
    return {"link_marks": link_marks, "sequence_marks": sequence_marks}


def _marks(flow: Flow, line: Line, at: int) -> list[str]:
    before = [flow_item for each in line[:at] if (flow_item := _item(flow, *each)) is not None]
    here = _item(flow, *line[at])
    stages = [(flow.dimension, stage) for stage in flow.stages or []]
    found = ["loop"] if here in before else []
    if here in stages and (passed := [each for each in before if each in stages]):
        moved = stages.index(here) - stages.index(passed[-1])
        found += ["skip"] if moved >= 2 else ["back"] if moved <= -1 else []
    return found


def _item(flow: Flow, step: int, item: str) -> tuple[str, str] | None:
    """Dimension and item; None for an anchor that is a condition."""
    if step == 0 and (isinstance(flow.starts_with, AnchorMatch) or isinstance(flow.ends_with, AnchorMatch)):
        return None
    own = [each.dimension for each in flow.steps or [] if each.step == step and each.dimension is not None]
    return (own[0] if own else flow.dimension), item
