"""The delivery file, version 1: destinations, and the routes that lead to them, as pydantic models.

The law: a file holds no secret and no place on a worker's disk. It names secrets, and folders below the one that the
worker's settings give; so who may write it can neither read nor write what a worker may.
"""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from state.delivery.formats.template import compiled
from state.matches import Model, Slug, is_being_written

DAY_S = 86_400
_OWN_HEADERS = ("host", "authorization", "content-type", "content-length", "transfer-encoding", "connection")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

Clock = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", description="HH:MM of the zone.")]
Pattern = Annotated[str, Field(min_length=1, max_length=200, description="A name; * and ? stand for any letters.")]
SecretName = Annotated[Slug, Field(description="Of the environment or the secrets' folder; never the secret itself.")]


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:
        raise ValueError(f"{name!r} is no IANA time zone; for example Europe/Berlin or UTC") from error
    return name


def _web_address(url: str, info: ValidationInfo) -> str:
    parts = urlsplit(url)
    try:
        has_port = parts.port != 0
    except ValueError:  # beyond 65535, or no number
        has_port = False
    if parts.scheme not in ("http", "https") or not parts.hostname or not (has_port or not is_being_written(info)):
        raise ValueError(f"{url!r} is no web address; https://HOST/PATH or https://HOST:PORT/PATH is right")
    if parts.username or parts.password:
        raise ValueError("an address has no user or password in it; name a secret with `bearer`, or take `url_secret`")
    return url


def _header_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", name):
        raise ValueError(f"{name!r} is no name of a header; letters, digits and - are right")
    if name.lower().startswith("webhook-") or name.lower() in _OWN_HEADERS:
        raise ValueError(f"{name} is set by milepost")
    return name


def _header_value(value: str) -> str:
    if not re.fullmatch(r"[\x20-\x7e]{0,1000}", value):
        raise ValueError("the value of a header is one line of ASCII, with at most 1,000 characters")
    return value


def _content_type(value: str, info: ValidationInfo) -> str:
    return _header_value(value) if is_being_written(info) else value


def _template(text: str) -> str:
    compiled(text)
    return text


Zone = Annotated[str, AfterValidator(_known_zone)]
WebAddress = Annotated[str, AfterValidator(_web_address), Field(max_length=2048)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
HeaderValue = Annotated[str, AfterValidator(_header_value)]
Template = Annotated[str, AfterValidator(_template), Field(max_length=65_536)]


class Limits(Model):
    """What all destinations have. Limits are per partition, but for rate_per_s, which all partitions share alike."""

    rate_per_s: float | None = Field(None, gt=0, le=100_000, description="Requests a second at most, over all.")
    at_once: int = Field(8, ge=1, le=64, description="Requests under way at once; of one container there is only one.")
    timeout_s: float = Field(10.0, ge=0.1, le=120, description="For one request, from its start to its answer's end.")
    give_up_after_s: int = Field(3 * DAY_S, ge=1, description="A delivery that fails for so long is dead.")
    waiting_max: int = Field(100_000, ge=1, description="What comes for more than so many that wait is dead at once.")
    coalesce_above: int = Field(
        1_000, ge=0, description="While more than so many wait, a newer word on something replaces the older one."
    )


class Webhook(Limits):
    """A request per message, signed as Standard Webhooks has it when `signing` names keys.

    signing: the newest key first; a message is signed with each, so a receiver may change its key at any time.
    template: a Jinja text that makes the body, for a CRM's own API; without it the body is the message.
    """

    kind: Literal["webhook"]
    url: WebAddress | None = None
    url_secret: SecretName | None = None
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    signing: list[SecretName] = Field([], max_length=3)
    bearer: SecretName | None = None
    headers: dict[HeaderName, HeaderValue] = Field(
        {}, max_length=20, description="Sent as they stand here, on topics too: no place for a secret."
    )
    content_type: Annotated[str, AfterValidator(_content_type)] = "application/json"
    template: Template | None = None

    @model_validator(mode="after")
    def _one_address(self) -> "Webhook":
        if (self.url is None) == (self.url_secret is None):
            raise ValueError("url or url_secret is given, one of them")
        return self


class Slack(Limits):
    """An incoming webhook of Slack; its address is a secret. Slack takes about one message a second."""

    kind: Literal["slack"]
    url_secret: SecretName
    rate_per_s: float | None = Field(1.0, gt=0, le=100)


class Email(Limits):
    """Mail by SMTP, a message each."""

    kind: Literal["email"]
    host: str = Field(min_length=1, max_length=255)
    port: int = Field(587, ge=1, le=65_535)
    tls: Literal["starttls", "tls", "none"] = "starttls"
    sender: str = Field(pattern=r"^[^@\s<>]+@[^@\s<>]+$")
    sender_name: str = Field("", max_length=100, pattern=r"^[^\r\n]*$", description="Shown beside its address.")
    to: list[Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]] = Field(min_length=1, max_length=50)
    user: str | None = None
    password: SecretName | None = None
    at_once: int = Field(2, ge=1, le=16)


class KafkaTopic(Limits):
    """A topic of milepost's own Kafka, which must be there; CloudEvents in binary mode, keyed by container."""

    kind: Literal["kafka"]
    topic: str = Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")


class Folder(Limits):
    """Files in a folder below MILEPOST_DELIVERY_FOLDER; each is whole when it has its name."""

    kind: Literal["folder"]
    folder: Slug
    format: Literal[
        "ndjson", "csv", "parquet", "reverse-etl", "google-customer-match", "linkedin-companies", "meta-custom-audience"
    ] = "ndjson"
    every_s: float = Field(60.0, ge=0.1, description="A file at most so often, of all that waits.")
    rows_max: int = Field(10_000, ge=1, le=100_000)


Destination = Annotated[Webhook | Slack | Email | KafkaTopic | Folder, Field(discriminator="kind")]


class Quiet(Model):
    """Hours in which nothing is sent; what comes then is sent when they end. begin behind end: over midnight; the same
    as end: a whole day. days: on which they begin; every day without."""

    begin: Clock
    end: Clock
    zone: Zone = "UTC"
    days: list[Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]] = Field(
        [], max_length=7
    )

    @model_validator(mode="after")
    def _ends(self, info: ValidationInfo) -> "Quiet":
        if self.begin == self.end and len(set(self.days)) in (0, len(WEEKDAYS)) and is_being_written(info):
            raise ValueError(f"hours from {self.begin} to {self.end} of every day never end; name another end, or days")
        return self


class Digest(Model):
    """What came since the last one, as one message, at these times of the day."""

    at: list[Clock] = Field(min_length=1, max_length=24)
    zone: Zone = "UTC"


class Escalate(Model):
    """Whom to tell when nobody has acknowledged an alert for so long."""

    after_s: int = Field(ge=1, le=30 * DAY_S)
    to: list[Slug] = Field(min_length=1, max_length=10)


class Route(Model):
    """What goes where. milestones, tiers, audiences: names or patterns; with tiers only milestones of these. Of several
    routes to a destination the first that matches counts."""

    name: Slug
    to: list[Slug] = Field(min_length=1, max_length=20)
    milestones: list[Pattern] = Field([], max_length=500)
    tiers: list[Pattern] = Field([], max_length=20)
    audiences: list[Pattern] = Field([], max_length=500)
    cool_down_s: int = Field(
        0, ge=0, le=365 * DAY_S, description="Of a milestone and container one alert at most so often."
    )
    corrections: bool = Field(True, description="Whether an alert that is taken back is told.")
    quiet: Quiet | None = None
    digest: Digest | None = None
    escalate: Escalate | None = None

    @model_validator(mode="after")
    def _matches_something(self) -> "Route":
        if not (self.milestones or self.tiers or self.audiences):
            raise ValueError("milestones, tiers or audiences say what goes here; none does")
        return self

    def takes_milestone(self, name: str, tier: str | None) -> bool:
        """Whether an alert goes this way."""
        named = _matches(name, self.milestones)
        if not self.tiers:
            return named
        return tier is not None and _matches(tier, self.tiers) and (named or not self.milestones)

    def takes_audience(self, name: str) -> bool:
        """Whether a change of the audience does."""
        return _matches(name, self.audiences)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, each) for each in patterns)


class DeliveryFile(Model):
    """One YAML file: destinations by name, and routes in the order in which they are asked."""

    version: Literal[1]
    destinations: dict[Slug, Destination] = Field(max_length=100)
    routes: list[Route] = Field(max_length=500)

    @field_validator("routes")
    @classmethod
    def _names_differ(cls, routes: list[Route]) -> list[Route]:
        names = [route.name for route in routes]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"several routes are called {repeated[0]!r}")
        return routes

    @model_validator(mode="after")
    def _destinations_are_known(self) -> "DeliveryFile":
        for route in self.routes:
            named = [*route.to, *(route.escalate.to if route.escalate else ())]
            if unknown := [name for name in named if name not in self.destinations]:
                known = ", ".join(self.destinations) or "none"
                raise ValueError(
                    f"route {route.name!r} leads to {unknown[0]!r}, which no destination; there are {known}"
                )
        return self
