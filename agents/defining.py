"""Publishes a definition file as the set in force."""

import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
from kafka import KafkaProducer
from pydantic import ValidationError

from agents.live_snapshots import published_snapshots
from agents.reading import read_definition_records, read_definitions
from agents.settings import Settings
from state.definition_set import (
    DefinitionSet,
    definition_set_of,
    publications,
    require_tzdata_to_apply,
    stale_retirements,
)
from state.definitions import DefinitionFile
from state.layers import layout_bytes
from streams.errors import UnavailableError, UsageError
from streams.topics import MESSAGE_BYTES_MAX, topic_name
from streams.yaml_file import explain, load_yaml

DEFINITION_BYTES_MAX = MESSAGE_BYTES_MAX - 64 * 2**10
DEFINITIONS_BYTES_MAX = MESSAGE_BYTES_MAX - 64 * 2**10
"""All of them together are one row of a commit, which then is not too large however little they can be compressed."""
APPLY_S_MAX = 30.0
"""From looking at what readers see to sending what takes it along; it may be retired later (`agents.snapshots`)."""
_METADATA_S_MAX = _REQUEST_S_MAX = 10.0
DELIVERY_S_MAX = _METADATA_S_MAX + 15.0
"""From sending to an answer; behind it nothing is sent again."""


class Applied(msgspec.Struct, frozen=True):
    """What `apply` did, as names of analyses, and the set that is in force now."""

    published: list[str]
    removed: list[str]
    unchanged: list[str]
    in_force: DefinitionSet


def load_definitions(path: Path) -> DefinitionFile:
    """Reads and validates a definition file; raises UsageError with file, line, path and what would be right."""
    plain, positions = load_yaml(path)
    try:
        return DefinitionFile.model_validate(plain)
    except ValidationError as error:
        raise UsageError(explain(path, positions, error, DefinitionFile)) from error


def apply_definitions(
    file: DefinitionFile, bootstrap: str, settings: Settings, published_at_ms: int, *, new_tzdata: bool = False
) -> Applied:
    """Makes `file` the set in force. An unchanged analysis keeps its version; workers that run go over to the others
    within about a second, and count the past into them while events go on.

    new_tzdata: whether the workers are to have this machine's midnights from now on. Raises MismatchError, and
    publishes nothing, where they have others and this was not said; UnavailableError where Kafka is too slow;
    UsageError for definitions that are too large.
    """
    begun = time.monotonic()
    known = read_definition_records(bootstrap, settings)
    in_force = known.in_force()
    if not new_tzdata:
        require_tzdata_to_apply(in_force)
    records, unchanged = publications(file, in_force, published_at_ms, _shown_versions(bootstrap, settings, in_force))
    published = sorted(name for name, value in records.items() if value is not None)
    removed = sorted(name for name, value in records.items() if value is None)
    if records:
        records |= dict.fromkeys(stale_retirements(known.newest, records))
        topic = topic_name("definitions", settings.prefix, settings.generation)
        _require_sizes(records, topic, _behind(known.newest, records))
        if time.monotonic() - begun > APPLY_S_MAX:
            raise UnavailableError(
                f"to read the definitions and snapshots at {bootstrap} took longer than {APPLY_S_MAX:g} s, and what"
                " readers see may have changed since. Nothing was published; try again"
            )
        publish_definitions(bootstrap, settings, records)
    return Applied(published, removed, unchanged, in_force=read_definitions(bootstrap, settings))


def _shown_versions(bootstrap: str, settings: Settings, in_force: DefinitionSet) -> dict[str, str]:
    """Per name the version that readers see."""
    if not in_force.definitions:
        return {}
    return {name: snapshot.version for name, snapshot in next(published_snapshots(bootstrap, settings)).items()}


def _behind(known: Mapping[str, bytes], records: Mapping[str, bytes | None]) -> DefinitionSet:
    """The set in force behind a publication."""
    newest: dict[str, bytes | None] = {**known, **records}
    return definition_set_of({key: value for key, value in newest.items() if value is not None})


def _require_sizes(records: Mapping[str, bytes | None], topic: str, behind: DefinitionSet) -> None:
    for name, value in records.items():
        if value is not None and len(value) > DEFINITION_BYTES_MAX:
            raise UsageError(
                f"the analysis {name!r} takes {len(value)} bytes, and {topic} holds {DEFINITION_BYTES_MAX} at most;"
                " give it fewer nodes or values. Nothing was published"
            )
    found = layout_bytes(behind)
    if found > DEFINITIONS_BYTES_MAX:
        raise UsageError(
            f"{len(behind.definitions)} analyses, and {len(behind.replaced)} former versions that readers see until a"
            f" change is counted, take {found} bytes together; workers keep {DEFINITIONS_BYTES_MAX} at most. Apply"
            " fewer or smaller ones, or change some after the others. Nothing was published"
        )


def publish_definitions(bootstrap: str, settings: Settings, records: Mapping[str, bytes | None]) -> None:
    """Sends records to the definitions topic."""
    topic = topic_name("definitions", settings.prefix, settings.generation)
    producer = KafkaProducer(
        bootstrap_servers=bootstrap,
        acks="all",
        enable_idempotence=True,
        max_request_size=MESSAGE_BYTES_MAX,
        max_block_ms=int(_METADATA_S_MAX * 1000),
        request_timeout_ms=int(_REQUEST_S_MAX * 1000),
        delivery_timeout_ms=int((DELIVERY_S_MAX - _METADATA_S_MAX) * 1000),
    )
    try:
        sent = [producer.send(topic, key=name.encode(), value=value) for name, value in records.items()]
        producer.flush()
        for future in sent:
            future.get(timeout=DELIVERY_S_MAX)
    finally:
        producer.close()
