"""The milestones of a definition file: what is told of a container, once or each time it happens.

A milestone on a canvas has the part of the canvas that it needs in its definition, put there when the file is read: so
it says for itself what it means, and is another one when that part of the canvas changes.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, BeforeValidator, Discriminator, Field, Tag, model_validator

from state.definitions.canvas import Arrow, Canvas, Node
from state.definitions.canvas_options import Duration, duration_ms
from state.definitions.container import ContainerKind
from state.definitions.flow_steps import Items
from state.matches import Condition, Dimension, Model, Slug, Text, decimals_of, normal_text

WINDOW_COUNT_MAX = 1_000
POINTS_COUNT_MAX = 100
LINK_COUNT_MAX = 20
LINK_FIELDS = ("account", "kind", "id", "milestone")


class Happens(Model):
    """A touchpoint matches."""

    match: Condition


class Amount(Model):
    """So many touchpoints match, or their value comes to so much: of all times, or within a time up to the last."""

    match: Condition
    metric: Literal["count", "value"] = "count"
    at_least: int | float = Field(description="For value in units of the currency, at most six decimals.")
    within: Duration | None = Field(None, description="Only those of this long up to the touchpoint: 7d.")

    @model_validator(mode="after")
    def _can_be_crossed(self) -> "Amount":
        if self.at_least <= 0:
            raise ValueError(f"at_least: {self.at_least} is not above 0, so nothing would have to happen")
        if self.metric == "count" and self.at_least != int(self.at_least):
            raise ValueError(f"at_least: {self.at_least} - touchpoints are counted in whole numbers")
        if self.metric == "count" and self.within is not None and self.at_least > WINDOW_COUNT_MAX:
            raise ValueError(f"at_least: {self.at_least} within a time; {WINDOW_COUNT_MAX} is the most")
        if decimals_of(self.at_least) > 6:
            raise ValueError("at_least has at most six decimals")
        return self


class Points(Model):
    """What a touchpoint that matches adds to a score."""

    match: Condition
    points: Annotated[int, Field(ge=-1_000_000, le=1_000_000)]


class Score(Model):
    """The points of the touchpoints come to so many: of all times, or within a time up to the last."""

    points: Annotated[list[Points], Field(min_length=1, max_length=POINTS_COUNT_MAX)]
    at_least: Annotated[int, Field(ge=1)]
    within: Duration | None = Field(None, description="Only those of this long up to the touchpoint: 30d.")


class Graph(Model):
    """The part of a canvas that a milestone needs."""

    nodes: list[Node]
    arrows: list[Arrow] = []


_GRAPH = "The part of the canvas that is needed, put there when the file is applied. Leave it out."


class NodeReached(Model):
    """A node of a canvas of the file is reached."""

    canvas: Slug
    node: Slug
    graph: Graph | None = Field(None, description=_GRAPH)


class ArrowEnds(Model):
    """Which arrow of a canvas."""

    from_: Slug = Field(alias="from")
    to: Slug


class ArrowNotFollowed(Model):
    """The origin of a canvas' arrow is reached, and the arrow is not followed within the time behind it."""

    canvas: Slug
    arrow: ArrowEnds
    within: Duration
    graph: Graph | None = Field(None, description=_GRAPH)


class Missing(Model):
    """A touchpoint matches, and no other one does what should follow within the time behind it."""

    after: Condition
    without: Condition
    within: Duration


class Unchanged(Model):
    """A field or attribute keeps its value for so long, counted from the touchpoint that brought the value."""

    field: Dimension
    for_: Duration = Field(alias="for")
    only: Items | None = Field(None, description="Only these values, for example open stages.")
    except_: Items | None = Field(None, alias="except", description="Not these values, for example closed stages.")

    @model_validator(mode="after")
    def _only_or_except(self) -> "Unchanged":
        if self.only is not None and self.except_ is not None:
            raise ValueError("only or except, not both")
        return self

    def admits(self, item: str) -> bool:
        """Whether the value is one that counts."""
        return (self.only is None or item in self.only) and (self.except_ is None or item not in self.except_)


# By the first key that tells; branches by their models' names, so that places in error messages stay clear.
_SHAPES = (
    ("points", Score), ("node", NodeReached), ("arrow", ArrowNotFollowed), ("after", Missing), ("field", Unchanged),
    ("at_least", Amount),
)  # fmt: skip


def _shape_of(found: Any) -> str:
    if isinstance(found, BaseModel):
        return type(found).__name__
    return next((m.__name__ for key, m in _SHAPES if isinstance(found, dict) and key in found), Happens.__name__)


When = Annotated[
    Annotated[Happens, Tag("Happens")]
    | Annotated[Amount, Tag("Amount")]
    | Annotated[Score, Tag("Score")]
    | Annotated[NodeReached, Tag("NodeReached")]
    | Annotated[ArrowNotFollowed, Tag("ArrowNotFollowed")]
    | Annotated[Missing, Tag("Missing")]
    | Annotated[Unchanged, Tag("Unchanged")],
    Discriminator(_shape_of),
]


def moment_ms(text: str) -> int:
    """The milliseconds of a moment: 2026-01-31, which is UTC, or 2026-01-31T08:00:00+01:00. Raises ValueError."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no moment; write 2026-01-31 or 2026-01-31T08:00:00+01:00") from error
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    return int(found.timestamp() * 1000)


def _known_moment(text: str) -> str:
    moment_ms(text)
    return text


_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def _known_link(template: str) -> str:
    unknown = [name for name in _PLACEHOLDER.findall(template) if name not in LINK_FIELDS]
    if unknown:
        raise ValueError(f"{{{unknown[0]}}} is none of {', '.join(f'{{{name}}}' for name in LINK_FIELDS)}")
    if set("{}") & set(_PLACEHOLDER.sub("", template)):
        raise ValueError("a brace stands alone; only {account}, {kind}, {id} and {milestone} have braces")
    return template


Link = Annotated[Text, AfterValidator(_known_link)]


def _is_told_of(kind: ContainerKind) -> ContainerKind:
    if kind is ContainerKind.SESSION:
        raise ValueError("nothing is told of a session; take account, opportunity, buying_group or person")
    return kind


ToldOf = Annotated[ContainerKind, Field(strict=False), AfterValidator(_is_told_of)]
"""A kind of container of which milestones and audiences tell."""


class Milestone(Model):
    """What is told of a container when it happens, and corrected when a late event revokes or moves it."""

    name: Slug
    title: Text | None = Field(None, description="What readers see; without it the name.")
    tier: Slug | None = Field(None, description="How much it matters, for routes to ask for: high.")
    container: ToldOf
    when: When
    each: bool = Field(False, description="Whether it is told each time; otherwise once for a container.")
    alert_since: Annotated[str, AfterValidator(_known_moment)] | None = Field(
        None,
        description="Only what happened from this moment on is told: 2026-01-31 or 2026-01-31T08:00:00+01:00. Without"
        " it from the moment on at which the definition was published.",
    )
    owner: Annotated[str, Field(pattern=r"^attributes\..+$"), BeforeValidator(normal_text)] = Field(
        "attributes.owner", description="The attribute in which CRM events name the account's owner."
    )
    links: dict[Slug, Link] = Field(
        {},
        max_length=LINK_COUNT_MAX,
        description="By what they are called: https://crm.example/accounts/{account}; also {kind}, {id}, {milestone}.",
    )

    @model_validator(mode="after")
    def _happens_again(self) -> "Milestone":
        if self.each and isinstance(self.when, NodeReached | ArrowNotFollowed):
            raise ValueError("each: a node of a canvas is reached once; leave it out, or take match or after/without")
        return self

    @property
    def alert_since_ms(self) -> int | None:
        """In milliseconds UTC; None where it is the moment of publication."""
        return None if self.alert_since is None else moment_ms(self.alert_since)

    def links_of(self, account: str, id_: str | None) -> dict[str, str]:
        """The links of a container; the account's own id is its account."""
        values = {"account": account, "kind": str(self.container), "id": id_ or account, "milestone": self.name}
        quoted = {name: quote(value, safe="") for name, value in values.items()}
        return {name: _PLACEHOLDER.sub(lambda m: quoted[m[1]], each) for name, each in self.links.items()}


def within_ms(duration: str) -> int:
    """The milliseconds of a duration that is there."""
    found = duration_ms(duration)
    assert found is not None, "it is there"
    return found


def with_graph(milestone: Milestone, analyses: Iterable[Any]) -> Milestone:
    """The milestone with the part of the canvas that it speaks of. Raises ValueError where there is no such canvas,
    node or arrow, or none that can be asked."""
    when = milestone.when
    if not isinstance(when, NodeReached | ArrowNotFollowed):
        return milestone
    canvas = asked_canvas(when.canvas, milestone.container, analyses)
    if isinstance(when, NodeReached):
        graph = graph_to_node(canvas, when.node)
    else:
        graph = graph_to_arrow(canvas, when.arrow)
    return milestone.model_copy(update={"when": when.model_copy(update={"graph": graph})})


def asked_canvas(name: str, container: ContainerKind, analyses: Iterable[Any]) -> Canvas:
    """The canvas of that name. Raises ValueError where there is none, or none that can be asked."""
    canvases = {each.name: each for each in analyses if isinstance(each, Canvas)}
    canvas = canvases.get(name)
    if canvas is None:
        raise ValueError(f"when: there is no canvas {name!r}; the canvases are {', '.join(canvases) or 'none'}")
    if canvas.container != container:
        raise ValueError(f"when: the canvas {canvas.name} looks at {canvas.container}; take that as container")
    if canvas.filter is not None:
        raise ValueError(f"when: the canvas {canvas.name} has a filter, which can not be asked in this version")
    return canvas


def graph_to_node(canvas: Canvas, node: str) -> Graph:
    """The part of a canvas that leads to a node. Raises ValueError where there is no such node."""
    return _graph_of(canvas, _leading_to(canvas, _node(canvas, node)))


def graph_to_arrow(canvas: Canvas, ends: ArrowEnds) -> Graph:
    """The part of a canvas that leads to an arrow, which is the last of it. Raises ValueError where there is none."""
    origin, target = _node(canvas, ends.from_), _node(canvas, ends.to)
    arrow = next((each for each in canvas.arrows if (each.from_, each.to) == (origin, target)), None)
    if arrow is None:
        raise ValueError(f"when: the canvas {canvas.name} has no arrow {origin} -> {target}")
    return _graph_of(canvas, _leading_to(canvas, origin), arrow)


def _node(canvas: Canvas, node: str) -> str:
    ids = [each.id for each in canvas.nodes]
    if node not in ids:
        raise ValueError(f"when: the canvas {canvas.name} has no node {node!r}; its nodes are {', '.join(ids)}")
    return node


def _leading_to(canvas: Canvas, node: str) -> set[str]:
    """A node and all from which arrows lead to it."""
    found, new = {node}, [node]
    while new:
        parents = [each for each in canvas.parents(new.pop()) if each not in found]
        found.update(parents)
        new += parents
    return found


def _graph_of(canvas: Canvas, nodes: set[str], last: Arrow | None = None) -> Graph:
    """The nodes and the arrows between them, without what is only counted or shown; and one arrow more."""
    arrows = [each for each in canvas.arrows if each.to in nodes]
    kept = nodes | ({last.to} if last else set())
    return Graph(
        nodes=[Node(id=each.id, match=each.match) for each in canvas.nodes if each.id in kept],
        arrows=[*arrows, *([last] if last else [])],
    )
