"""Audiences in the most naive way, straight from docs/audiences.md: who is in at a moment, by looking at every series
anew."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from state.definitions import Audience, Canvas, Milestone
from state.definitions.audience import (
    AllAudience,
    AnyAudience,
    ArrowFollowed,
    HasTouchpoints,
    InCohort,
    MilestoneReached,
    NotAudience,
    RecentThreshold,
    Wanted,
)
from state.definitions.milestone import NodeReached
from state.definitions.segment import Last
from state.definitions.thresholds import AllThresholds, AnyThreshold, Threshold, Thresholds
from state.matches import Match
from streams.touchpoint import Touchpoint
from tests.oracles.brute import containers_of, holds
from tests.oracles.canvas import arrivals_of, item_of, leads, milliseconds, reach_of
from tests.oracles.milestones import found_by, waits


class Who(NamedTuple):
    """A member."""

    account: str
    id: str | None


def members_of(
    audience: Audience,
    canvases: Sequence[Canvas],
    milestones: Sequence[Milestone],
    arrived: Iterable[Touchpoint],
    clock_ms: int,
) -> set[Who]:
    """Who is in by the clock."""
    kind, touchpoints = audience.container.value, list(arrived)
    asked = _Asking(canvases, milestones, kind, clock_ms)
    found = set()
    for (account, name), series in containers_of(touchpoints, kind).items():
        consents = audience.consent is None or _newest(audience.consent, series)
        if series and consents and asked.holds(audience.wanted, series):
            found.add(Who(account, None if kind == "account" else name))
    return found


def attributes_of(audience: Audience, arrived: Iterable[Touchpoint]) -> dict[Who, dict[str, str]]:
    """What members bring along: of each field that is an attribute or text the newest value, as text."""
    kind = audience.container.value
    found: dict[Who, dict[str, str]] = {}
    for (account, name), series in containers_of(list(arrived), kind).items():
        mine = found.setdefault(Who(account, None if kind == "account" else name), {})
        for touchpoint in series:
            values = ((key, item_of(touchpoint, field)) for key, field in audience.attributes.items())
            mine.update({key: value for key, value in values if value is not None})
    return found


_COMPARE: dict[str, Any] = {
    ">=": lambda a, b: a >= b, ">": lambda a, b: a > b, "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b, "<=": lambda a, b: a <= b, "<": lambda a, b: a < b,
}  # fmt: skip


class _Asking:
    def __init__(self, canvases: Sequence[Canvas], milestones: Sequence[Milestone], kind: str, clock_ms: int) -> None:
        self._canvases = {each.name: each for each in canvases}
        self._milestones = {each.name: each for each in milestones}
        self._kind = kind
        self._clock_ms = clock_ms

    def holds(self, wanted: Wanted, series: Sequence[Touchpoint]) -> bool:
        match wanted:
            case AllAudience():
                return all(self.holds(part, series) for part in wanted.all)
            case AnyAudience():
                return any(self.holds(part, series) for part in wanted.any)
            case NotAudience():
                return not self.holds(wanted.not_, series)
            case HasTouchpoints():
                return self._has(wanted.has, series)
            case Last():
                return _newest(wanted.last, series)
            case NodeReached():
                return wanted.node in reach_of(self._canvases[wanted.canvas], series)
            case ArrowFollowed():
                return self._arrow(wanted, series)
            case InCohort():
                return _in_cohort(wanted, series)
            case MilestoneReached():
                return self._milestone(wanted, series)

    def _has(self, threshold: RecentThreshold, series: Sequence[Touchpoint]) -> bool:
        mine = [each for each in series if holds(threshold.match, each)]
        if threshold.within is not None and mine:
            now = max(self._clock_ms, mine[-1].event_time)
            mine = [each for each in mine if each.event_time >= now - milliseconds(threshold.within)]
        return _is_right(threshold, mine)

    def _arrow(self, wanted: ArrowFollowed, series: Sequence[Touchpoint]) -> bool:
        canvas = self._canvases[wanted.canvas]
        ends = wanted.arrow.from_, wanted.arrow.to
        arrow = next(each for each in canvas.arrows if (each.from_, each.to) == ends)
        target = next(node.match for node in canvas.nodes if node.id == arrow.to)
        origins = arrivals_of(canvas, series)[arrow.from_]
        followed = [
            p
            for p, each in enumerate(series)
            if holds(target, each) and any(leads(arrow, series, q, p) for q in origins)
        ]
        if wanted.followed:
            return bool(followed)
        if not origins:
            return False
        if wanted.within is None:
            return not followed
        over = series[origins[0]].event_time + milliseconds(wanted.within)
        return over <= self._clock_ms and not any(series[p].event_time <= over for p in followed)

    def _milestone(self, wanted: MilestoneReached, series: Sequence[Touchpoint]) -> bool:
        milestone = self._milestones[wanted.milestone]
        moments = [each.happened_ms for each in found_by(milestone, list(self._canvases.values()), series)]
        now = self._clock_ms
        if waits(milestone):
            moments = [moment for moment in moments if moment <= now]
        elif moments:
            now = max(now, *moments)
        within = None if wanted.within is None else milliseconds(wanted.within)
        return any(within is None or moment >= now - within for moment in moments)


def _newest(match: Match, series: Sequence[Touchpoint]) -> bool:
    """The comparison holds for the last touchpoint that has the field; of the field's absence where none has."""
    there = Match.model_validate({"field": match.field, "op": "exists"})
    having = [each for each in series if holds(there, each)]
    if having:
        return holds(match, having[-1])
    return match.op in ("!=", "not-in") or (match.op == "exists" and match.value is False)


def _is_right(threshold: Threshold, mine: Sequence[Touchpoint]) -> bool:
    if threshold.metric == "count":
        return bool(_COMPARE[threshold.op](len(mine), threshold.number))
    total = sum(each.value or 0 for each in mine)
    return bool(_COMPARE[threshold.op](total, round(threshold.number * 1_000_000)))


def _in_cohort(wanted: InCohort, series: Sequence[Touchpoint]) -> bool:
    """UTC, weeks from Monday."""
    row = wanted.row
    assert row is not None
    buckets: dict[date, list[Touchpoint]] = {}
    for each in series:
        day = datetime.fromtimestamp(each.event_time / 1000, UTC).date()
        buckets.setdefault(_bucket(row.granularity, day), []).append(each)
    included = [bucket for bucket in sorted(buckets) if _all_hold(row.inclusion, buckets[bucket])]
    if row.include == "first":
        included = included[:1]
    year, _, rest = wanted.period.partition("-")
    month, _, day_text = rest.partition("-")
    asked = _bucket(row.granularity, date(int(year), int(month or 1), int(day_text or 1)))
    if asked not in included:
        return False
    if not wanted.returned:
        assert wanted.returned is None, "column 0 has rules of its own"
        return True
    later = asked
    for _ in range(wanted.returned):
        later = _next(row.granularity, later)
    return later in buckets and _all_hold(row.return_, buckets[later])


def _all_hold(thresholds: Thresholds, mine: Sequence[Touchpoint]) -> bool:
    match thresholds:
        case AllThresholds():
            return all(_all_hold(part, mine) for part in thresholds.all)
        case AnyThreshold():
            return any(_all_hold(part, mine) for part in thresholds.any)
        case Threshold():
            return _is_right(thresholds, [each for each in mine if holds(thresholds.match, each)])


def _bucket(granularity: str, day: date) -> date:
    match granularity:
        case "day":
            return day
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "quarter":
            return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
        case _:
            return day.replace(month=1, day=1)


def _next(granularity: str, first: date) -> date:
    step = {"day": 1, "week": 7, "month": 31, "quarter": 93, "year": 366}[granularity]
    return _bucket(granularity, first + timedelta(days=step))
