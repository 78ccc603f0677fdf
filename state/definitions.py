"""The definition file, version 1: which analyses to keep, as pydantic models.

`schemas/definitions.v1.json` is exported from here, so that editors complete the file. A definition says what is
counted and never how; `state.plan` compiles it.
"""

from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from state.canvas_options import Breakdown, Duration, Steps, check_limits, duration_ms
from state.flow_definition import STEP_COLUMN_COUNT_MAX, FlowStep, refuse_wrong_steps
from state.matches import Condition, Dimension, Model, Slug, Text, shape_of

NODE_COUNT_MAX = 60
ARROW_COUNT_MAX = 64
THRESHOLD_COUNT_MAX = 64
GROWING_COLUMN_COUNT_MAX = 50
COLUMN_COUNT_MAX = 500
PERIOD_COUNT_MAX = 400
PERIODS_BY_GRANULARITY = {"day": 30, "week": 26, "month": 24, "quarter": 12, "year": 10}
ITEM_ROW_COUNT = 20
ITEM_ROW_COUNT_MAX = 500


class ContainerKind(StrEnum):
    """The entity within which an analysis orders and counts."""

    ACCOUNT = "account"
    OPPORTUNITY = "opportunity"
    BUYING_GROUP = "buying_group"
    PERSON = "person"
    SESSION = "session"


class _Analysis(Model):
    name: Slug
    title: Text | None = Field(None, description="What readers see; without it the name.")
    container: Annotated[ContainerKind, Field(strict=False)]

    @field_validator("container", mode="before")
    @classmethod
    def _no_global_account_yet(cls, found: Any) -> Any:
        if found == "global_account":
            raise ValueError("global_account can not be a container in this version; take account")
        return found


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


class Canvas(_Analysis):
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
        _refuse_repeats("node", ids)
        pairs = [(arrow.from_, arrow.to) for arrow in self.arrows]
        for pair in pairs:
            for end in pair:
                if end not in ids:
                    raise ValueError(
                        f"arrow {pair[0]} -> {pair[1]}: there is no node {end!r}; the nodes are {', '.join(ids)}"
                    )
        _refuse_repeats("arrow", [f"{a} -> {b}" for a, b in pairs])
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


class Threshold(Model):
    """A count of matching events, or the sum of their value, compared with a number."""

    match: Condition
    metric: Literal["count", "value"] = "count"
    op: Literal[">=", ">", "=", "!=", "<=", "<"] = ">="
    number: int | float = Field(1, description="For value in units of the currency, at most six decimals.")

    @model_validator(mode="after")
    def _counts_are_whole(self) -> "Threshold":
        if self.metric == "count" and self.number != int(self.number):
            raise ValueError(f"number: {self.number} - events are counted in whole numbers")
        return self


class AllThresholds(Model):
    """Every threshold or group holds."""

    all: Annotated[list["Thresholds"], Field(min_length=1)]


class AnyThreshold(Model):
    """At least one threshold or group holds."""

    any: Annotated[list["Thresholds"], Field(min_length=1)]


Thresholds = Annotated[
    Annotated[Threshold, Tag("match")] | Annotated[AllThresholds, Tag("all")] | Annotated[AnyThreshold, Tag("any")],
    Discriminator(shape_of),
]
Granularity = Literal["day", "week", "month", "quarter", "year"]


class Cohort(_Analysis):
    """Which containers, included in one period, return in later ones."""

    kind: Literal["cohort"]
    granularity: Granularity
    mode: Literal["retention", "churn", "rolling", "cumulative"] = Field(
        "retention",
        description="What a cell counts: who returned, who did not, who returned in every period so far (percent of the"
        " previous column), who returned in any period so far.",
    )
    latency: bool = Field(False, description="Also columns before the inclusion: who met the return thresholds then.")
    dimension: Dimension | None = Field(
        None,
        description="Rows are its values at the inclusion, pooled over the periods of inclusion, instead of periods.",
    )
    top: Annotated[int, Field(ge=1, le=ITEM_ROW_COUNT_MAX)] | None = Field(
        None, description=f"Rows of a dimension, the largest first; the rest is one row. By default {ITEM_ROW_COUNT}."
    )
    velocity: bool = Field(
        False, description="Also how long after the inclusion the first return comes; what a comparison of rows needs."
    )
    include: Literal["first", "every"] = Field(
        "first", description="Only the first period that qualifies, or each one."
    )
    inclusion: Thresholds
    return_: Thresholds = Field(alias="return")
    periods: Annotated[int, Field(ge=1, le=PERIOD_COUNT_MAX)] | None = Field(
        None,
        description="Columns after the inclusion; by default 30 days, 26 weeks, 24 months, 12 quarters or 10 years.",
    )

    @field_validator("mode", mode="before")
    @classmethod
    def _options_are_no_modes(cls, found: Any) -> Any:
        if found in ("latency", "dimension", "velocity"):
            example = "FIELD" if found == "dimension" else "true"
            raise ValueError(f"{found} is no mode but an option: write `{found}: {example}` beside the mode")
        return found

    @model_validator(mode="after")
    def _options_fit(self) -> "Cohort":
        if self.latency and self.mode == "rolling":
            raise ValueError(
                "latency: rolling counts who returned in every period since the inclusion, and before it there is none"
                " to count from; take retention, churn or cumulative"
            )
        if self.top is not None and self.dimension is None:
            raise ValueError("top: bounds the rows of a dimension, and there is none; periods are all shown")
        return self

    @model_validator(mode="after")
    def _few_thresholds(self) -> "Cohort":
        count = _leaf_count(self.inclusion) + _leaf_count(self.return_)
        if count > THRESHOLD_COUNT_MAX:
            raise ValueError(f"{count} thresholds; inclusion and return have at most {THRESHOLD_COUNT_MAX} together")
        return self

    @property
    def period_count(self) -> int:
        """How many periods after the inclusion are kept."""
        return self.periods or PERIODS_BY_GRANULARITY[self.granularity]

    @property
    def first_period(self) -> int:
        """The first column's distance from the inclusion; below 0 with latency."""
        return -self.period_count if self.latency else 0

    @property
    def item_count_max(self) -> int:
        """How many items of a dimension have a row of their own."""
        return self.top or ITEM_ROW_COUNT


class AnchorMatch(Model):
    """An anchor that is a condition: a column of its own, the pathing values lie beside it."""

    match: Condition
    title: Text = "anchor"


Anchor = Text | AnchorMatch


class Flow(_Analysis):
    """Which values of a dimension lead to, from, or through an anchor."""

    kind: Literal["flow"]
    dimension: Dimension
    starts_with: Anchor | None = None
    ends_with: Anchor | None = None
    contains: Text | None = None
    columns: Annotated[int, Field(ge=2, le=COLUMN_COUNT_MAX)] = Field(5, description="Columns, the anchor included.")
    steps: Annotated[list[FlowStep], Field(min_length=1, max_length=COLUMN_COUNT_MAX)] | None = Field(
        None, description="Columns with a dimension or a filter of their own."
    )
    include_repeats: bool = False
    limit: Literal["first", "last"] | None = Field(
        None, description="first: the first anchor only (starts_with); last: the last (ends_with)."
    )
    count: Literal["occurrences", "containers"] = "occurrences"
    top: Annotated[int, Field(ge=1, le=100)] = Field(5, description="Items shown per column; the rest is `more`.")

    @model_validator(mode="after")
    def _one_anchor(self) -> "Flow":
        anchors = [name for name in ("starts_with", "ends_with", "contains") if getattr(self, name) is not None]
        if len(anchors) > 1:
            raise ValueError(f"one anchor, not {' and '.join(anchors)}")
        if self.limit == "first" and anchors != ["starts_with"]:
            raise ValueError("limit: first goes with starts_with")
        if self.limit == "last" and anchors != ["ends_with"]:
            raise ValueError("limit: last goes with ends_with")
        if self.contains is not None and self.columns < 3:
            raise ValueError("columns: contains has the anchor in the middle, so take at least 3")
        grows = anchors and self.limit is None
        if grows and self.columns > GROWING_COLUMN_COUNT_MAX:
            # Every occurrence keeps its path until it is full, and each touchpoint grows all of them.
            raise ValueError(
                f"columns: {self.columns}; at most {GROWING_COLUMN_COUNT_MAX} where every anchor counts; or take limit"
            )
        refuse_wrong_steps(self.steps or [], self.first_step, self.last_step, is_anchored=bool(anchors))
        if self.has_several_dimensions and self.columns > STEP_COLUMN_COUNT_MAX:
            raise ValueError(f"columns: {self.columns}; at most {STEP_COLUMN_COUNT_MAX} with several dimensions")
        return self

    @property
    def first_step(self) -> int:
        """The leftmost column, counted from the anchor: 0, or below it where columns lie before the anchor."""
        if self.ends_with is not None:
            return 1 - self.columns
        return 0 if self.contains is None else -((self.columns - 1) // 2)

    @property
    def last_step(self) -> int:
        """The rightmost column, counted from the anchor."""
        return self.first_step + self.columns - 1

    @property
    def has_several_dimensions(self) -> bool:
        """Whether a column has another dimension than the flow."""
        return any(step.dimension not in (None, self.dimension) for step in self.steps or ())


Analysis = Annotated[Canvas | Cohort | Flow, Field(discriminator="kind")]


class DefinitionFile(Model):
    """One YAML file: the zone of calendar periods, the first day of the week, and the analyses."""

    version: Literal[1]
    zone: str = Field("UTC", description="An IANA time zone; calendar periods begin at its midnights.")
    week_start: Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] = "monday"
    analyses: Annotated[list[Analysis], Field(min_length=1, max_length=500)]

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, OSError, ValueError) as error:
            raise ValueError(f"{name!r} is no IANA time zone; for example Europe/Berlin or UTC") from error
        return name

    @model_validator(mode="after")
    def _names_differ(self) -> "DefinitionFile":
        _refuse_repeats("analysis", [analysis.name for analysis in self.analyses])
        return self


def _leaf_count(thresholds: Threshold | AllThresholds | AnyThreshold) -> int:
    if isinstance(thresholds, Threshold):
        return 1
    return sum(
        _leaf_count(part) for part in (thresholds.all if isinstance(thresholds, AllThresholds) else thresholds.any)
    )


def _refuse_repeats(what: str, names: list[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"{what} {', '.join(repeated)}: stands there more than once")


def _cycle_of(ids: list[str], pairs: list[tuple[str, str]]) -> list[str] | None:
    """A cycle as the nodes on it, the first again at the end; None in a graph without one."""
    try:
        TopologicalSorter({node: [a for a, b in pairs if b == node] for node in ids}).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        return cycle
    return None
