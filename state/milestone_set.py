"""The milestones in force: one record per milestone on the topic `definitions`, beside those of the analyses.

A version id is fresh at each publication. What a version tells begins at a moment of event time that stands in the
record, so that everybody who reads it is silent about the same past.
"""

from collections.abc import Callable, Mapping

import msgspec

from state.definitions import Milestone

MILESTONE_KEY = "!milestone "  # no name of an analysis begins so


class MilestoneDefinition(msgspec.Struct, frozen=True):
    """One milestone in force. since_ms: what happened before is not told."""

    version: str
    since_ms: int
    milestone: Milestone

    @property
    def name(self) -> str:
        """Of the milestone."""
        return self.milestone.name


class MilestonePublication(msgspec.Struct, frozen=True):
    """A milestone as published: the record's value, JSON."""

    format: int
    version: str
    since_ms: int
    published_at_ms: int
    milestone: msgspec.Raw


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(MilestonePublication).decode


def milestone_publications(
    milestones: list[Milestone],
    in_force: Mapping[str, MilestoneDefinition],
    published_at_ms: int,
    alert_since_ms: int | None,
    fresh_version: Callable[[], str],
) -> tuple[dict[str, bytes | None], list[str]]:
    """The records that make these the milestones in force, by key (None removes), and the keys that do not change.

    in_force: by name. alert_since_ms: from when on is told, instead of what the definition says, or the publication.
    """
    records: dict[str, bytes | None] = {}
    unchanged = []
    for milestone in milestones:
        key, old = MILESTONE_KEY + milestone.name, in_force.get(milestone.name)
        if old is not None and old.milestone == milestone:
            unchanged.append(key)
            continue
        since = (alert_since_ms, milestone.alert_since_ms, published_at_ms)
        since_ms = next(each for each in since if each is not None)
        records[key] = encode_milestone(MilestoneDefinition(fresh_version(), since_ms, milestone), published_at_ms)
    gone = in_force.keys() - {milestone.name for milestone in milestones}
    records.update({MILESTONE_KEY + name: None for name in sorted(gone)})
    return records, unchanged


def encode_milestone(made: MilestoneDefinition, published_at_ms: int = 0) -> bytes:
    """A milestone as it is published, and kept."""
    body = msgspec.Raw(made.milestone.model_dump_json(by_alias=True, exclude_none=True).encode())
    return _encode(MilestonePublication(1, made.version, made.since_ms, published_at_ms, body))


def decode_milestone(value: bytes) -> MilestoneDefinition:
    """What `encode_milestone` made. Raises ValueError for what this version of milepost can not read."""
    published = _decode(value)
    if published.format != 1:
        raise ValueError(f"format {published.format}, this milepost reads 1")
    milestone = Milestone.model_validate(msgspec.json.decode(published.milestone))
    return MilestoneDefinition(published.version, published.since_ms, milestone)
