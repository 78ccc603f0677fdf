"""Milestones on a canvas: a node is reached, or an arrow is not followed in time.

What is reached and followed is what the canvas' own lens says; its definition here is the part of the canvas that leads
there. Days of a container's start mean nothing for that, so the canvas is told one that never changes.
"""

from typing import Any

from state.analyses.canvas import DAY, CanvasLens
from state.analyses.canvas_detail import CanvasDetailLens, needs_detail
from state.analyses.lens import Cells, Projection, State
from state.analyses.milestones.lens import REFS_MAX, MilestoneLens, claim, ref_of
from state.calendar import Calendar
from state.definitions import Canvas
from state.definitions.milestone import ArrowNotFollowed, Graph, NodeReached, within_ms
from state.milestone_set import MilestoneDefinition
from streams.partials import Cell
from streams.touchpoint import Touchpoint

_CANVAS, _NODES, _REFS, _OPEN = range(4)
_REACHED, _FOLLOWED = "n", "a"


class _OnCanvasLens(MilestoneLens):
    """State: [the canvas' state, the nodes reached so far in order, the last touchpoints that reached one, and what the
    lens keeps]; empty where nothing more can be told."""

    def __init__(self, made: MilestoneDefinition, graph: Graph | None) -> None:
        assert graph is not None, "it is put there when a file is read"
        super().__init__(made, [node.match for node in graph.nodes])
        canvas = Canvas(
            kind="canvas", name=made.name, container=made.milestone.container, nodes=graph.nodes, arrows=graph.arrows
        )
        of_canvas = CanvasDetailLens if needs_detail(canvas) else CanvasLens
        self._canvas = of_canvas(canvas, made.version, Calendar("UTC", "monday"))
        self._ids = [node.id for node in graph.nodes]

    def project(self, touchpoint: Touchpoint) -> Projection | None:
        found = self._canvas.project(touchpoint)
        return None if found is None else (ref_of(touchpoint), found)

    def empty(self) -> State:
        canvas = self._canvas.empty()
        canvas[DAY] = 0
        return [canvas, [], []]

    def _moved(self, state: State, event_time: int, projection: Any) -> tuple[set[Cell], list[int]]:
        """Moves the canvas; gives (what, number) of what came about, and the nodes reached before."""
        ref, on_canvas = projection
        changes: dict[Cell, int] = {}
        self._canvas.advance(state[_CANVAS], event_time, on_canvas, changes)
        before = state[_NODES]
        reached = sorted(cell[1] for cell in changes if cell[0] == _REACHED)
        if reached:
            state[_NODES] = before + reached
            state[_REFS] = [*state[_REFS], ref][-REFS_MAX:]
        return {cell[:2] for cell in changes}, before

    def _path(self, nodes: list[int]) -> list[str]:
        return [self._ids[number] for number in nodes]


class NodeReachedLens(_OnCanvasLens):
    """A node is reached."""

    def __init__(self, made: MilestoneDefinition, when: NodeReached) -> None:
        super().__init__(made, when.graph)
        self._wanted = (_REACHED, self._ids.index(when.node))

    def advance(self, state: State, event_time: int, projection: Projection | None, cells: Cells) -> None:
        if not state:
            return
        changes, before = self._moved(state, event_time, projection)
        if self._wanted in changes:
            claim(cells, None, event_time, state[_REFS], self._path(before))
            state.clear()


class ArrowNotFollowedLens(_OnCanvasLens):
    """An arrow is not followed in time. The lens keeps the open claim: [when it is over, touchpoints, path]."""

    waits = True

    def __init__(self, made: MilestoneDefinition, when: ArrowNotFollowed) -> None:
        super().__init__(made, when.graph)
        assert when.graph is not None, "it is put there when a file is read"
        ends = [(each.from_, each.to) for each in when.graph.arrows]
        self._origin = (_REACHED, self._ids.index(when.arrow.from_))
        self._followed = (_FOLLOWED, ends.index((when.arrow.from_, when.arrow.to)))
        self._within = within_ms(when.within)

    def empty(self) -> State:
        return [*super().empty(), None]

    def advance(self, state: State, event_time: int, projection: Projection | None, cells: Cells) -> None:
        if not state:
            return
        if state[_OPEN] is not None and event_time > state[_OPEN][0]:
            state.clear()
            return
        changes, before = self._moved(state, event_time, projection)
        if self._origin in changes:
            state[_OPEN] = [event_time + self._within, list(state[_REFS]), self._path(before)]
            self._report(state, cells, 1)
        elif self._followed in changes:
            self._report(state, cells, -1)
            state.clear()

    def _report(self, state: State, cells: Cells, change: int) -> None:
        over, refs, path = state[_OPEN]
        claim(cells, None, over, refs, path, change)
