"""The filter of an analysis, as pydantic models: which containers count, by their whole series, and which of their
touchpoints."""

from typing import Annotated, Any

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from state.definitions.thresholds import THRESHOLD_COUNT_MAX, Threshold
from state.matches import Condition, Match, Model, Slug, shape_of

_OTHER_CONTAINERS = ("global_account", "account", "opportunity", "buying_group", "person", "session")


class Has(Model):
    """The threshold holds over the whole series of the container: `{has: {match: CONDITION, op: ">=", number: 2}}`."""

    has: Threshold

    @model_validator(mode="before")
    @classmethod
    def _is_of_the_series(cls, found: Any) -> Any:
        if not isinstance(found, dict) or "has" in found:
            return found
        if other := [kind for kind in _OTHER_CONTAINERS if kind in found]:
            raise ValueError(
                f"{other[0]}: a filter asks for the analysis' own container, or first for its account: {{account: ...,"
                " then: ...} at the top; what another container has can not be asked in this version"
            )
        if "match" in found:
            raise ValueError(
                "match: write {has: {match: CONDITION}} for the containers that have such a touchpoint, or"
                " {touchpoints: CONDITION} for an analysis that sees no others"
            )
        if "touchpoints" in found:
            raise ValueError(
                "touchpoints: is the innermost level, so it stands at the top or right under `then`; write"
                " {touchpoints: CONDITION, of: SEGMENT} where the containers shall have something too"
            )
        return found


class Last(Model):
    """The newest value of a field in the series: `{last: {field: attributes.tier, op: "=", value: gold}}`."""

    last: Match


class AllSegments(Model):
    """Every one of them holds."""

    all: Annotated[list["Segment"], Field(min_length=1)]


class AnySegment(Model):
    """At least one of them holds."""

    any: Annotated[list["Segment"], Field(min_length=1)]


class NotSegment(Model):
    """It does not hold."""

    not_: "Segment" = Field(alias="not")


class NamedSegment(Model):
    """One of the file's `segments`, by its name: `{segment: customers}`."""

    segment: Slug


# Branches by their models' names, for no key is called so: places in error messages stay clear.
_NAME_BY_SHAPE = {"match": "Has", "all": "AllSegments", "any": "AnySegment", "not": "NotSegment"}


def _shape_of(found: Any) -> str:
    for model, key in ((Last, "last"), (NamedSegment, "segment")):
        if isinstance(found, model) or (isinstance(found, dict) and key in found):
            return model.__name__
    return _NAME_BY_SHAPE[shape_of(found)]


Segment = Annotated[
    Annotated[Has, Tag("Has")]
    | Annotated[Last, Tag("Last")]
    | Annotated[AllSegments, Tag("AllSegments")]
    | Annotated[AnySegment, Tag("AnySegment")]
    | Annotated[NotSegment, Tag("NotSegment")]
    | Annotated[NamedSegment, Tag("NamedSegment")],
    Discriminator(_shape_of),
]


class Touchpoints(Model):
    """The innermost level: the analysis sees only the touchpoints that match, of the containers whose whole series has
    something."""

    touchpoints: Condition
    of: Segment | None = Field(
        None, description="What the container's whole series has, all touchpoints; without it nothing is asked."
    )


def _inner_shape_of(found: Any) -> str:
    if isinstance(found, Touchpoints) or (isinstance(found, dict) and "touchpoints" in found):
        return Touchpoints.__name__
    return "own"


Inner = Annotated[
    Annotated[Touchpoints, Tag("Touchpoints")] | Annotated[Segment, Tag("own")], Discriminator(_inner_shape_of)
]


class UnderAccount(Model):
    """Outer first: what the whole series of the container's account has; then what its own has."""

    account: Segment
    then: Inner | None = Field(
        None,
        description="What the container's own series has, or the touchpoints that count; without it nothing is asked.",
    )


def few_questions(segment: Segment | Touchpoints | UnderAccount) -> Segment | Touchpoints | UnderAccount:
    """The same; raises ValueError when it asks more than a filter may."""
    count = len(questions_of(segment))
    if count > THRESHOLD_COUNT_MAX:
        raise ValueError(f"{count} times has or last; a filter has them at most {THRESHOLD_COUNT_MAX} times")
    return segment


def _filter_shape_of(found: Any) -> str:
    if isinstance(found, UnderAccount) or (isinstance(found, dict) and "account" in found):
        return UnderAccount.__name__
    return _inner_shape_of(found)


_Either = (
    Annotated[UnderAccount, Tag("UnderAccount")]
    | Annotated[Touchpoints, Tag("Touchpoints")]
    | Annotated[Segment, Tag("own")]
)
Filter = Annotated[_Either, Discriminator(_filter_shape_of), AfterValidator(few_questions)]


def parts_of(segment: Segment | Touchpoints | UnderAccount) -> list[Segment | Touchpoints]:
    """The segments that one is put together from, from left to right."""
    match segment:
        case UnderAccount():
            return [segment.account] + ([] if segment.then is None else [segment.then])
        case Touchpoints():
            return [] if segment.of is None else [segment.of]
        case NotSegment():
            return [segment.not_]
        case AllSegments():
            return list(segment.all)
        case AnySegment():
            return list(segment.any)
        case _:
            return []


def questions_of(segment: Segment | Touchpoints | UnderAccount) -> list[Threshold | Match]:
    """What a filter asks for, from left to right: a threshold of each `has`, a comparison of each `last`."""
    match segment:
        case Has():
            return [segment.has]
        case Last():
            return [segment.last]
        case _:
            return [question for part in parts_of(segment) for question in questions_of(part)]


def touchpoints_of(wanted: Segment | Touchpoints | UnderAccount) -> Condition | None:
    """What the touchpoints that the analysis sees match; None where it sees all."""
    match wanted:
        case UnderAccount():
            return None if wanted.then is None else touchpoints_of(wanted.then)
        case Touchpoints():
            return wanted.touchpoints
        case _:
            return None
