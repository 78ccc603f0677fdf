"""The definition file, version 1: which analyses to keep, as pydantic models.

`schemas/definitions.v1.json` is exported from here, so that editors complete the file. A definition says what is
counted and never how; `state.plan` compiles it.
"""

from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from state.definitions.analysis import LAST_PATTERN, ContainerKind, Granularity, refuse_repeats
from state.definitions.canvas import Arrow, Canvas, Metric, Node
from state.definitions.cohort import Cohort
from state.definitions.flow import Anchor, AnchorMatch, Flow
from state.definitions.segment import AllSegments, AnySegment, Filter, Has, Last, NotSegment, Segment, UnderAccount
from state.definitions.thresholds import AllThresholds, AnyThreshold, Threshold, Thresholds
from state.matches import Model

__all__ = [
    "LAST_PATTERN",
    "AllSegments",
    "AllThresholds",
    "Analysis",
    "Anchor",
    "AnchorMatch",
    "AnySegment",
    "AnyThreshold",
    "Arrow",
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
    "Node",
    "NotSegment",
    "Segment",
    "Threshold",
    "Thresholds",
    "UnderAccount",
]

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
        refuse_repeats("analysis", [analysis.name for analysis in self.analyses])
        return self
