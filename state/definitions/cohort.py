"""The cohort table of a definition file."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from state.definitions.analysis import AnalysisModel, Granularity
from state.definitions.thresholds import THRESHOLD_COUNT_MAX, Thresholds, leaves_of
from state.matches import Dimension

PERIOD_COUNT_MAX = 400
PERIODS_BY_GRANULARITY = {"day": 30, "week": 26, "month": 24, "quarter": 12, "year": 10}
ITEM_ROW_COUNT = 20
ITEM_ROW_COUNT_MAX = 500


class Cohort(AnalysisModel):
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
    def _last_periods_are_whole(self) -> "Cohort":
        if self.last_periods is not None and self.last_periods[1] != self.granularity:
            raise ValueError(
                f"last: {self.last} - a cohort by {self.granularity} takes whole periods; for example 6"
                f" {self.granularity}s"
            )
        return self

    @model_validator(mode="after")
    def _few_thresholds(self) -> "Cohort":
        count = len(leaves_of(self.inclusion)) + len(leaves_of(self.return_))
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
