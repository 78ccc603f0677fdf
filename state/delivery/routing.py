"""Where a message goes, and when: what routes say."""

from typing import NamedTuple

from state.delivery.clock import digest_due, quiet_until
from state.delivery.configuration import WEEKDAYS, Escalate, Route
from state.delivery.message import Message
from state.delivery.rows import Kind, cooling_key


class Way(NamedTuple):
    """Where a message goes, and when; it is deferred when due_ms is behind the time at which it was said."""

    destination: str
    route: Route
    kind: Kind
    due_ms: int
    digest: bool = False


def goes(message: Message, route: Route) -> bool:
    """Whether the message goes the route."""
    if message.is_alert:
        return route.takes_milestone(message.name, message.tier)
    return route.takes_audience(message.name)


def way_of(message: Message, to: str, route: Route, said_ms: int) -> Way:
    """The way that a route has to one of its destinations, for what was said at an instant."""
    kind: Kind = "alert" if message.is_alert else "change"
    return Way(to, route, kind, _due(route, said_ms), digest=route.digest is not None)


def _due(route: Route, at_ms: int) -> int:
    """When what comes at an instant is sent: at once or at the next digest, or when quiet hours end that are then."""
    return _loud(route, at_ms if route.digest is None else digest_due(route.digest, at_ms))


def _loud(route: Route, at_ms: int) -> int:
    """The instant, or the end of the quiet hours in which it lies, and of those that begin as they end."""
    if route.quiet is None:
        return at_ms
    for _ in WEEKDAYS:  # one that never ends, as a former file may have it, holds for a week
        end_ms = quiet_until(route.quiet, at_ms)
        if end_ms is None:
            return at_ms
        at_ms = end_ms
    return at_ms


def escalation_due(message: Message, route: Route, escalate: Escalate, said_ms: int) -> int:
    """Counted from when the alert is sent, for nobody can acknowledge it before; in no quiet hours. A correction is
    sent as soon as they allow it."""
    if not message.is_there:
        return _loud(route, said_ms)
    return _loud(route, _due(route, said_ms) + escalate.after_s * 1000)


def way_name(route: Route, to: str) -> str:
    """What a way is called from file to file."""
    return f"{route.name}/{to}"


def cooling_of(message: Message, way: Way) -> bytes:
    """The row that says when a container was last told of a milestone, on a way."""
    return cooling_key(f"{way.route.name}/{way.destination}", message.name, message.lane)
