"""Columns of a flow with a dimension or a filter of their own, as pydantic models: part of the definition file."""

from typing import Annotated

from pydantic import Field, model_validator

from state.matches import Dimension, Model, Text

STEP_COLUMN_COUNT_MAX = 20
"""Columns of a flow with several dimensions: before an anchor it keeps a chain of values for each of them."""
FILTER_ITEM_COUNT_MAX = 1_000

Items = Annotated[list[Text], Field(min_length=1, max_length=FILTER_ITEM_COUNT_MAX)]


class FlowStep(Model):
    """What one column has of its own."""

    step: int = Field(description="Which column: 0 is the anchor's, 1 the next one, -1 the one before it.")
    dimension: Dimension | None = Field(None, description="The column's dimension, instead of the flow's.")
    only: Items | None = Field(None, description="Only paths that have one of these items in the column count.")
    except_: Items | None = Field(
        None, alias="except", description="Paths that have one of these items in the column do not count."
    )

    @model_validator(mode="after")
    def _says_something(self) -> "FlowStep":
        if self.only is not None and self.except_ is not None:
            raise ValueError(f"step {self.step}: only or except, not both")
        if self.dimension is None and self.only is None and self.except_ is None:
            raise ValueError(f"step {self.step}: give a dimension, only or except; or leave the step out")
        return self


def refuse_wrong_steps(steps: list[FlowStep], first: int, last: int, *, is_anchored: bool) -> None:
    """Raises ValueError for steps that a flow with columns `first` to `last` can not have."""
    numbers = [step.step for step in steps]
    if repeated := sorted({number for number in numbers if numbers.count(number) > 1}):
        raise ValueError(f"step {repeated[0]}: stands there more than once")
    for step in steps:
        if not first <= step.step <= last:
            raise ValueError(f"step {step.step}: there is no such column; they go from {first} to {last}")
        if step.step == 0 and step.dimension is not None:
            raise ValueError("step 0: its dimension is that of the flow; name it in dimension")
        if step.step == 0 and is_anchored:
            raise ValueError("step 0: the anchor says which items it has; filter another column")
