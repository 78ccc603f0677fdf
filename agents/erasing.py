"""Erasing a container: each of its touchpoints is withdrawn, by an event like any other.

The law: what is erased is out of every number, audience and story when the workers have taken these events, and is told
as any other change. A touchpoint is the container's when the newest version of it says so.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Literal

from agents.reading import read_topic
from agents.sending import Outgoing, send_all
from agents.settings import Settings
from streams.errors import UsageError
from streams.shown import shown
from streams.topics import topic_name
from streams.touchpoint import Touchpoint, decode_touchpoint, version_of

Kind = Literal["account", "opportunity", "group", "person"]
PATIENCE_S = 30.0
REVISION_MAX = 2**63 - 1
_FIELD_BY_KIND: dict[Kind, str] = {
    "account": "account", "opportunity": "opportunity", "group": "buying_group", "person": "person"
}  # fmt: skip
_Id = tuple[str, str, str]  # account, source, event_id


def touchpoints_of(bootstrap: str, settings: Settings, kind: Kind, id_: str, account: str | None) -> list[Touchpoint]:
    """Those that are the container's and not erased, in no order; of all accounts, or one. What its source took back
    is among them, for that may say all that the event said.

    Reads `touchpoints` twice, so that only its ids are held. Raises UnavailableError when the topic can not be read.
    """
    field = _FIELD_BY_KIND[kind]

    def is_its(touchpoint: Touchpoint) -> bool:
        return getattr(touchpoint, field) == id_ and account in (None, touchpoint.account)

    once = {_id_of(each) for each in _all(bootstrap, settings) if is_its(each)}
    newest: dict[_Id, Touchpoint] = {}
    for touchpoint in _all(bootstrap, settings) if once else ():
        if (known_as := _id_of(touchpoint)) in once:
            was = newest.get(known_as)
            if was is None or version_of(touchpoint) > version_of(was):
                newest[known_as] = touchpoint
    return [each for each in newest.values() if is_its(each) and not (each.withdrawn and each.revision == REVISION_MAX)]


def withdraw(bootstrap: str, settings: Settings, touchpoints: Sequence[Touchpoint]) -> None:
    """Sends an event that takes it back for ever for each of them, to the source that it came by. When it returns,
    Kafka has all; raises UnavailableError otherwise, and then it may be done again. Raises UsageError, when the others
    are sent, where a source says the greatest revision that there is, for none is greater."""

    def topic(of: Touchpoint) -> str:
        return topic_name(f"{of.stream}-events", settings.prefix, settings.generation)

    wanted = [each for each in touchpoints if each.revision < REVISION_MAX]
    send_all(bootstrap, (Outgoing(topic(each), each.account.encode(), _withdrawal(each)) for each in wanted))
    if beyond := [each for each in touchpoints if each.revision >= REVISION_MAX]:
        raise UsageError(
            f"{shown(beyond[0].source, 100)} has said {shown(beyond[0].event_id, 100)} with revision {REVISION_MAX},"
            " the greatest; only its source can take that back"
        )


def _all(bootstrap: str, settings: Settings) -> Iterator[Touchpoint]:
    topic = topic_name("touchpoints", settings.prefix, settings.generation)
    for record in read_topic(bootstrap, topic, patience_s=PATIENCE_S):
        yield decode_touchpoint(record.value or b"")


def _id_of(touchpoint: Touchpoint) -> _Id:
    return touchpoint.account, touchpoint.source, touchpoint.event_id


def _withdrawal(touchpoint: Touchpoint) -> bytes:
    """Nothing of the touchpoint but what an event must have."""
    event = {
        "version": 1,
        "event_id": touchpoint.event_id,
        "event_time": touchpoint.event_time,
        "source": touchpoint.source,
        "type": touchpoint.type,
        "account": touchpoint.account,
        "revision": REVISION_MAX,  # the source's next one must not bring it back
        "operation": "withdraw",
    }
    return json.dumps(event).encode()
