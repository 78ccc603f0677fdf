"""The set of definitions in force: one record per analysis on the compacted topic `definitions`, one per milestone
(`state.milestone_set`), one per audience (`state.audience_set`), and one per version that was replaced and that nobody
sees any more.

A version id is fresh at each publication and stands in the record, so that an analysis which is removed and added
again never meets its old cells. The set's hash stands in every commit.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from importlib.metadata import version as installed_version
from typing import NamedTuple, TypeVar

import msgspec

from state.audience_set import AUDIENCE_KEY, AudienceDefinition, audience_publications, decode_audience
from state.definitions import Analysis, DefinitionFile
from state.milestone_set import MILESTONE_KEY, MilestoneDefinition, decode_milestone, milestone_publications
from streams.errors import MismatchError
from streams.shown import shown_lines


class Publication(msgspec.Struct, frozen=True):
    """A definition as published: the record's value, JSON. Its key is the analysis' name.

    zone, week_start and tzdata belong to the version: other midnights are another analysis. replaces: the publication
    whose numbers readers see until this one is complete, where there is one.
    """

    format: int
    version: str
    zone: str
    week_start: str
    tzdata: str
    published_at_ms: int
    definition: msgspec.Raw
    replaces: "Publication | None" = None


class Definition(msgspec.Struct, frozen=True):
    """One analysis in force."""

    version: str
    zone: str
    week_start: str
    tzdata: str
    analysis: Analysis


class DefinitionSet(msgspec.Struct, frozen=True):
    """All analyses in force, in the order of their names. replaced: former versions that readers still see, until the
    ones that replace them are complete. milestones, audiences: all in force, in the order of their names."""

    definitions: tuple[Definition, ...]
    replaced: tuple[Definition, ...] = ()
    milestones: tuple[MilestoneDefinition, ...] = ()
    audiences: tuple[AudienceDefinition, ...] = ()

    @property
    def every(self) -> tuple[Definition, ...]:
        """All analyses that are computed; of one name the replaced one first."""
        return (*self.replaced, *self.definitions)

    @property
    def newest_versions(self) -> list[str]:
        """Those of all analyses, milestones and audiences, without what was replaced."""
        versions = [each.version for each in self.definitions]
        versions += [each.version for each in self.milestones]
        return versions + [each.version for each in self.audiences]

    @property
    def hash(self) -> str:
        """Tells one set from another: 16 hex digits over the version ids."""
        lines = [f"{d.analysis.name} {d.version} {d.tzdata}" for d in self.every]
        lines += [f"{MILESTONE_KEY}{each.name} {each.version}" for each in self.milestones]
        lines += [f"{AUDIENCE_KEY}{each.name} {each.version}" for each in self.audiences]
        return blake2b("\n".join(lines).encode(), digest_size=8).hexdigest()

    def shown(self, name: str, is_complete: Callable[[str], bool]) -> Definition | None:
        """What readers see under a name: the newest version that is complete."""
        found = [each for each in (*self.definitions, *self.replaced) if each.analysis.name == name]
        return next((each for each in found if is_complete(each.version)), None)

    def seen(self, name: str, is_complete: Callable[[str], bool]) -> Definition | None:
        """What readers see under a name, for who does not know of every partition what is complete: the former version
        for as long as nobody said that it is retired, where it is complete; otherwise the newest."""
        former = self.former(name)
        return former if former is not None and is_complete(former.version) else self.named(name)

    def former(self, name: str) -> Definition | None:
        """The version of that name that was replaced, for as long as nobody said that it is retired."""
        return next((each for each in self.replaced if each.analysis.name == name), None)

    def named(self, name: str) -> Definition | None:
        """The definition of that name."""
        return next((d for d in self.definitions if d.analysis.name == name), None)


Made = TypeVar("Made")
_RETIRED = "!retired "  # no name of an analysis begins so
_NO_ANALYSES = (_RETIRED, MILESTONE_KEY, AUDIENCE_KEY)
_NOTHING_SHOWN: Mapping[str, str] = {}
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Publication).decode


class _Holder(DefinitionFile):
    """Reads one published analysis through the same validation as a file."""


def installed_tzdata() -> str:
    """The version of the time zone database in use."""
    return installed_version("tzdata")


def require_tzdata(definitions: DefinitionSet) -> None:
    """Raises MismatchError when a definition, or one that readers still see, was published with other midnights than
    this process has."""
    _require_tzdata(
        definitions,
        "the definition {name!r} was published with tzdata {published}, this milepost has {installed}; its periods "
        "might begin elsewhere. Run it with that tzdata. Or have every worker run with {installed}, and on a machine "
        "that has it too run `milepost definitions apply FILE --new-tzdata`, which counts everything anew",
    )


def require_tzdata_to_apply(in_force: DefinitionSet) -> None:
    """Raises MismatchError when what is in force, and so its workers, have other midnights than this process."""
    _require_tzdata(
        in_force,
        "this machine has tzdata {installed}, and the definition {name!r}, which is in force, was published with "
        "{published}, which its workers run with: they would end by what is published here, for they promise the same "
        "midnights for all. Nothing was published. Apply on a machine with tzdata {published}; or have every worker "
        "run with {installed} and repeat this with --new-tzdata: everything is counted anew then, and has no result "
        "until it is",
    )


def _require_tzdata(definitions: DefinitionSet, words: str) -> None:
    installed = installed_tzdata()
    for each in definitions.every:
        if each.tzdata != installed:
            raise MismatchError(words.format(name=each.analysis.name, published=each.tzdata, installed=installed))


def publications(
    file: DefinitionFile,
    in_force: DefinitionSet,
    published_at_ms: int,
    shown: Mapping[str, str] = _NOTHING_SHOWN,
    *,
    keeps_others: bool = False,
    alert_since_ms: int | None = None,
) -> tuple[dict[str, bytes | None], list[str]]:
    """The records that make `file` the set in force, by key (None removes), and the keys that do not change.

    What is unchanged keeps its version. shown: per name the version that readers see now, which one that replaces it
    takes along. keeps_others: what is not in the file stays, and so do all milestones and audiences. alert_since_ms:
    from when on milestones that change are told, whatever they say themselves.
    """
    tzdata = installed_tzdata()
    records: dict[str, bytes | None] = {}
    unchanged = []
    for analysis in file.analyses:
        old = in_force.named(analysis.name)
        if old is not None and old == Definition(old.version, file.zone, file.week_start, tzdata, analysis):
            unchanged.append(analysis.name)
            continue
        made = Definition(_fresh_version(), file.zone, file.week_start, tzdata, analysis)
        seen = next((each for each in in_force.every if each.version == shown.get(analysis.name)), None)
        # Another tzdata has other midnights, and is not gone on with.
        records[analysis.name] = encode_definition(
            made, published_at_ms, seen if seen is not None and seen.tzdata == tzdata else None
        )
    kept = {analysis.name for analysis in file.analyses}
    if keeps_others:
        return records, unchanged
    records.update({d.analysis.name: None for d in in_force.definitions if d.analysis.name not in kept})
    known = {each.name: each for each in in_force.milestones}
    others, same = milestone_publications(file.milestones, known, published_at_ms, alert_since_ms, _fresh_version)
    members = {each.name: each for each in in_force.audiences}
    groups, still = audience_publications(file.audiences, members, published_at_ms, tzdata, _fresh_version)
    return records | others | groups, unchanged + same + still


class Retirement(NamedTuple):
    """Nobody sees the former version any more, for they see the new one. It says nothing about a former version that
    is replaced by another one meanwhile: that is what readers see again."""

    former: str
    new: str

    @property
    def key(self) -> str:
        """Of its record."""
        return f"{_RETIRED}{self.former} {self.new}"


RETIREMENT_VALUE = b"{}"


def stale_retirements(known: Mapping[str, bytes], records: Mapping[str, bytes | None]) -> list[str]:
    """The keys of retirements that say nothing about any record behind `records`."""
    behind = {**known, **records}
    values = [value for key, value in behind.items() if value is not None and not key.startswith(_NO_ANALYSES)]
    published = [_publication_of("former", value) for value in values]
    kept = {Retirement(each.replaces.version, each.version).key for each in published if each.replaces is not None}
    return [key for key in known if key.startswith(_RETIRED) and key not in kept]


def definition_set_of(records: Mapping[str, bytes] | Iterable[tuple[str, bytes]]) -> DefinitionSet:
    """The set that the newest record per key makes.

    Raises MismatchError for a record that this version of milepost can not read.
    """
    by_name = dict(records)
    definitions, replaced = [], []
    for name in sorted(name for name in by_name if not name.startswith(_NO_ANALYSES)):
        published = _publication_of(name, by_name[name])
        definitions.append(_definition_of(name, published))
        former = published.replaces
        if former is not None and Retirement(former.version, published.version).key not in by_name:
            replaced.append(_definition_of(name, former))
    milestones = _published_as(MILESTONE_KEY, decode_milestone, by_name)
    audiences = _published_as(AUDIENCE_KEY, decode_audience, by_name)
    return DefinitionSet(tuple(definitions), tuple(replaced), milestones, audiences)


def _published_as(key: str, decode: Callable[[bytes], Made], by_name: Mapping[str, bytes]) -> tuple[Made, ...]:
    """What the records say whose keys begin so, in the order of the names."""
    return tuple(_readable(decode, name, by_name[name]) for name in sorted(by_name) if name.startswith(key))


def _readable(decode: Callable[[bytes], Made], name: str, value: bytes) -> Made:
    try:
        return decode(value)
    except ValueError as error:
        raise _unreadable(name, error) from error


def encode_definition(made: Definition, published_at_ms: int = 0, replaces: Definition | None = None) -> bytes:
    """A definition as it is published, and kept."""
    former = None if replaces is None else _published(replaces, published_at_ms, None)
    return _encode(_published(made, published_at_ms, former))


def _published(made: Definition, published_at_ms: int, former: Publication | None) -> Publication:
    body = msgspec.Raw(made.analysis.model_dump_json(by_alias=True, exclude_none=True).encode())
    return Publication(1, made.version, made.zone, made.week_start, made.tzdata, published_at_ms, body, former)


def decode_definition(value: bytes) -> Definition:
    """What `encode_definition` made. Raises MismatchError."""
    return _definition_of("a layout", _publication_of("a layout", value))


def _publication_of(name: str, value: bytes) -> Publication:
    try:
        published = _decode(value)
        if published.format != 1:
            raise ValueError(f"format {published.format}, this milepost reads 1")
    except ValueError as error:
        raise _unreadable(name, error) from error
    return published


def _definition_of(name: str, published: Publication) -> Definition:
    try:
        file = {"version": 1, "zone": published.zone, "week_start": published.week_start}
        analyses = msgspec.json.decode(published.definition)
        analysis = _Holder.model_validate({**file, "analyses": [analyses]}).analyses[0]
    except ValueError as error:
        raise _unreadable(name, error) from error
    return Definition(published.version, published.zone, published.week_start, published.tzdata, analysis)


def _unreadable(name: str, error: ValueError) -> MismatchError:
    return MismatchError(
        f"the definition {name!r} on the topic can not be read: {shown_lines(str(error), 2_000)}. Use the milepost "
        f"that published it, "
        f"or publish it again with `milepost definitions apply`"
    )


def _fresh_version() -> str:
    return secrets.token_hex(6)
