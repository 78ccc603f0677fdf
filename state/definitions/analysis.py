"""What every analysis says, and the checks that several share."""

from enum import StrEnum
from typing import Annotated, Any

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


class AnalysisModel(Model):
    """What every analysis has."""

    name: Slug
    title: Text | None = Field(None, description="What readers see; without it the name.")
    container: Annotated[ContainerKind, Field(strict=False)]
    filter: Filter | None = Field(None, description="Only containers whose whole series has this property count.")

    @field_validator("container", mode="before")
    @classmethod
    def _no_global_account_yet(cls, found: Any) -> Any:
        if found == "global_account":
            raise ValueError("global_account can not be a container in this version; take account")
        return found

    @model_validator(mode="after")
    def _outer_is_another(self) -> "AnalysisModel":
        if isinstance(self.filter, UnderAccount) and self.container is ContainerKind.ACCOUNT:
            raise ValueError("filter: account is the analysis' own container; write what it has without `account`")
        return self


def refuse_repeats(what: str, names: list[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"{what} {', '.join(repeated)}: stands there more than once")
