"""The canvas of a definition file."""

from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Literal

from pydantic import Field, model_validator

from state.definitions.analysis import AnalysisModel, refuse_repeats
from state.definitions.canvas_options import Breakdown, Duration, Steps, check_limits, duration_ms
from state.matches import Condition, Model, Slug, Text

NODE_COUNT_MAX = 60
ARROW_COUNT_MAX = 64


class Node(Model):
    """A step of a canvas: the touchpoints that match belong to it."""

    id: Slug
    title: Text | None = None
    match: Condition
    breakdown: Breakdown | None = Field(None, description="What the node counts, by the items of a dimension.")


class Arrow(Model):
    """THEN: any events may lie between."""

    from_: Slug = Field(alias="from")
    to: Slug
    within: Duration | None = Field(None, description="At most this long behind an arrival at the origin: 30d.")
    after: Duration | None = Field(None, description="At least this long behind an arrival at the origin: 2h.")

    @model_validator(mode="after")
    def _leaves_time(self) -> "Arrow":
        check_limits(self.within, self.after)
        return self

    @property
    def within_ms(self) -> int | None:
        """The limit in milliseconds, None without one."""
        return duration_ms(self.within)

    @property
    def after_ms(self) -> int:
        """The limit in milliseconds, 0 without one."""
        return duration_ms(self.after) or 0

    @property
    def is_limited(self) -> bool:
        """Whether it has a time limit."""
        return self.within is not None or self.after is not None


Metric = Literal["containers", "events", "value"]


class Canvas(AnalysisModel):
    """How far containers come on a directed acyclic graph of nodes, and where they fall out."""

    kind: Literal["canvas"]
    metric: Metric = Field(
        "containers", description="What a node counts: distinct containers, matching events, or the sum of their value."
    )
    secondary: Metric | None = Field(None, description="A second metric, counted beside the first.")
    arrow_values: bool = Field(False, description="Whether arrows count events or value too, as the metrics do.")
    trend: bool = Field(False, description="Whether nodes and arrows are counted per day too.")
    steps: Steps | None = Field(None, description="What comes next, before, and between the ends of an arrow.")
    nodes: Annotated[list[Node], Field(min_length=1, max_length=NODE_COUNT_MAX)]
    arrows: Annotated[list[Arrow], Field(max_length=ARROW_COUNT_MAX)] = []

    @model_validator(mode="after")
    def _is_a_graph(self) -> "Canvas":
        ids = [node.id for node in self.nodes]
        refuse_repeats("node", ids)
        pairs = [(arrow.from_, arrow.to) for arrow in self.arrows]
        for pair in pairs:
            for end in pair:
                if end not in ids:
                    raise ValueError(
                        f"arrow {pair[0]} -> {pair[1]}: there is no node {end!r}; the nodes are {', '.join(ids)}"
                    )
        refuse_repeats("arrow", [f"{a} -> {b}" for a, b in pairs])
        if cycle := _cycle_of(ids, pairs):
            raise ValueError(f"the arrows make a cycle: {' -> '.join(cycle)}; a canvas goes one way")
        return self

    @model_validator(mode="after")
    def _metrics_fit(self) -> "Canvas":
        if self.secondary == self.metric:
            raise ValueError(f"secondary: {self.secondary} is the metric already; take another one")
        if self.arrow_values and {self.metric, self.secondary} <= {"containers", None}:
            raise ValueError("arrow_values: arrows have their containers anyway; take events or value as a metric")
        return self

    def falls_out_after_ms(self, node: str) -> int | None:
        """The longest `within` of a node's arrows; None without arrows, or where one has none."""
        limits = [arrow.within_ms for arrow in self.arrows if arrow.from_ == node]
        known = [limit for limit in limits if limit is not None]
        return max(known) if known and len(known) == len(limits) else None

    def parents(self, node: str) -> list[str]:
        """The nodes with an arrow to `node`, in the order of the file; none for a start node."""
        return [arrow.from_ for arrow in self.arrows if arrow.to == node]


def _cycle_of(ids: list[str], pairs: list[tuple[str, str]]) -> list[str] | None:
    """A cycle as the nodes on it, the first again at the end; None in a graph without one."""
    try:
        TopologicalSorter({node: [a for a, b in pairs if b == node] for node in ids}).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        return cycle
    return None
