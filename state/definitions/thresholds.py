"""Thresholds over the events of a container, as pydantic models: parts of the definition file."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from state.matches import Condition, Model, shape_of

THRESHOLD_COUNT_MAX = 64


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


def leaves_of(thresholds: Thresholds) -> list[Threshold]:
    """The thresholds inside all and any, from left to right."""
    if isinstance(thresholds, Threshold):
        return [thresholds]
    parts = thresholds.all if isinstance(thresholds, AllThresholds) else thresholds.any
    return [leaf for part in parts for leaf in leaves_of(part)]
