"""The audiences of a definition file: which containers are in them now, by their series and the time.

What an audience asks of a canvas, a cohort or a milestone of the file is put into its definition when the file is
read: so it says for itself what it means, and is another one when that changes.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    model_validator,
)

from state.definitions.analysis import Granularity
from state.definitions.canvas_options import Duration
from state.definitions.cohort import Cohort
from state.definitions.container import ContainerKind
from state.definitions.milestone import (
    WINDOW_COUNT_MAX,
    ArrowEnds,
    Graph,
    Milestone,
    NodeReached,
    ToldOf,
    asked_canvas,
    graph_to_arrow,
    graph_to_node,
)
from state.definitions.milestone import When as MilestoneCondition
from state.definitions.segment import Last
from state.definitions.thresholds import Threshold, Thresholds
from state.matches import FieldName, Match, Model, Slug, Text, is_being_written

QUESTION_COUNT_MAX = 60
ATTRIBUTE_COUNT_MAX = 20
_OTHER_CONTAINERS = ("some", "global_account", *ContainerKind)
_PUT_THERE = "Put there when the file is applied. Leave it out."


class RecentThreshold(Threshold):
    """A count of matching touchpoints, or the sum of their value: of all times, or of the last days."""

    within: Duration | None = Field(None, description="Only those of this long up to now: 7d.")

    @model_validator(mode="after")
    def _window_is_small(self) -> "RecentThreshold":
        if self.within is not None and self.metric == "count" and not 0 <= self.number <= WINDOW_COUNT_MAX:
            raise ValueError(f"number: {self.number} within a time; it is from 0 to {WINDOW_COUNT_MAX}")
        return self


class HasTouchpoints(Model):
    """A threshold holds: `{has: {match: CONDITION, number: 3, within: 7d}}`."""

    has: RecentThreshold

    @model_validator(mode="before")
    @classmethod
    def _is_of_the_container(cls, found: Any) -> Any:
        if isinstance(found, dict) and (other := [key for key in _OTHER_CONTAINERS if key in found]):
            raise ValueError(
                f"{other[0]}: an audience asks its own container and no other one; take the other one as its container,"
                " or a field that the container's own touchpoints carry"
            )
        if isinstance(found, dict) and "segment" in found:
            raise ValueError("segment: named segments are for filters; write here what this one asks")
        if isinstance(found, dict) and "match" in found:
            raise ValueError("match: write {has: {match: CONDITION}} for the containers that have such a touchpoint")
        return found


_ARROW = re.compile(r"\s*([^\s>]+)\s*>\s*([^\s>]+)\s*")


def _arrow_ends(found: Any) -> Any:
    """An arrow that is written `A>B`."""
    if isinstance(found, str) and (parts := _ARROW.fullmatch(found)):
        return {"from": parts[1], "to": parts[2]}
    return found


class ArrowFollowed(Model):
    """An arrow of a canvas of the file is followed; or its origin is reached and it is not."""

    canvas: Slug
    arrow: Annotated[ArrowEnds, BeforeValidator(_arrow_ends, json_schema_input_type=ArrowEnds | str)] = Field(
        description="A>B, or {from: A, to: B}."
    )
    followed: bool = Field(True, description="false: the origin is reached, and the arrow is not followed.")
    within: Duration | None = Field(
        None, description="With followed: false, not within this long behind the origin; without it not yet."
    )
    graph: Graph | None = Field(None, description=_PUT_THERE)

    @model_validator(mode="after")
    def _only_missing_takes_time(self) -> "ArrowFollowed":
        if self.followed and self.within is not None:
            raise ValueError("within: stands beside followed: false; the canvas' arrow has a time limit of its own")
        return self


class CohortRow(Model):
    """What a cohort counts in a row."""

    granularity: Granularity
    include: Literal["first", "every"]
    inclusion: Thresholds
    return_: Thresholds = Field(alias="return")
    zone: str
    week_start: str


def _known_period(text: str, info: ValidationInfo) -> str:
    if not 1970 <= first_day(text).year < 2200 and is_being_written(info):
        raise ValueError(f"{text!r} is a period without events, which are of the years 1970 to 2199")
    return text


def first_day(period: str) -> date:
    """The first day of 2026, 2026-03 or 2026-03-01. Raises ValueError."""
    year, _, rest = period.partition("-")
    try:
        month, _, day = rest.partition("-")
        if [len(year), len(month or "00"), len(day or "00")] != [4, 2, 2]:
            raise ValueError(period)
        return date(int(year), int(month or 1), int(day or 1))
    except ValueError as error:
        raise ValueError(f"{period!r} is no period; write a day in it: 2026-03-01, or 2026-03, or 2026") from error


def _period_text(found: Any) -> Any:
    """A year that stands without quotes, which YAML reads as a number."""
    return str(found) if isinstance(found, int) and not isinstance(found, bool) else found


Period = Annotated[str, BeforeValidator(_period_text, json_schema_input_type=str | int), AfterValidator(_known_period)]


class InCohort(Model):
    """A cohort of the file includes the container in a period; with `returned` it also returns so many periods
    later."""

    cohort: Slug
    period: Period = Field(
        description="A day in the period, as 2026-03-01; 2026-03 and 2026 stand for their first day."
    )
    returned: Annotated[int, Field(ge=0, le=400)] | None = Field(None, description="The column: so many periods later.")
    row: CohortRow | None = Field(None, description=_PUT_THERE)


class MilestoneReached(Model):
    """A milestone of the file happened, told or not: at any time, or within the last days."""

    milestone: Slug
    within: Duration | None = Field(None, description="Only so long ago at most: 30d.")
    when: MilestoneCondition | None = Field(None, description=_PUT_THERE)
    each: bool = Field(False, description=_PUT_THERE)


class AllAudience(Model):
    """Every one of them holds."""

    all: Annotated[list["Wanted"], Field(min_length=1)]


class AnyAudience(Model):
    """At least one of them holds."""

    any: Annotated[list["Wanted"], Field(min_length=1)]


class NotAudience(Model):
    """It does not hold."""

    not_: "Wanted" = Field(alias="not")


# By the first key that tells; branches by their models' names, so that places in error messages stay clear.
_SHAPES = (
    ("all", AllAudience), ("any", AnyAudience), ("not", NotAudience), ("cohort", InCohort),
    ("milestone", MilestoneReached), ("arrow", ArrowFollowed), ("canvas", NodeReached), ("last", Last),
)  # fmt: skip


def _shape_of(found: Any) -> str:
    if isinstance(found, BaseModel):
        return type(found).__name__
    return next((m.__name__ for key, m in _SHAPES if isinstance(found, dict) and key in found), HasTouchpoints.__name__)


Question = HasTouchpoints | Last | NodeReached | ArrowFollowed | InCohort | MilestoneReached
Wanted = Annotated[
    Annotated[HasTouchpoints, Tag("HasTouchpoints")]
    | Annotated[Last, Tag("Last")]
    | Annotated[NodeReached, Tag("NodeReached")]
    | Annotated[ArrowFollowed, Tag("ArrowFollowed")]
    | Annotated[InCohort, Tag("InCohort")]
    | Annotated[MilestoneReached, Tag("MilestoneReached")]
    | Annotated[AllAudience, Tag("AllAudience")]
    | Annotated[AnyAudience, Tag("AnyAudience")]
    | Annotated[NotAudience, Tag("NotAudience")],
    Discriminator(_shape_of),
]


def _is_one_line(wanted: Wanted) -> Wanted:
    if not isinstance(wanted, NodeReached | ArrowFollowed | InCohort):
        raise ValueError("from takes a canvas' node or arrow, or a cohort; anything else stands under `when`")
    return wanted


class Audience(Model):
    """Which containers other channels hold as members."""

    name: Slug
    title: Text | None = Field(None, description="What readers see; without it the name.")
    container: ToldOf
    from_: Annotated[Wanted, AfterValidator(_is_one_line)] | None = Field(
        None, alias="from", description="The one thing that members have, in one line."
    )
    when: Wanted | None = Field(None, description="What members have.")
    consent: Match | None = Field(
        None,
        description="What the newest value of a field must say besides; who withdraws it is out at once:"
        " {field: attributes.consent, value: granted}, or op: '!=' and value: withdrawn.",
    )
    attributes: dict[Slug, FieldName] = Field(
        {},
        max_length=ATTRIBUTE_COUNT_MAX,
        description="What changes of members bring along, the newest known: {email: attributes.email}.",
    )

    @model_validator(mode="after")
    def _asks_once(self) -> "Audience":
        if (self.from_ is None) == (self.when is None):
            raise ValueError("from or when says who is in it: one of them")
        count = sum(1 for _ in questions_of(self.wanted))
        if count > QUESTION_COUNT_MAX:
            raise ValueError(f"{count} questions; an audience has at most {QUESTION_COUNT_MAX}")
        return self

    @property
    def wanted(self) -> Wanted:
        """What members have."""
        found = self.when if self.from_ is None else self.from_
        assert found is not None, "one of them is there"
        return found


def questions_of(wanted: Wanted) -> Iterator[Question]:
    """What is asked, from left to right."""
    if isinstance(wanted, AllAudience | AnyAudience | NotAudience):
        for part in _parts_of(wanted):
            yield from questions_of(part)
    else:
        yield wanted


def _parts_of(wanted: AllAudience | AnyAudience | NotAudience) -> Sequence[Wanted]:
    if isinstance(wanted, NotAudience):
        return [wanted.not_]
    return wanted.all if isinstance(wanted, AllAudience) else wanted.any


class Surroundings(Model):
    """What else a file says, as far as audiences speak of it."""

    analyses: list[Any]
    milestones: list[Milestone]
    zone: str
    week_start: str


def with_parts(audience: Audience, file: Surroundings) -> Audience:
    """The audience with the parts of the canvases, cohorts and milestones that it speaks of. Raises ValueError where
    there is none of that name, or none that can be asked."""
    if audience.from_ is None:
        return audience.model_copy(update={"when": _with_parts(audience.wanted, audience.container, file)})
    try:
        return audience.model_copy(update={"from_": _with_parts(audience.from_, audience.container, file)})
    except ValueError as error:
        raise ValueError(f"from: {str(error).removeprefix('when: ')}") from error


def _with_parts(wanted: Wanted, container: ContainerKind, file: Surroundings) -> Wanted:
    match wanted:
        case AllAudience():
            return AllAudience(all=[_with_parts(part, container, file) for part in wanted.all])
        case AnyAudience():
            return AnyAudience(any=[_with_parts(part, container, file) for part in wanted.any])
        case NotAudience():
            return NotAudience(not_=_with_parts(wanted.not_, container, file))
        case NodeReached():
            graph = graph_to_node(asked_canvas(wanted.canvas, container, file.analyses), wanted.node)
            return wanted.model_copy(update={"graph": graph})
        case ArrowFollowed():
            graph = graph_to_arrow(asked_canvas(wanted.canvas, container, file.analyses), wanted.arrow)
            return wanted.model_copy(update={"graph": graph})
        case InCohort():
            return wanted.model_copy(update={"row": _row_of(wanted, container, file)})
        case MilestoneReached():
            made = _milestone_of(wanted, container, file)
            return wanted.model_copy(update={"when": made.when, "each": made.each})
        case _:
            return wanted


def _row_of(wanted: InCohort, container: ContainerKind, file: Surroundings) -> CohortRow:
    cohorts = {each.name: each for each in file.analyses if isinstance(each, Cohort)}
    cohort = cohorts.get(wanted.cohort)
    if cohort is None:
        raise ValueError(f"when: there is no cohort {wanted.cohort!r}; the cohorts are {', '.join(cohorts) or 'none'}")
    if cohort.container != container:
        raise ValueError(f"when: the cohort {cohort.name} looks at {cohort.container}; take that as container")
    if cohort.filter is not None:
        raise ValueError(f"when: the cohort {cohort.name} has a filter, which can not be asked in this version")
    if wanted.returned is not None and wanted.returned > cohort.period_count:
        raise ValueError(
            f"when: returned: {wanted.returned} - the cohort {cohort.name} has {cohort.period_count} columns"
        )
    return CohortRow(
        granularity=cohort.granularity,
        include=cohort.include,
        inclusion=cohort.inclusion,
        return_=cohort.return_,
        zone=file.zone,
        week_start=file.week_start,
    )


def _milestone_of(wanted: MilestoneReached, container: ContainerKind, file: Surroundings) -> Milestone:
    known = {each.name: each for each in file.milestones}
    made = known.get(wanted.milestone)
    if made is None:
        raise ValueError(f"when: there is no milestone {wanted.milestone!r}; there are: {', '.join(known) or 'none'}")
    if made.container != container:
        raise ValueError(f"when: the milestone {made.name} is told of {made.container}; take that as container")
    return made
