"""The filter of an analysis, as pydantic models: which containers count, by their whole series, and which of their
touchpoints."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, Discriminator, Field, Tag, ValidationInfo, model_validator

from state.definitions.container import ContainerKind
from state.definitions.thresholds import THRESHOLD_COUNT_MAX, Threshold
from state.matches import Condition, Match, Model, Slug, is_being_written, shape_of

_OTHER_CONTAINERS = ("global_account", *ContainerKind)


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
                f"{other[0]}: a filter asks for the analysis' own container, or first for its account and for a"
                " session's person: {account: ..., then: {person: ..., then: ...}} from the top, outermost first; for"
                " what lies under a container write {some: KIND, that: SEGMENT}"
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


class Some(Model):
    """At least one container of a kind that lies under this one has something, over its whole series:
    `{some: opportunity, that: {has: {match: CONDITION}}}`."""

    some: Annotated[ContainerKind, Field(strict=False)]
    that: "Segment"


class NamedSegment(Model):
    """One of the file's `segments`, by its name: `{segment: customers}`."""

    segment: Slug


# Branches by their models' names, for no key is called so: places in error messages stay clear.
_NAME_BY_SHAPE = {"match": "Has", "all": "AllSegments", "any": "AnySegment", "not": "NotSegment"}


def _shape_of(found: Any) -> str:
    for model, key in ((Last, "last"), (NamedSegment, "segment"), (Some, "some")):
        if isinstance(found, model) or (isinstance(found, dict) and key in found):
            return model.__name__
    return _NAME_BY_SHAPE[shape_of(found)]


Segment = Annotated[
    Annotated[Has, Tag("Has")]
    | Annotated[Last, Tag("Last")]
    | Annotated[AllSegments, Tag("AllSegments")]
    | Annotated[AnySegment, Tag("AnySegment")]
    | Annotated[NotSegment, Tag("NotSegment")]
    | Annotated[Some, Tag("Some")]
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


class UnderPerson(Model):
    """Outer first: what the whole series of the session's person has; then what its own has."""

    person: Segment
    then: Inner | None = Field(
        None,
        description="What the container's own series has, or the touchpoints that count; without it nothing is asked.",
    )


def _then_shape_of(found: Any) -> str:
    if isinstance(found, UnderPerson) or (isinstance(found, dict) and "person" in found):
        return UnderPerson.__name__
    return _inner_shape_of(found)


_UnderAnAccount = (
    Annotated[UnderPerson, Tag("UnderPerson")]
    | Annotated[Touchpoints, Tag("Touchpoints")]
    | Annotated[Segment, Tag("own")]
)


class UnderAccount(Model):
    """Outer first: what the whole series of the container's account has; then what its own has."""

    account: Segment
    then: Annotated[_UnderAnAccount, Discriminator(_then_shape_of)] | None = Field(
        None,
        description="What a session's person has, what the container's own series has, or the touchpoints that count;"
        " without it nothing is asked.",
    )


Written = Segment | Touchpoints | UnderPerson | UnderAccount


def few_questions(segment: Written, info: ValidationInfo) -> Written:
    """The same; raises ValueError when it asks more than a filter may."""
    # What it reads of a touchpoint is a bit for each, for a `last` two: whether the field is there, and what it is.
    of_last = 2 if is_being_written(info) else 1
    count = sum(1 if isinstance(each, Threshold) else of_last for each in questions_of(segment))
    if count > THRESHOLD_COUNT_MAX:
        raise ValueError(
            f"{count} times has or last, where each last counts twice; a filter has them at most"
            f" {THRESHOLD_COUNT_MAX} times"
        )
    return segment


def _filter_shape_of(found: Any) -> str:
    if isinstance(found, UnderAccount) or (isinstance(found, dict) and "account" in found):
        return UnderAccount.__name__
    return _then_shape_of(found)


_Either = Annotated[UnderAccount, Tag("UnderAccount")] | _UnderAnAccount
Filter = Annotated[_Either, Discriminator(_filter_shape_of), AfterValidator(few_questions)]


def levels_of(wanted: Filter) -> tuple[list[tuple[ContainerKind, Segment]], Touchpoints | Segment | None]:
    """What a filter asks of outer containers, by their kinds, the outermost first; and what of the analysis' own, None
    for nothing."""
    match wanted:
        case UnderAccount():
            further, inner = ([], None) if wanted.then is None else levels_of(wanted.then)
            return [(ContainerKind.ACCOUNT, wanted.account), *further], inner
        case UnderPerson():
            return [(ContainerKind.PERSON, wanted.person)], wanted.then
        case _:
            return [], wanted


def parts_of(segment: Written) -> Sequence[Written]:
    """The segments that one is put together from, from left to right."""
    match segment:
        case UnderAccount():
            return [segment.account] if segment.then is None else [segment.account, segment.then]
        case UnderPerson():
            return [segment.person] if segment.then is None else [segment.person, segment.then]
        case Touchpoints():
            return [] if segment.of is None else [segment.of]
        case NotSegment():
            return [segment.not_]
        case AllSegments():
            return segment.all
        case AnySegment():
            return segment.any
        case Some():
            return [segment.that]
        case _:
            return []


def has_some(segment: Written) -> bool:
    """Whether it asks for what lies under its container."""
    return isinstance(segment, Some) or any(has_some(part) for part in parts_of(segment))


def questions_of(segment: Written) -> list[Threshold | Match]:
    """What a filter asks for, from left to right: a threshold of each `has`, a comparison of each `last`."""
    match segment:
        case Has():
            return [segment.has]
        case Last():
            return [segment.last]
        case _:
            return [question for part in parts_of(segment) for question in questions_of(part)]


def touchpoints_of(wanted: Filter) -> Condition | None:
    """What the touchpoints that the analysis sees match; None where it sees all."""
    _, inner = levels_of(wanted)
    return inner.touchpoints if isinstance(inner, Touchpoints) else None
