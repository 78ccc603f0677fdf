"""The set of definitions in force: one record per analysis on the compacted topic `definitions`.

A version id is fresh at each publication and stands in the record, so that an analysis which is removed and added
again never meets its old cells. The set's hash stands in every commit.
"""

import secrets
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from importlib.metadata import version as installed_version

import msgspec

from state.definitions import Analysis, DefinitionFile
from streams.errors import MismatchError
from streams.shown import shown_lines


class Publication(msgspec.Struct, frozen=True):
    """A definition as published: the record's value, JSON. Its key is the analysis' name.

    zone, week_start and tzdata belong to the version: other midnights are another analysis.
    """

    format: int
    version: str
    zone: str
    week_start: str
    tzdata: str
    published_at_ms: int
    definition: msgspec.Raw


class Definition(msgspec.Struct, frozen=True):
    """One analysis in force."""

    version: str
    zone: str
    week_start: str
    tzdata: str
    analysis: Analysis


class DefinitionSet(msgspec.Struct, frozen=True):
    """All analyses in force, in the order of their names."""

    definitions: tuple[Definition, ...]

    @property
    def hash(self) -> str:
        """Tells one set from another: 16 hex digits over the version ids."""
        versions = "\n".join(f"{d.analysis.name} {d.version} {d.tzdata}" for d in self.definitions)
        return blake2b(versions.encode(), digest_size=8).hexdigest()

    def named(self, name: str) -> Definition | None:
        """The definition of that name."""
        return next((d for d in self.definitions if d.analysis.name == name), None)


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Publication).decode


class _Holder(DefinitionFile):
    """Reads one published analysis through the same validation as a file."""


def installed_tzdata() -> str:
    """The version of the time zone database in use."""
    return installed_version("tzdata")


def require_tzdata(definitions: DefinitionSet) -> None:
    """Raises MismatchError when a definition was published with other midnights than this process has."""
    installed = installed_tzdata()
    for each in definitions.definitions:
        if each.tzdata != installed:
            raise MismatchError(
                f"the definition {each.analysis.name!r} was published with tzdata {each.tzdata}, this milepost has "
                f"{installed}; its periods might begin elsewhere. Run it with that tzdata, or apply the definitions to "
                f"another --generation, which computes everything anew"
            )


def publications(
    file: DefinitionFile, in_force: DefinitionSet, published_at_ms: int
) -> tuple[dict[str, bytes | None], list[str]]:
    """The records that make `file` the set in force, by key (None removes), and the names that do not change.

    An unchanged analysis keeps its version.
    """
    tzdata = installed_tzdata()
    records: dict[str, bytes | None] = {}
    unchanged = []
    for analysis in file.analyses:
        old = in_force.named(analysis.name)
        if old is not None and _same(old, Definition(old.version, file.zone, file.week_start, tzdata, analysis)):
            unchanged.append(analysis.name)
            continue
        body = msgspec.Raw(analysis.model_dump_json(by_alias=True, exclude_none=True).encode())
        records[analysis.name] = _encode(
            Publication(1, _fresh_version(), file.zone, file.week_start, tzdata, published_at_ms, body)
        )
    kept = {analysis.name for analysis in file.analyses}
    records.update({d.analysis.name: None for d in in_force.definitions if d.analysis.name not in kept})
    return records, unchanged


def definition_set_of(records: Mapping[str, bytes] | Iterable[tuple[str, bytes]]) -> DefinitionSet:
    """The set that the newest record per name makes.

    Raises MismatchError for a record that this version of milepost can not read.
    """
    by_name = dict(records)
    return DefinitionSet(tuple(_definition_of(name, by_name[name]) for name in sorted(by_name)))


def _definition_of(name: str, value: bytes) -> Definition:
    try:
        published = _decode(value)
        if published.format != 1:
            raise ValueError(f"format {published.format}, this milepost reads 1")
        file = {"version": 1, "zone": published.zone, "week_start": published.week_start}
        analyses = msgspec.json.decode(published.definition)
        analysis = _Holder.model_validate({**file, "analyses": [analyses]}).analyses[0]
    except ValueError as error:
        raise MismatchError(
            f"the definition {name!r} on the topic can not be read: {shown_lines(str(error), 2_000)}. Use the milepost "
            f"that published it, "
            f"or publish it again with `milepost definitions apply`"
        ) from error
    return Definition(published.version, published.zone, published.week_start, published.tzdata, analysis)


def _same(a: Definition, b: Definition) -> bool:
    return a == b


def _fresh_version() -> str:
    return secrets.token_hex(6)
