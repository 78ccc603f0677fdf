"""The audiences in force: one record per audience on the topic `definitions`, beside those of the milestones.

A version id is fresh at each publication: members of a former version are carried over by the new one, or leave.
"""

from collections.abc import Callable, Mapping

import msgspec

from state.definitions import Audience
from state.definitions.audience import InCohort, questions_of

AUDIENCE_KEY = "!audience "  # no name of an analysis begins so


class AudienceDefinition(msgspec.Struct, frozen=True):
    """One audience in force. tzdata: the database of the calendar periods that it asks
    for, empty where it asks for none."""

    version: str
    tzdata: str
    audience: Audience

    @property
    def name(self) -> str:
        """Of the audience."""
        return self.audience.name


class AudiencePublication(msgspec.Struct, frozen=True):
    """An audience as published: the record's value, JSON."""

    format: int
    version: str
    tzdata: str
    published_at_ms: int
    audience: msgspec.Raw


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(AudiencePublication).decode


def audience_publications(
    audiences: list[Audience],
    in_force: Mapping[str, AudienceDefinition],
    published_at_ms: int,
    tzdata: str,
    fresh_version: Callable[[], str],
) -> tuple[dict[str, bytes | None], list[str]]:
    """The records that make these the audiences in force, by key (None removes), and the keys that do not change.

    in_force: by name.
    """
    records: dict[str, bytes | None] = {}
    unchanged = []
    for audience in audiences:
        key, old = AUDIENCE_KEY + audience.name, in_force.get(audience.name)
        has_periods = any(isinstance(each, InCohort) for each in questions_of(audience.wanted))
        made = AudienceDefinition(fresh_version(), tzdata if has_periods else "", audience)
        if old is not None and (old.audience, old.tzdata) == (made.audience, made.tzdata):
            unchanged.append(key)
        else:
            records[key] = encode_audience(made, published_at_ms)
    gone = in_force.keys() - {audience.name for audience in audiences}
    records.update({AUDIENCE_KEY + name: None for name in sorted(gone)})
    return records, unchanged


def encode_audience(made: AudienceDefinition, published_at_ms: int = 0) -> bytes:
    """An audience as it is published, and kept."""
    body = msgspec.Raw(made.audience.model_dump_json(by_alias=True, exclude_none=True).encode())
    return _encode(AudiencePublication(1, made.version, made.tzdata, published_at_ms, body))


def decode_audience(value: bytes) -> AudienceDefinition:
    """What `encode_audience` made. Raises ValueError for what this version of milepost can not read."""
    published = _decode(value)
    if published.format != 1:
        raise ValueError(f"format {published.format}, this milepost reads 1")
    audience = Audience.model_validate(msgspec.json.decode(published.audience))
    return AudienceDefinition(published.version, published.tzdata, audience)
