"""Publishes a definition file as the set in force."""

from pathlib import Path

import msgspec
from kafka import KafkaProducer
from pydantic import ValidationError

from agents.reading import read_definitions
from agents.settings import Settings
from state.definition_set import DefinitionSet, publications
from state.definitions import DefinitionFile
from streams.admin import end_offsets
from streams.errors import UsageError
from streams.topics import MESSAGE_BYTES_MAX, topic_name
from streams.yaml_file import explain, load_yaml

DEFINITION_BYTES_MAX = MESSAGE_BYTES_MAX - 64 * 2**10


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


def apply_definitions(file: DefinitionFile, bootstrap: str, settings: Settings, published_at_ms: int) -> Applied:
    """Makes `file` the set in force. An unchanged analysis keeps its version.

    Raises UsageError when accounts were computed already: definitions come before the first event in this version.
    """
    in_force = read_definitions(bootstrap, settings)
    records, unchanged = publications(file, in_force, published_at_ms)
    if records:
        _refuse_after_the_first_commit(bootstrap, settings)
        _publish(records, bootstrap, settings)
    return Applied(
        published=sorted(name for name, value in records.items() if value is not None),
        removed=sorted(name for name, value in records.items() if value is None),
        unchanged=unchanged,
        in_force=read_definitions(bootstrap, settings),
    )


def _refuse_after_the_first_commit(bootstrap: str, settings: Settings) -> None:
    changelog = topic_name("accounts-changelog", settings.prefix, settings.generation)
    if any(end_offsets(bootstrap, changelog).values()):
        raise UsageError(
            f"generation {settings.generation} was computed with the definitions in force, and this version can not "
            f"change them live. Apply these to the next one, and give it to its workers and to every command; it "
            f"computes everything anew from the touchpoints, beside the old one: --generation {settings.generation + 1}"
        )


def _publish(records: dict[str, bytes | None], bootstrap: str, settings: Settings) -> None:
    topic = topic_name("definitions", settings.prefix, settings.generation)
    for name, value in records.items():
        if value is not None and len(value) > DEFINITION_BYTES_MAX:
            raise UsageError(
                f"the analysis {name!r} takes {len(value)} bytes, and {topic} holds {DEFINITION_BYTES_MAX} at most;"
                " give it fewer nodes or values. Nothing was published"
            )
    producer = KafkaProducer(
        bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, max_request_size=MESSAGE_BYTES_MAX
    )
    try:
        sent = [producer.send(topic, key=name.encode(), value=value) for name, value in records.items()]
        producer.flush()
        for future in sent:
            future.get(timeout=30)
    finally:
        producer.close()
