"""Publishes definitions: a file as the set in force, or one analysis beside the others."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
from pydantic import ValidationError

from agents.definitions_writer import Records, change_definitions
from agents.live_snapshots import published_snapshots
from agents.reading import Definitions, read_definitions
from agents.settings import Settings
from state.definition_set import (
    Definition,
    DefinitionSet,
    decode_definition,
    definition_set_of,
    publications,
    require_tzdata_to_apply,
    stale_retirements,
)
from state.definitions import ANALYSIS_COUNT_MAX, DefinitionFile
from state.matches import BEING_WRITTEN
from state.plan import Plan
from streams.errors import UsageError
from streams.json_value import json_value
from streams.shown import shown
from streams.yaml_file import explain, explain_value, load_yaml


class Applied(msgspec.Struct, frozen=True):
    """What `apply` did, as names of analyses, `milestone NAME` and `audience NAME`, and the set that is in force
    now."""

    published: list[str]
    removed: list[str]
    unchanged: list[str]
    in_force: DefinitionSet


class Put(msgspec.Struct, frozen=True):
    """What came of one analysis: its version now, and which one it replaced, if any; is_changed: whether it is new."""

    version: str
    replaced: str | None
    is_changed: bool


class OutdatedError(UsageError):
    """Somebody else has published the analysis meanwhile. version: that which is in force; None where there is none."""

    def __init__(self, message: str, version: str | None) -> None:
        super().__init__(message)
        self.version = version


def load_definitions(path: Path) -> DefinitionFile:
    """Reads and validates a definition file; raises UsageError with file, line, path and what would be right."""
    plain, positions = load_yaml(path)
    try:
        return DefinitionFile.model_validate(plain, context=BEING_WRITTEN)
    except ValidationError as error:
        raise UsageError(explain(path, positions, error, DefinitionFile)) from error


def one_definition(body: bytes) -> DefinitionFile:
    """A definition file as JSON, which has one analysis and nothing else. Raises UsageError with path and what would be
    right."""
    plain = json_value(body)
    try:
        file = DefinitionFile.model_validate(plain, context=BEING_WRITTEN)
    except ValidationError as error:
        raise UsageError(explain_value(plain, error, DefinitionFile)) from error
    if len(file.analyses) != 1:
        raise UsageError(f"analyses: there are {len(file.analyses)}; one is right")
    for name, others in (("milestones", file.milestones), ("audiences", file.audiences)):
        if others:
            raise UsageError(f"{name}: they are published with a whole file, by `milepost definitions apply`")
    return file


def apply_definitions(
    file: DefinitionFile,
    bootstrap: str,
    settings: Settings,
    published_at_ms: int,
    *,
    new_tzdata: bool = False,
    alert_since_ms: int | None = None,
) -> Applied:
    """Makes `file` the set in force. An unchanged analysis keeps its version; workers that run go over to the others
    within about a second, and count the past into them while events go on.

    new_tzdata: whether the workers are to have this machine's midnights from now on. alert_since_ms: from when on
    milestones that change are told, instead of what the file says. Raises MismatchError, and
    publishes nothing, where they have others and this was not said; also what `change_definitions` raises.
    """
    unchanged: list[str] = []
    changed: Records = {}

    def decide(known: Definitions) -> Records:
        nonlocal unchanged, changed
        in_force = known.in_force()
        if not new_tzdata:
            require_tzdata_to_apply(in_force)
        shown_versions = _shown_versions(bootstrap, settings, in_force)
        changed, unchanged = publications(
            file, in_force, published_at_ms, shown_versions, alert_since_ms=alert_since_ms
        )
        return _publishable(known, changed)

    change_definitions(bootstrap, settings, decide)
    published = sorted(key.removeprefix("!") for key, value in changed.items() if value is not None)
    removed = sorted(key.removeprefix("!") for key, value in changed.items() if value is None)
    unchanged = [key.removeprefix("!") for key in unchanged]
    return Applied(published, removed, unchanged, in_force=read_definitions(bootstrap, settings))


def put_definition(
    file: DefinitionFile, replaces: str | None, bootstrap: str, settings: Settings, published_at_ms: int
) -> Put:
    """Publishes the one analysis of `file` in the place of the version `replaces`, None for a new name; the other
    analyses stay. What is in force already is not published again, whatever it is to replace.

    Raises OutdatedError where another version is in force, and MismatchError as `apply_definitions` does.
    """
    (analysis,) = file.analyses
    put = Put("", None, is_changed=False)

    def decide(known: Definitions) -> Records:
        nonlocal put
        in_force = known.in_force()
        require_tzdata_to_apply(in_force)
        old = in_force.named(analysis.name)
        shown_versions = _shown_versions(bootstrap, settings, in_force)
        made, _ = publications(file, in_force, published_at_ms, shown_versions, keeps_others=True)
        if old is not None and not made:
            put = Put(old.version, None, is_changed=False)
            return {}
        _require_newest(analysis.name, old, replaces)
        if old is None and len(in_force.definitions) >= ANALYSIS_COUNT_MAX:
            raise UsageError(f"{ANALYSIS_COUNT_MAX} analyses are in force, and there can be no more; remove some")
        value = made[analysis.name]
        assert value is not None, "nothing is removed"
        put = Put(decode_definition(value).version, replaces, is_changed=True)
        return _publishable(known, made)

    change_definitions(bootstrap, settings, decide)
    return put


def _require_newest(name: str, old: Definition | None, replaces: str | None) -> None:
    version = None if old is None else old.version
    if version == replaces:
        return
    named = "no version" if replaces is None else shown(replaces, 50)
    there = "there is none of that name" if old is None else f"{old.version} is in force"
    raise OutdatedError(
        f"{name}: {named} was to be replaced, but {there}; look at what is in force, and name its version", version
    )


def _publishable(known: Definitions, records: Records) -> Records:
    """The records, and the deletions of what is said about versions that nothing mentions any more. Raises what every
    worker would that begins with them."""
    if not records:
        return {}
    _compile({key: value for key, value in {**known.newest, **records}.items() if value is not None})
    return {**records, **dict.fromkeys(stale_retirements(known.newest, records))}


def _compile(newest: Mapping[str, bytes]) -> None:
    """What would be in force, as every worker does."""
    made = definition_set_of(newest)
    Plan(made.definitions, made.replaced, milestones=made.milestones, audiences=made.audiences)


def _shown_versions(bootstrap: str, settings: Settings, in_force: DefinitionSet) -> dict[str, str]:
    """Per name the version that readers see."""
    if not in_force.definitions:
        return {}
    return {name: snapshot.version for name, snapshot in next(published_snapshots(bootstrap, settings)).items()}
