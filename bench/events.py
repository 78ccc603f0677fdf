"""Events of made-up accounts, in the order in which they arrive, in the two forms in which the product takes them.

A world says everything: the same one gives the same events, whatever reads them. How its events are distributed is what
a scenario varies; what they mean is as with a small company: three quarters are page views, a few lead to deals.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, islice
from random import Random
from typing import Any, NamedTuple

import msgspec

from streams.touchpoint import Scalar, Touchpoint, encode_touchpoint

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
END_MS = 1_788_220_800_000  # 2026-09-01; any whole day does
PIECE = 5_000
GIANT = "giant"
_TYPES = {
    "Page View": 75, "Email Opened": 10, "Lead Form Step 1": 7, "MQL Qualified": 4, "Opportunity Created": 2.5,
    "Closed-Won": 1.5,
}  # fmt: skip
_DEALS = frozenset({"Opportunity Created", "Closed-Won"})
_CONTENT_TYPES = ("blog", "webinar", "case study", "pricing")
_PEOPLE = 3


class World(msgspec.Struct, frozen=True):
    """How many events, of whom, over how long, and how they come.

    zipf: 0 where accounts are alike, else the exponent: account k has a share in proportion to 1/k**zipf.
    days: what the events span. late: the share that comes up to late_ms_max after a later one. content_count: how many
    pages there are. note_bytes: added to an event, half of it noise. giant: touchpoints of one account more.
    """

    events: int = 600_000
    accounts: int = 20_000
    zipf: float = 0.0
    days: float = 1.0
    late: float = 0.0
    late_ms_max: int = HOUR_MS
    content_count: int = 200
    note_bytes: int = 0
    giant: int = 0
    seed: int = 7


def scale_of(world: World, events_max: int) -> int:
    """By what a world must be divided to have at most so many events."""
    return max(1, -(-max(world.events, world.giant) // events_max))


def scaled(world: World, scale: int) -> World:
    """A world that many times smaller, with as many events per account and as many of one page."""
    return msgspec.structs.replace(
        world,
        events=-(-world.events // scale),
        accounts=max(1, world.accounts // scale),
        content_count=max(1, world.content_count // scale),
        giant=world.giant // scale,
    )


class Happened(NamedTuple):
    """One event; event_time in milliseconds."""

    event_id: str
    event_time: int
    account: str
    person: str
    type: str
    content_type: str | None
    content: str | None
    opportunity: str | None
    note: str | None


class SourceEvent(msgspec.Struct, omit_defaults=True):
    """What a source sends, of `docs/formats.md`."""

    event_id: str
    event_time: int
    source: str
    type: str
    account: str
    person: str | None = None
    content_type: str | None = None
    content: str | None = None
    opportunity: str | None = None
    attributes: dict[str, Scalar] | None = None


def account_name(number: int) -> str:
    """The id of an account by its number; as long for the first as for the last."""
    return f"account-{number:07}"


def event_id(number: int) -> str:
    """The id of an event by its number."""
    return f"e{number:08}"


Keyed = tuple[bytes, bytes]
Form = Callable[[Happened], Keyed]
_to_json = msgspec.json.Encoder().encode
_NOT_SAID: dict[str, Any] = dict.fromkeys(
    ("buying_group", "session", "channel", "campaign", "marketing_event", "value", "global_account", "origin")
)


def happened(world: World) -> Iterator[list[Happened]]:
    """The events in pieces; those of the giant come in between, evenly."""
    others = of_others(world)
    if not world.giant:
        yield from others
        return
    share, due, begun = world.giant / max(1, world.events), 0.0, 0
    for piece in others:
        due += len(piece) * share
        yield [*piece, *of_giant(world, begun, int(due))]
        begun = int(due)
    yield list(of_giant(world, begun, world.giant))


def of_others(world: World) -> Iterator[list[Happened]]:
    """The events of all but the giant, in pieces."""
    rng = Random(f"{world.seed} others")
    step_ms = world.days * DAY_MS / max(1, world.events)
    start_ms = END_MS - world.days * DAY_MS
    draw = _account_drawer(world, rng)
    types, weights = tuple(_TYPES), list(accumulate(_TYPES.values()))
    for begin in range(0, world.events, PIECE):
        count = min(PIECE, world.events - begin)
        of_types = rng.choices(types, cum_weights=weights, k=count)
        yield [
            _event(
                world, rng, event_id(number), _time(world, rng, start_ms + number * step_ms), account_name(account),
                type_,
            )
            for number, account, type_ in zip(range(begin, begin + count), draw(count), of_types, strict=True)
        ]  # fmt: skip


def _account_drawer(world: World, rng: Random) -> Callable[[int], Sequence[int]]:
    """Draws the accounts of so many events."""
    everyone = range(world.accounts)
    weights = list(accumulate((number + 1) ** -world.zipf for number in everyone)) if world.zipf else None
    return lambda count: rng.choices(everyone, cum_weights=weights, k=count)


def _time(world: World, rng: Random, time_ms: float) -> int:
    delay_ms = 1 + rng.random() * world.late_ms_max if world.late and rng.random() < world.late else 0
    return int(time_ms - delay_ms)


def of_giant(world: World, begin: int, end: int) -> Iterator[Happened]:
    """The giant's from one number to before another, evenly over the world's days."""
    rng = Random(f"{world.seed} giant {begin}")
    start_ms, step_ms = END_MS - world.days * DAY_MS, world.days * DAY_MS / max(1, world.giant)
    for number in range(begin, end):
        (type_,) = rng.choices(tuple(_TYPES), tuple(_TYPES.values()))
        yield _event(world, rng, f"g{number:08}", int(start_ms + number * step_ms), GIANT, type_)


def _event(world: World, rng: Random, event_id: str, event_time: int, account: str, type_: str) -> Happened:
    content = content_type = None
    if type_ == "Page View":
        page = int(rng.random() * world.content_count)
        content, content_type = f"/page/{page}", _CONTENT_TYPES[page % len(_CONTENT_TYPES)]
    return Happened(
        event_id, event_time, account, f"{account}-p{int(rng.random() * _PEOPLE)}", type_, content_type, content,
        f"{account}-deal" if type_ in _DEALS else None,
        rng.randbytes(world.note_bytes // 2).hex() if world.note_bytes else None,
    )  # fmt: skip


def as_source_event(event: Happened) -> Keyed:
    """(account, JSON), for a source topic."""
    note: dict[str, Scalar] | None = None if event.note is None else {"note": event.note}
    said = _to_json(
        SourceEvent(
            event.event_id, event.event_time, "bench", event.type, event.account, event.person, event.content_type,
            event.content, event.opportunity, note,
        )
    )  # fmt: skip
    return event.account.encode(), b'{"version":1,' + said[1:]


def as_touchpoint(event: Happened) -> Keyed:
    """(account, touchpoint), for the topic of touchpoints."""
    touchpoint = Touchpoint(
        event_id=event.event_id, source="bench", event_time=event.event_time, source_sequence=0, withdrawn=False,
        type=event.type, opportunity=event.opportunity, content_type=event.content_type, person=event.person,
        stream="web", content=event.content, attributes=None if event.note is None else {"note": event.note},
        account=event.account, revision=0, ingest_time=END_MS, **_NOT_SAID,
    )  # fmt: skip
    return event.account.encode(), encode_touchpoint(touchpoint)


def out_of_order_share(world: World, count_max: int) -> float:
    """The share of the first events which a later one of their account was before: what being late comes to."""
    newest: dict[str, int] = {}
    behind = Counter[bool]()
    for event in islice((event for piece in happened(world) for event in piece), count_max):
        before = newest.get(event.account, 0)
        behind[event.event_time < before] += 1
        newest[event.account] = max(before, event.event_time)
    return behind[True] / max(1, behind.total())
