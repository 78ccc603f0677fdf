"""The mapping file, version 1: how rows of a file become events, as pydantic models.

`schemas/mapping.v1.json` is exported from here, so that editors complete the file; `docs/formats.md` explains it.
A mapping says where a value comes from and never how; `streams.mapping.rows` compiles it.
"""

from collections.abc import Sequence
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec
from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from streams.errors import UsageError
from streams.event import Event
from streams.mapping.paths import Path as JmesPath
from streams.mapping.times import ClockChange, DateOnly, Timing
from streams.shown import did_you_mean, shown
from streams.yaml_file import PROBLEM_CHARACTERS_MAX, Position, explain, load_yaml, locate

ATTRIBUTE = "attributes."
PATH_CHARACTERS_MAX = 1_000
FIELDS = tuple(name for name in Event.model_fields if name not in ("version", "attributes"))
REQUIRED_FIELDS = ("event_id", "event_time", "type")
"""What every event rule must say; `source` too, unless the file says it once for all."""


class Model(BaseModel):
    """Strict, frozen, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True, allow_inf_nan=False)


def _path(text: str) -> str:
    JmesPath(text)
    return text


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no time zone; write one of the IANA list, such as Europe/Berlin") from error
    return name


def _encoding(name: str) -> str:
    try:
        TextIOWrapper(BytesIO(), name)
    except (LookupError, ValueError) as error:
        raise ValueError(f"{name!r} is no encoding; write utf-8, latin-1 or cp1252") from error
    return name


def _format(text: str) -> str:
    if text in ("iso", "epoch_s", "epoch_ms") or "%" in text:
        return text
    raise ValueError(f"{text!r} is no time format; write iso, epoch_s, epoch_ms, or a pattern such as '%d.%m.%Y %H:%M'")


def _delimiter(text: str) -> str:
    if len(text) == 1 or text in ("tab", "whitespace"):
        return text
    raise ValueError(f"{text!r} is no delimiter; write one character, tab or whitespace")


def _field(name: str) -> str:
    if name in FIELDS or (name.startswith(ATTRIBUTE) and len(name) > len(ATTRIBUTE)):
        return name
    meant = did_you_mean(name, FIELDS)
    raise ValueError(f"{name!r} is no field of an event; {meant}There are {', '.join(FIELDS)} and attributes.NAME")


PathText = Annotated[
    str,
    Field(min_length=1, max_length=PATH_CHARACTERS_MAX, description="JMESPath over the row; a column's name is one."),
    AfterValidator(_path),
]
Encoding = Annotated[str, AfterValidator(_encoding)]
Zone = Annotated[str, AfterValidator(_zone)]
Format = Annotated[str, AfterValidator(_format)]
Formats = Annotated[
    Format | Annotated[list[Format], Field(min_length=1)],
    Field(description="iso, epoch_s, epoch_ms or a pattern of strptime; of several the first that fits."),
]
FieldName = Annotated[str, AfterValidator(_field)]
Scalar = str | bool | int | float


class Const(Model):
    """The same value in every row."""

    const: Scalar


class RowNumber(Model):
    """The row's number in the file, from 1; a header line does not count."""

    row: Literal["number"]


class Join(Model):
    """The texts of several values, one after the other; absent when one of them is."""

    join: Annotated[list["Value"], Field(min_length=1)]
    with_: str = Field("", alias="with", description="What stands between them.")


class First(Model):
    """The first of several values that is there."""

    first: Annotated[list["Value"], Field(min_length=1)]


class LookUp(Model):
    """A column of the row of another file that has this key; absent when there is none."""

    lookup: str = Field(description="Name of a file under `lookups`.")
    key: "Value"
    take: str = Field(description="Its column to take.")


class Renamed(Model):
    """A value replaced by another, as a CRM's spelling by the usual one."""

    map: dict[str, Scalar]
    of: "Value"
    unknown: Literal["keep", "absent", "reject"] = Field("keep", description="What a value becomes that is not listed.")


class Number(Model):
    """A decimal written for people, such as 1.234,50."""

    number: "Value"
    decimal: Annotated[str, Field(min_length=1, max_length=1)] = "."
    thousands: str = Field("", max_length=1)


class Date(Model):
    """A point in time; what it does not say, `time` at the top of the file says for all."""

    date: "Value"
    format: Formats | None = None
    zone: Zone | None = None
    date_only: DateOnly | None = None
    clock_change: ClockChange | None = None


_CLASS_BY_KEY: dict[str, type[Model]] = {
    "const": Const,
    "row": RowNumber,
    "join": Join,
    "first": First,
    "lookup": LookUp,
    "map": Renamed,
    "number": Number,
    "date": Date,
}


def _shape(found: Any) -> str | None:
    """The branch that a value takes: by its one distinguishing key, or by its class when it is parsed already."""
    if isinstance(found, str):
        return "Path"
    if isinstance(found, dict):
        return next((shape.__name__ for key, shape in _CLASS_BY_KEY.items() if key in found), None)
    return type(found).__name__ if type(found) in _CLASS_BY_KEY.values() else None


Value = Annotated[
    Annotated[PathText, Tag("Path")]
    | Annotated[Const, Tag("Const")]
    | Annotated[RowNumber, Tag("RowNumber")]
    | Annotated[Join, Tag("Join")]
    | Annotated[First, Tag("First")]
    | Annotated[LookUp, Tag("LookUp")]
    | Annotated[Renamed, Tag("Renamed")]
    | Annotated[Number, Tag("Number")]
    | Annotated[Date, Tag("Date")],
    Discriminator(
        _shape,
        custom_error_type="value_shape",
        custom_error_message="should be a path, or a mapping with one of the keys " + ", ".join(_CLASS_BY_KEY),
    ),
]


class CsvRows(Model):
    """Text in columns, plain or .gz."""

    format: Literal["csv"]
    delimiter: Annotated[str, AfterValidator(_delimiter)] = Field(
        ",", description="One character, `tab`, or `whitespace` for any run of blanks."
    )
    quote: Annotated[str, Field(min_length=1, max_length=1)] | None = '"'
    encoding: Encoding = "utf-8"
    header: bool = Field(True, description="Whether the first line names the columns.")
    columns: list[str] | None = Field(None, description="Names of the columns, instead of the header's.")
    absent: list[str] = Field([], description="Texts that mean no value, besides the empty one, such as NULL.")

    @model_validator(mode="after")
    def _has_names(self) -> "CsvRows":
        if not self.header and not self.columns:
            raise ValueError("a file without a header needs columns: [NAME, ...]")
        return self


class NdjsonRows(Model):
    """One JSON object a line, plain or .gz."""

    format: Literal["ndjson"]
    absent: list[str] = []


class XesRows(Model):
    """Events of an XES log, plain or .gz: paths begin with `trace.` or `event.`, as in `event."concept:name"`."""

    format: Literal["xes"]
    absent: list[str] = []


class ParquetRows(Model):
    """Rows of a Parquet file; of a nested column paths see objects and lists, and times as ISO text."""

    format: Literal["parquet"]
    absent: list[str] = []


class LookupFile(Model):
    """A CSV file with a header, looked up by one column."""

    file: str = Field(pattern=r"^[^\x00-\x1f]+$", description="Path from the mapping file's folder.")
    key: str
    delimiter: Annotated[str, AfterValidator(_delimiter)] = ","
    encoding: Encoding = "utf-8"


class TimeRule(Model):
    """How times are written."""

    format: Formats = "iso"
    zone: Zone | None = Field(None, description="Of times without an offset; IANA name.")
    date_only: DateOnly | None = Field(None, description="Which moment a date without a time of day means.")
    clock_change: ClockChange = Field(
        "compatible", description="A local time that comes twice is the earlier, one that is skipped moves on."
    )

    def timing(self, date: Date | None = None) -> Timing:
        """These rules, with what one date says for itself."""
        own = {} if date is None else date.model_dump(exclude={"date"}, exclude_none=True)
        said = self.model_dump() | own
        formats = said.pop("format")
        return Timing(formats=(formats,) if isinstance(formats, str) else tuple(formats), **said)


class EventRule(Model):
    """One event that a row may become."""

    when: PathText | None = Field(None, description="JMESPath; the row becomes this event where it holds.")
    fields: dict[FieldName, Value]


class Mapping(Model):
    """How the rows of one kind of file become events."""

    version: Literal[1] = 1
    topic: Literal["crm-events", "web-events"]
    source: str | None = Field(None, min_length=1, description="The events' source, unless a rule says another.")
    rows: Annotated[CsvRows | NdjsonRows | XesRows | ParquetRows, Field(discriminator="format")]
    lookups: dict[str, LookupFile] = {}
    time: TimeRule = TimeRule()
    events: Annotated[list[EventRule], Field(min_length=1)]


class MappingFile(msgspec.Struct, frozen=True):
    """A mapping and where it stands, so that later complaints can point at it too."""

    path: Path
    mapping: Mapping
    positions: Position

    def error(self, loc: Sequence[str | int], what: str) -> UsageError:
        """A complaint about the value at `loc`."""
        line, column = locate(self.positions, loc)
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).removeprefix(".")
        said = shown(f"{where}: {what}", PROBLEM_CHARACTERS_MAX)
        return UsageError(f"{self.path}:{line}:{column}: {said}")


def load_mapping(path: Path) -> MappingFile:
    """Reads a mapping file.

    Raises UnavailableError when it can not be read, UsageError with every place that is wrong.
    """
    found, positions = load_yaml(path)
    try:
        mapping = Mapping.model_validate(found)
    except ValidationError as error:
        raise UsageError(explain(path, positions, error, Mapping)) from error
    file = MappingFile(path, mapping, positions)
    for index, rule in enumerate(mapping.events):
        required = REQUIRED_FIELDS if mapping.source else (*REQUIRED_FIELDS, "source")
        if missing := [name for name in required if name not in rule.fields]:
            hint = "; the source may also stand once at the top, source: NAME" if "source" in missing else ""
            raise file.error(("events", index, "fields"), f"every event needs {', '.join(missing)}{hint}")
    return file
