"""The definition file, version 1: which analyses to keep, as pydantic models.

`schemas/definitions.v1.json` is exported from here, so that editors complete the file. A definition says what is
counted and never how; `state.plan` compiles it.
"""

from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from state.definitions.analysis import LAST_PATTERN, Granularity, refuse_misplaced, refuse_repeats
from state.definitions.audience import Audience, Surroundings, with_parts
from state.definitions.canvas import Arrow, Canvas, Metric, Node
from state.definitions.cohort import Cohort
from state.definitions.container import KINDS_UNDER, ContainerKind
from state.definitions.flow import Anchor, AnchorMatch, Flow
from state.definitions.milestone import Milestone, with_graph
from state.definitions.names import named_segments, without_names
from state.definitions.segment import (
    AllSegments,
    AnySegment,
    Filter,
    Has,
    Last,
    NotSegment,
    Segment,
    Some,
    Touchpoints,
    UnderAccount,
    UnderPerson,
)
from state.definitions.thresholds import AllThresholds, AnyThreshold, Threshold, Thresholds
from state.matches import Model, Slug

__all__ = [
    "KINDS_UNDER",
    "LAST_PATTERN",
    "AllSegments",
    "AllThresholds",
    "Analysis",
    "Anchor",
    "AnchorMatch",
    "AnySegment",
    "AnyThreshold",
    "Arrow",
    "Audience",
    "Canvas",
    "Cohort",
    "ContainerKind",
    "DefinitionFile",
    "Filter",
    "Flow",
    "Granularity",
    "Has",
    "Last",
    "Metric",
    "Milestone",
    "Node",
    "NotSegment",
    "Segment",
    "Some",
    "Threshold",
    "Thresholds",
    "Touchpoints",
    "UnderAccount",
    "UnderPerson",
]

ANALYSIS_COUNT_MAX = 500
"""In a file, and in force."""
MILESTONE_COUNT_MAX = 500
AUDIENCE_COUNT_MAX = 1_000

Analysis = Annotated[Canvas | Cohort | Flow, Field(discriminator="kind")]


def _without_names(analysis: Analysis, info: ValidationInfo) -> Analysis:
    """With segments in the place of their names."""
    segments = info.data.get("segments")
    if analysis.filter is None or segments is None:  # None: these are wrong, and that is said
        return analysis
    wanted = without_names(analysis.filter, segments, info)
    refuse_misplaced(wanted, analysis.container)
    return analysis.model_copy(update={"filter": wanted})


def _with_graph(milestone: Milestone, info: ValidationInfo) -> Milestone:
    """With the part of the canvas that it names."""
    analyses = info.data.get("analyses")
    return milestone if analyses is None else with_graph(milestone, analyses)  # None: they are wrong, and that is said


def _with_parts(audience: Audience, info: ValidationInfo) -> Audience:
    """With the parts of what it names."""
    if any(name not in info.data for name in Surroundings.model_fields):
        return audience  # these are wrong, and that is said
    return with_parts(audience, Surroundings.model_construct(**{n: info.data[n] for n in Surroundings.model_fields}))


class DefinitionFile(Model):
    """One YAML file: the zone of calendar periods, the first day of the week, segments by name, the analyses, the
    milestones and the audiences.

    Names are resolved: `segments` and `analyses` have none in them any more, and milestones and audiences have what
    they need.
    """

    version: Literal[1]
    zone: str = Field("UTC", description="An IANA time zone; calendar periods begin at its midnights.")
    week_start: Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] = "monday"
    segments: dict[Slug, Filter] = Field(
        {},
        max_length=500,
        description="Segments for filters to name: {segment: NAME} wherever one stands. They are this file's.",
    )
    analyses: Annotated[
        list[Annotated[Analysis, AfterValidator(_without_names)]], Field(min_length=1, max_length=ANALYSIS_COUNT_MAX)
    ]

    milestones: Annotated[
        list[Annotated[Milestone, AfterValidator(_with_graph)]], Field(max_length=MILESTONE_COUNT_MAX)
    ] = []
    audiences: Annotated[
        list[Annotated[Audience, AfterValidator(_with_parts)]], Field(max_length=AUDIENCE_COUNT_MAX)
    ] = []

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, OSError, ValueError) as error:
            raise ValueError(f"{name!r} is no IANA time zone; for example Europe/Berlin or UTC") from error
        return name

    @field_validator("segments")
    @classmethod
    def _names_are_known(cls, segments: dict[str, Filter], info: ValidationInfo) -> dict[str, Filter]:
        return named_segments(segments, info)

    @model_validator(mode="after")
    def _names_differ(self) -> "DefinitionFile":
        refuse_repeats("analysis", [analysis.name for analysis in self.analyses])
        refuse_repeats("milestone", [milestone.name for milestone in self.milestones])
        refuse_repeats("audience", [audience.name for audience in self.audiences])
        return self
