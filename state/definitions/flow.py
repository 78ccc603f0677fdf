"""The flow of a definition file."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from state.definitions.analysis import AnalysisModel, refuse_repeats
from state.definitions.flow_steps import STEP_COLUMN_COUNT_MAX, FlowStep, refuse_wrong_steps
from state.matches import Condition, Dimension, Model, Text

GROWING_COLUMN_COUNT_MAX = 50
STAGE_COUNT_MAX = 500
COLUMN_COUNT_MAX = 500


class AnchorMatch(Model):
    """An anchor that is a condition: a column of its own, the pathing values lie beside it."""

    match: Condition
    title: Text = "anchor"


Anchor = Text | AnchorMatch


class Flow(AnalysisModel):
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
    stages: Annotated[list[Text], Field(min_length=2, max_length=STAGE_COUNT_MAX)] | None = Field(
        None, description="Items in the order in which they should come: skipped ones and ways back are marked."
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
        if self.last is not None and self.count == "containers":
            raise ValueError("last: distinct containers of several days do not add up; take count: occurrences")
        grows = anchors and self.limit is None
        if grows and self.columns > GROWING_COLUMN_COUNT_MAX:
            # Every occurrence keeps its path until it is full, and each touchpoint grows all of them.
            raise ValueError(
                f"columns: {self.columns}; at most {GROWING_COLUMN_COUNT_MAX} where every anchor counts; or take limit"
            )
        refuse_repeats("stage", self.stages or [])
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
