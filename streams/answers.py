"""What workers answer over HTTP, as JSON: the story of a container, who is behind a number, and why.

Times are milliseconds UTC, amounts decimal text in units of their currency. A field that is missing is null, false or
empty. Every answer says what it contains: `applied` and `clock_ms` of the commits that it was read from.
"""

import msgspec

from streams.snapshot import Snapshot
from streams.touchpoint import Scalar


class Milestone(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a touchpoint moved: a container of `kind` (its id null for the account itself) reached a node of a canvas,
    or came into a period of a cohort; `is_left`: it is not included there any more."""

    analysis: str
    kind: str
    id: str | None
    node: str | None = None
    period: str | None = None
    is_left: bool = False


class Told(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A touchpoint as readers see it.

    is_online: see `state.telling`. is_late: when it came, one of its account with a later event time was there already.
    is_corrected: its revision is above 0, the number of a first version.
    """

    event_time: int
    event_id: str
    source: str
    type: str
    stream: str
    is_online: bool = False
    opportunity: str | None = None
    buying_group: str | None = None
    person: str | None = None
    session: str | None = None
    channel: str | None = None
    campaign: str | None = None
    content: str | None = None
    content_type: str | None = None
    marketing_event: str | None = None
    value: str | None = None
    attributes: dict[str, Scalar] | None = None
    global_account: str | None = None
    source_sequence: int = 0
    revision: int = 0
    ingest_time: int = 0
    is_late: bool = False
    is_corrected: bool = False
    milestones: list[Milestone] = []


class Contained(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer contains. applied: per partition of the touchpoints the offset of the last one. clock_ms: the
    newest broker time among them. missing: the partitions that did not answer."""

    applied: dict[str, int]
    clock_ms: int
    missing: list[int] = []


class StoryAnswer(Contained, frozen=True, kw_only=True):
    """Touchpoints of one container, newest first. before: ask with it for what lies before; null at the beginning."""

    account: str
    kind: str
    id: str | None
    touchpoints: list[Told]
    before: str | None


class BehindCell(msgspec.Struct, frozen=True, omit_defaults=True):
    """A container and what it adds to the number: a count, or an amount as text; null where its series was too long to
    be looked at in time. started_ms: when a derived session began, whose id is the person's. place: a cursor behind
    it."""

    place: str
    account: str
    kind: str
    id: str | None
    amount: int | str | None
    started_ms: int | None = None


class CellsAnswer(Contained, frozen=True, kw_only=True):
    """The containers behind a number, in the order of their accounts. cursor: ask with it for the next; null at the
    end. An answer may be empty and still have one, when the time was over."""

    analysis: str
    version: str
    cell: str
    range: tuple[str, str] | None
    containers: list[BehindCell]
    cursor: str | None


class Counted(msgspec.Struct, frozen=True, omit_defaults=True):
    """A touchpoint at which the number changed, and by how much. started_ms: of the derived session it lies in."""

    amount: int | str
    touchpoint: Told
    started_ms: int | None = None


class WhyAnswer(Contained, frozen=True, kw_only=True):
    """The touchpoints that made one container count. is_cut: there are more than are listed."""

    analysis: str
    version: str
    cell: str
    range: tuple[str, str] | None
    account: str
    kind: str
    id: str | None
    touchpoints: list[Counted]
    is_cut: bool


class Found(msgspec.Struct, frozen=True, omit_defaults=True, order=True):
    """A container by its name."""

    kind: str
    account: str
    id: str | None = None


class SearchAnswer(Contained, frozen=True, kw_only=True):
    """Containers of a name. is_complete: everything was looked at; otherwise the time was over before."""

    found: list[Found]
    is_complete: bool


class ValuesAnswer(Contained, frozen=True, kw_only=True):
    """Values of a dimension, the most frequent first, each with how many touchpoints have it. is_cut: there are more
    than are listed. looked_at: how many touchpoints; is_complete: these are all, and the counts are exact."""

    dimension: str
    values: list[tuple[str, int]]
    is_cut: bool
    looked_at: int
    is_complete: bool


class DefinitionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An analysis that was put. version: the one in force now; replaced: the one that it replaced, null for none.
    is_changed: false where all of it was in force already."""

    analysis: str
    version: str
    replaced: str | None
    is_changed: bool


class PreviewAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An analysis that nobody computes, over accounts of one worker. is_sample: they are not all that it has. sampled:
    how many they are, of how many in `total`; drawn_from: of these so many were found in time, the first by name, and
    the sample is one of them by chance; left_out: accounts of it that were too large to be looked at in time."""

    is_sample: bool
    sampled: int
    total: int
    drawn_from: int
    left_out: int
    snapshot: Snapshot


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error (RFC 9457, application/problem+json). owner: with 421, where the right worker answers. version: with
    409, the version in force, null where there is none."""

    title: str
    status: int
    detail: str
    owner: str | None = None
    version: str | None = None


encode_answer = msgspec.json.Encoder().encode
