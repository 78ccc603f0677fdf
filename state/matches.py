"""Match conditions of definitions, as pydantic models: `{field, op, value}` joined by all, any, not.

`state.conditions` compiles them to functions.
"""

import re
import unicodedata
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import re2
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    model_validator,
)

from streams.touchpoint import MILLIONTHS

TEXT_FIELDS = (
    "event_id", "source", "type", "account", "global_account", "opportunity", "buying_group", "person", "session",
    "stream", "channel", "content", "content_type", "campaign", "marketing_event",
)  # fmt: skip
NUMBER_FIELDS = ("event_time", "source_sequence", "revision", "value")
DIMENSIONS = ("type", "source", "stream", "channel", "content", "content_type", "campaign", "marketing_event")


class Model(BaseModel):
    """Strict and frozen; no key is ever silently ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True, allow_inf_nan=False)


def _known_field(name: str) -> str:
    if (
        name in TEXT_FIELDS
        or name in NUMBER_FIELDS
        or (name.startswith("attributes.") and len(name) > len("attributes."))
    ):
        return name
    raise ValueError(
        f"{name!r} is no field of a touchpoint; take one of {', '.join((*TEXT_FIELDS, *NUMBER_FIELDS))}"
        " or attributes.NAME"
    )


def known_dimension(name: str) -> str:
    """The name. Raises ValueError where it is none of a dimension."""
    if name in DIMENSIONS or (name.startswith("attributes.") and len(name) > len("attributes.")):
        return name
    raise ValueError(f"{name!r} is no dimension; take one of {', '.join(DIMENSIONS)} or attributes.NAME")


BEING_WRITTEN = {"is being written": True}
"""The context in which somebody's file is validated. What is in force, and read again, has none: it must be read also
where a rule has come later than it did."""


def is_being_written(info: ValidationInfo) -> bool:
    """Whether rules hold that came later than files which may be in force."""
    return info.context is not None


def normal_text(found: Any) -> Any:
    """Text in NFC, as touchpoints have it."""
    return unicodedata.normalize("NFC", found) if isinstance(found, str) else found


FieldName = Annotated[str, BeforeValidator(normal_text), AfterValidator(_known_field)]
Dimension = Annotated[str, BeforeValidator(normal_text), AfterValidator(known_dimension)]
Text = Annotated[str, BeforeValidator(normal_text), Field(min_length=1, max_length=2048)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Comparable = Annotated[str | bool | int | float, BeforeValidator(normal_text)]


class Operator(StrEnum):
    """How a field is compared. A field that a touchpoint lacks equals nothing and differs from everything."""

    EQUAL = "="
    NOT_EQUAL = "!="
    IN = "in"
    NOT_IN = "not-in"
    CONTAINS = "contains"
    STARTS_WITH = "starts-with"
    MATCHES = "matches"
    EXISTS = "exists"
    GREATER = ">"
    AT_LEAST = ">="
    LESS = "<"
    AT_MOST = "<="


_ORDERING = (Operator.GREATER, Operator.AT_LEAST, Operator.LESS, Operator.AT_MOST)
_TEXTUAL = (Operator.CONTAINS, Operator.STARTS_WITH, Operator.MATCHES)


class Match(Model):
    """One comparison: `{field: type, op: "=", value: Closed-Won}`."""

    field: FieldName
    op: Annotated[Operator, Field(strict=False)] = Operator.EQUAL
    value: Comparable | list[Comparable] | None = None

    @model_validator(mode="after")
    def _fits(self) -> "Match":
        match self.op:
            case Operator.EXISTS:
                if self.value not in (None, True, False):
                    raise ValueError("exists takes no value, or true or false")
            case Operator.IN | Operator.NOT_IN:
                if not isinstance(self.value, list) or not self.value:
                    raise ValueError(f"{self.op} takes a list of values, for example [a, b]")
            case _:
                if self.value is None or isinstance(self.value, list):
                    raise ValueError(f"{self.op} takes one value")
        self._types_fit()
        return self

    def _types_fit(self) -> None:
        values = self.value if isinstance(self.value, list) else [] if self.value is None else [self.value]
        if self.op is Operator.EXISTS:
            return
        if self.op in _TEXTUAL and not all(isinstance(value, str) for value in values):
            raise ValueError(f"{self.op} compares text; put the value in quotes")
        if self.op in _TEXTUAL and self.field in NUMBER_FIELDS:
            raise ValueError(f"{self.field} is a number; {self.op} compares text")
        if self.op in _ORDERING and (self.field in TEXT_FIELDS or not all(_is_number(value) for value in values)):
            raise ValueError(f"{self.op} compares numbers: {', '.join(NUMBER_FIELDS)} or an attribute, with a number")
        if self.field in TEXT_FIELDS and not all(isinstance(value, str) for value in values):
            raise ValueError(f"{self.field} is text; put the value in quotes")
        if self.field in NUMBER_FIELDS and not all(_is_number(value) for value in values):
            raise ValueError(f"{self.field} is a number")
        if self.field == "value" and any(decimals_of(value) > 6 for value in values):
            raise ValueError("value has at most six decimals")
        if self.op is Operator.MATCHES:
            _check_pattern(str(self.value))

    @property
    def literals(self) -> list[Any]:
        """The values compared with, in the field's own unit: millionths for `value`."""
        values = self.value if isinstance(self.value, list) else [] if self.value is None else [self.value]
        if self.field == "value":
            return [_millionths(value) for value in values]
        return list(values)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def decimals_of(value: Any) -> int:
    """How many decimals a number is written with."""
    exponent = Decimal(str(value)).normalize().as_tuple().exponent
    return -int(exponent)


def _millionths(value: Any) -> int:
    return int((Decimal(str(value)) * MILLIONTHS).to_integral_value())


MATCHED_CHARACTERS_MAX = 2_048
"""A longer text, which only an attribute may have, is matched as if it ended there."""
_PATTERN_MEMORY_MAX = 2**20  # less than DuckDB allows, which computes the same for `milepost check`

# Groups other than (?:...), references, named and coded characters, anchors of one dialect, {,n}, possessive repeats,
# and repeats of repeats: what a reader of either dialect takes for something else.
_BEYOND_RE2 = re.compile(r"\(\?[^:]|\\[0-9]|\\[ZzGKNuUxX]|\{,|[*+?}]\+|[*+}][^()]*\)[*+{]")


def _check_pattern(pattern: str) -> None:
    """Regular expressions of the common subset of Python and RE2, so that live and batch agree on them."""
    if _BEYOND_RE2.search(pattern):
        raise ValueError(
            "only what Python and RE2 share is offered in a regular expression: no (?...) but (?:...), no back"
            " references, no coded characters, no {,n}, no possessive repeats, no repeats of repeats"
        )
    regular_expression(pattern)


def regular_expression(pattern: str) -> Any:
    """Compiled by RE2, whose searches take time linear in the text: `search(bytes)`.

    Raises ValueError for what is no expression, or one that would take too much memory.
    """
    options = re2.Options()
    options.never_capture = True
    options.log_errors = False
    options.max_mem = _PATTERN_MEMORY_MAX
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error.args[0].decode()}") from error


class All(Model):
    """Every one of the conditions holds."""

    all: Annotated[list["Condition"], Field(min_length=1)]


class Any_(Model):
    """At least one of the conditions holds."""

    any: Annotated[list["Condition"], Field(min_length=1)]


class Not(Model):
    """The condition does not hold."""

    not_: "Condition" = Field(alias="not")


def shape_of(found: Any) -> str:
    """`all`, `any` or `not` when the mapping or model has that key, else `match`: which model to read it as."""
    if isinstance(found, BaseModel):
        found = {field.alias or name for name, field in type(found).model_fields.items()}
    return next((key for key in ("all", "any", "not") if isinstance(found, dict | set) and key in found), "match")


Condition = Annotated[
    Annotated[Match, Tag("match")]
    | Annotated[All, Tag("all")]
    | Annotated[Any_, Tag("any")]
    | Annotated[Not, Tag("not")],
    Discriminator(shape_of),
]
