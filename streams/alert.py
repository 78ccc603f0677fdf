"""The `milestones` topic: one alert per milestone, container and episode, with its corrections. Key: its id. Value:
JSON.

The id is a function of the milestone's name, the container and the episode, so it is the same after any crash and on
every try of a delivery. A milestone asserted, revoked and asserted again is revisions 1, 2, 3 of one id; a reader keeps
the highest. `schemas/alert.v1.json` is exported from here.
"""

from typing import Literal

import msgspec

FORMAT = 1


class Involved(msgspec.Struct, frozen=True):
    """Who it is about. kind: account, opportunity, buying_group or person; id: null for the account itself. owner: whom
    the CRM named last as the account's owner. people: those of the touchpoints that led to it, in their order."""

    account: str
    kind: str
    id: str | None
    owner: str | None
    people: list[str]


class LedBy(msgspec.Struct, frozen=True, omit_defaults=True):
    """A touchpoint that led to it; event_time in milliseconds UTC, value in millionths."""

    event_time: int
    type: str
    source: str
    event_id: str
    person: str | None = None
    channel: str | None = None
    content: str | None = None
    campaign: str | None = None
    value: int | None = None


class Alert(msgspec.Struct, frozen=True):
    """A milestone that a container reached, or a correction of what was said before.

    milestone, version: the definition's name and the version that said it. title, tier, links: from the definition.
    episode: null for a milestone that is reached once; otherwise what began it. state: asserted, or revoked by a late
    event. happened_ms: by event time, or when the time was over; known_ms: the broker's clock when it was committed.
    touchpoints: the last ones up to it, in order. path: what the container reached before, in order.
    """

    format: int
    id: str
    revision: int
    state: Literal["asserted", "revoked"]
    milestone: str
    version: str
    title: str
    tier: str | None
    who: Involved
    episode: str | None
    happened_ms: int
    known_ms: int
    touchpoints: list[LedBy]
    path: list[str]
    links: dict[str, str]


encode_alert = msgspec.json.Encoder().encode
decode_alert = msgspec.json.Decoder(Alert).decode
