"""What every analysis says, and the checks that several share."""

from enum import StrEnum
from typing import Annotated, Any, Literal, cast

from pydantic import Field, field_validator, model_validator

from state.definitions.segment import Filter, UnderAccount
from state.matches import Model, Slug, Text


class ContainerKind(StrEnum):
    """The entity within which an analysis orders and counts."""

    ACCOUNT = "account"
    OPPORTUNITY = "opportunity"
    BUYING_GROUP = "buying_group"
    PERSON = "person"
    SESSION = "session"


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
    """Raises ValueError where a filter asks first for what is the analysis' own container."""
    if isinstance(wanted, UnderAccount) and container is ContainerKind.ACCOUNT:
        raise ValueError("filter: account is the analysis' own container; write what it has without `account`")
