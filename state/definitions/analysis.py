"""What every analysis says, and the checks that several share."""

from typing import Annotated, Any, Literal, cast

from pydantic import Field, field_validator, model_validator

from state.definitions.container import KINDS_UNDER, ContainerKind
from state.definitions.segment import Filter, Some, Written, has_some, levels_of, parts_of
from state.matches import Model, Slug, Text

Granularity = Literal["day", "week", "month", "quarter", "year"]
LAST_PATTERN = r"[1-9][0-9]{0,4} (day|week|month|quarter|year)s?"
LastPeriodsText = Annotated[str, Field(pattern=f"^{LAST_PATTERN}$", examples=["30 days", "6 months"])]


class AnalysisModel(Model):
    """What every analysis has."""

    name: Slug
    title: Text | None = Field(None, description="What readers see; without it the name.")
    container: Annotated[ContainerKind, Field(strict=False)]
    last: LastPeriodsText | None = Field(
        None,
        description="Only the last days (weeks, months ...) up to Kafka's clock, with which they move; of a cohort,"
        " periods of its granularity.",
    )
    filter: Filter | None = Field(None, description="Only containers whose whole series has this property count.")

    @property
    def last_periods(self) -> tuple[int, Granularity] | None:
        """How many periods up to the clock's, and of which granularity; None for all that there ever was."""
        if self.last is None:
            return None
        count, unit = self.last.split()
        return int(count), cast(Granularity, unit.removesuffix("s"))

    @field_validator("container", mode="before")
    @classmethod
    def _no_global_account_yet(cls, found: Any) -> Any:
        if found == "global_account":
            raise ValueError("global_account can not be a container in this version; take account")
        return found

    @model_validator(mode="after")
    def _outer_is_another(self) -> "AnalysisModel":
        if self.filter is not None:
            refuse_misplaced(self.filter, self.container)
        return self


def refuse_repeats(what: str, names: list[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"{what} {', '.join(repeated)}: stands there more than once")


def refuse_misplaced(wanted: Filter, container: ContainerKind) -> None:
    """Raises ValueError where a filter asks for a container that the one it asks of does not lie under, or that does
    not lie under it."""
    levels, inner = levels_of(wanted)
    for kind, segment in levels:
        if kind is container:
            raise ValueError(f"filter: {kind} is the analysis' own container; write what it has without `{kind}`")
        if container not in KINDS_UNDER[kind]:
            raise ValueError(
                f"filter: {kind}: no {container} lies under one {kind}; only a"
                f" {' or '.join(KINDS_UNDER[kind])} can be asked first for its {kind}"
            )
        _refuse_others_inside(segment, kind)
    if inner is not None:
        _refuse_others_inside(inner, container)


def _refuse_others_inside(asked: Written, kind: ContainerKind) -> None:
    """Raises ValueError for a `some` of what does not lie under containers of this kind, or within another one."""
    if isinstance(asked, Some):
        if asked.some not in KINDS_UNDER.get(kind, ()):
            under = " or ".join(KINDS_UNDER.get(kind, ())) or "nothing"
            raise ValueError(f"filter: some: no {asked.some} lies under one {kind}; {under} does")
        if has_some(asked.that):
            raise ValueError(
                f"filter: some: {asked.some}: one `some` within another can not be asked in this version; ask the"
                f" {kind} for some of either, which may lie apart"
            )
    for part in parts_of(asked):
        _refuse_others_inside(part, kind)
