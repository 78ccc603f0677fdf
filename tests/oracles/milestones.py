"""Milestones in the most naive way, straight from docs/milestones.md: what each container claims, by trying every
position of its series."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from state.definitions import Canvas, Milestone
from state.definitions.milestone import (
    Amount,
    ArrowNotFollowed,
    Happens,
    Missing,
    NodeReached,
    Score,
    Unchanged,
)
from streams.touchpoint import Touchpoint
from tests.oracles.brute import containers_of, holds
from tests.oracles.canvas import arrivals_of, item_of, leads, milliseconds, reach_of


class Found(NamedTuple):
    """A milestone of one container. episode: source/event_id of what began it, None where it is told once."""

    account: str
    id: str | None
    episode: str | None
    happened_ms: int


def found_by(milestone: Milestone, canvases: Sequence[Canvas], arrived: Iterable[Touchpoint]) -> set[Found]:
    """Everything that happened or, where time alone brings it about, will have happened if nothing more comes."""
    kind = milestone.container.value
    found = set()
    for (account, name), series in containers_of(arrived, kind).items():
        happened = _happenings(milestone, canvases, series)
        for began, moment in happened if milestone.each else happened[:1]:
            episode = f"{began.source}/{began.event_id}" if milestone.each else None
            found.add(Found(account, None if kind == "account" else name, episode, moment))
    return found


def waits(milestone: Milestone) -> bool:
    """Whether time alone brings it about."""
    return isinstance(milestone.when, ArrowNotFollowed | Missing | Unchanged)


Happening = tuple[Touchpoint, int]


def _happenings(milestone: Milestone, canvases: Sequence[Canvas], series: Sequence[Touchpoint]) -> list[Happening]:
    """What began it and when it happened, in order."""
    when = milestone.when
    match when:
        case Happens():
            return [(each, each.event_time) for each in series if holds(when.match, each)]
        case Amount() | Score():
            return _crossings(when, series)
        case NodeReached():
            canvas = next(each for each in canvases if each.name == when.canvas)
            at = reach_of(canvas, series).get(when.node)
            return [] if at is None else [(series[at], series[at].event_time)]
        case ArrowNotFollowed():
            canvas = next(each for each in canvases if each.name == when.canvas)
            return _not_followed(when, canvas, series)
        case Missing():
            return _missing(when, series)
        case Unchanged():
            return _unchanged(when, series)


def _crossings(when: Amount | Score, series: Sequence[Touchpoint]) -> list[Happening]:
    def amount(each: Touchpoint) -> int:
        if isinstance(when, Score):
            return sum(rule.points for rule in when.points if holds(rule.match, each))
        if not holds(when.match, each):
            return 0
        return 1 if when.metric == "count" else each.value or 0

    needed = round(when.at_least * 1_000_000) if isinstance(when, Amount) and when.metric == "value" else when.at_least
    found = []
    for p, each in enumerate(series):
        start = -(10**18) if when.within is None else each.event_time - milliseconds(when.within)
        before = sum(amount(other) for other in series[:p] if other.event_time >= start)
        if before < needed <= before + amount(each):
            found.append((each, each.event_time))
    return found


def _not_followed(when: ArrowNotFollowed, canvas: Canvas, series: Sequence[Touchpoint]) -> list[Happening]:
    arrow = next(each for each in canvas.arrows if (each.from_, each.to) == (when.arrow.from_, when.arrow.to))
    target = next(node.match for node in canvas.nodes if node.id == arrow.to)
    origins = arrivals_of(canvas, series)[arrow.from_]
    if not origins:
        return []
    over = series[origins[0]].event_time + milliseconds(when.within)
    in_time = [p for p, each in enumerate(series) if holds(target, each) and each.event_time <= over]
    if any(leads(arrow, series, q, p) for q in origins for p in in_time):
        return []
    return [(series[origins[0]], over)]


def _missing(when: Missing, series: Sequence[Touchpoint]) -> list[Happening]:
    found, p = [], 0
    while p < len(series):
        if not holds(when.after, series[p]):
            p += 1
            continue
        over = series[p].event_time + milliseconds(when.within)
        behind = [q for q in range(p + 1, len(series)) if series[q].event_time <= over]
        followed = [q for q in behind if holds(when.without, series[q])]
        if followed:
            p = followed[0]  # which may be a beginning itself
        else:
            found.append((series[p], over))
            p = (behind or [p])[-1] + 1
    return found


def _unchanged(when: Unchanged, series: Sequence[Touchpoint]) -> list[Happening]:
    having = [(each, item) for each in series if (item := item_of(each, when.field)) is not None]
    starts = [n for n in range(len(having)) if n == 0 or having[n - 1][1] != having[n][1]]
    found = []
    for n, start in enumerate(starts):
        began, item = having[start]
        over = began.event_time + milliseconds(when.for_)
        end = having[starts[n + 1]][0].event_time if n + 1 < len(starts) else None
        is_wanted = (when.only is None or item in when.only) and (when.except_ is None or item not in when.except_)
        if is_wanted and (end is None or end > over):
            found.append((began, over))
    return found
