"""milepost's own event format, version 1: one JSON object per record of `crm-events` and `web-events`.

`docs/formats.md` has examples, `schemas/event.v1.json` the exported JSON Schema; `streams.event_parsing` reads it.
"""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.types import StrictBool, StrictFloat, StrictInt, StrictStr

from streams.touchpoint import EVENT_TIME_MAX_MS

ID_BYTES_MAX = 255
CONTENT_BYTES_MAX = 2048
EVENT_BYTES_MAX = 65_536
ATTRIBUTE_COUNT_MAX = 100
VALUE_WHOLE_DIGITS_MAX, VALUE_DECIMALS_MAX = 12, 6
_NO_CONTROL = r"^[^\x00-\x1f\x7f-\x9f]+$"

Id = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=ID_BYTES_MAX, pattern=_NO_CONTROL)
]
Content = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=CONTENT_BYTES_MAX, pattern=_NO_CONTROL)
]
# Not trimmed: two names that differ by blanks would silently become one.
AttributeName = Annotated[str, StringConstraints(min_length=1, max_length=ID_BYTES_MAX, pattern=_NO_CONTROL)]
Attribute = StrictStr | StrictBool | StrictInt | StrictFloat
Count = Annotated[int, Field(ge=0, lt=2**63)]
Amount = Annotated[
    Decimal,
    Field(max_digits=VALUE_WHOLE_DIGITS_MAX + VALUE_DECIMALS_MAX, decimal_places=VALUE_DECIMALS_MAX),
]


TEXT_FIELDS = (
    "event_id", "source", "type", "account", "global_account", "opportunity", "buying_group", "person", "session",
    "channel", "campaign", "content", "content_type", "marketing_event",
)  # fmt: skip


class Event(BaseModel):
    """An event as a source sends it."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, title="milepost event, version 1")

    version: Literal[1] = Field(1, description="Version of this format.")
    event_id: Id = Field(
        description="Id of the event, unique within its source. The same id again is a duplicate or a correction."
    )
    event_time: Annotated[int, Field(ge=0, lt=EVENT_TIME_MAX_MS)] = Field(
        description="When it happened: integer milliseconds since 1970-01-01T00:00:00Z, before the year 2200."
    )
    source: Id = Field(description="The system that sent it, for example salesforce or website.")
    type: Id = Field(description="What happened, for example Opportunity Created.")
    source_sequence: Count = Field(
        0, description="The source's own order among events of the same time, 0 where it has none."
    )
    revision: Count = Field(0, description="The source's own version of this event; the highest wins.")
    operation: Literal["upsert", "withdraw"] = Field("upsert", description="withdraw takes the event back.")
    account: Id | None = Field(None, description="The company. An event without one goes to the dead letters.")
    global_account: Id | None = Field(None, description="The group of companies that the account belongs to.")
    opportunity: Id | None = None
    buying_group: Id | None = None
    person: Id | None = None
    session: Id | None = Field(
        None, description="The source's own session id; without one, web sessions end after a gap of 30 minutes."
    )
    channel: Id | None = None
    campaign: Id | None = None
    content: Content | None = Field(None, description="The page, asset or message, up to 2,048 bytes.")
    content_type: Id | None = None
    marketing_event: Id | None = Field(None, description="The webinar, trade show or dinner.")
    value: Amount | None = Field(
        None,
        description="An amount in one currency: decimal text or number, at most six decimals and twelve other digits.",
    )
    attributes: Annotated[dict[AttributeName, Attribute], Field(max_length=ATTRIBUTE_COUNT_MAX)] | None = Field(
        None, description="Anything else that definitions may read, as attributes.NAME: text, numbers, booleans."
    )
