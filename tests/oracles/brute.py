"""Analyses in the most naive way, straight from docs/semantics.md: lists, loops and sets, one container at a time.

A third voice beside the incremental code and the check's SQL; it shares code with neither.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from state.definitions import (
    AllThresholds,
    AnchorMatch,
    AnyThreshold,
    Canvas,
    Cohort,
    Flow,
    Threshold,
)
from state.matches import All, Any_, Match, Not
from streams.touchpoint import Touchpoint, order_of, version_of
from tests.oracles.flow_steps import admits, has_filters, walks_of

SESSION_GAP_MS = 30 * 60 * 1000
Series = dict[Any, list[Touchpoint]]
Cells = dict[tuple[Any, ...], int]
LocalDay = Callable[[int], int]


# --- what counts, and in which order ---------------------------------------------------------------------------------


def surviving(touchpoints: Iterable[Touchpoint]) -> list[Touchpoint]:
    """One touchpoint per (account, source, event_id), the one of the greatest version; none that is withdrawn."""
    best: dict[tuple[str, str, str], Touchpoint] = {}
    for touchpoint in touchpoints:
        identity = (touchpoint.account, touchpoint.source, touchpoint.event_id)
        if identity not in best or version_of(touchpoint) > version_of(best[identity]):
            best[identity] = touchpoint
    return [touchpoint for touchpoint in best.values() if not touchpoint.withdrawn]


def containers_of(touchpoints: Iterable[Touchpoint], kind: str) -> Series:
    """The series of every container of a kind, by a key that tells containers apart; each in order."""
    ordered = sorted(surviving(touchpoints), key=order_of)
    if kind == "session":
        return _sessions(ordered)
    series: Series = {}
    for touchpoint in ordered:
        name = getattr(touchpoint, kind)
        if name is not None:
            series.setdefault((touchpoint.account, name), []).append(touchpoint)
    return series


def _sessions(ordered: list[Touchpoint]) -> Series:
    series: Series = {}
    walks: Series = {}
    for touchpoint in ordered:
        if touchpoint.session is not None:
            series.setdefault(("given", touchpoint.account, touchpoint.session), []).append(touchpoint)
        elif touchpoint.stream == "web" and touchpoint.person is not None:
            walks.setdefault((touchpoint.account, touchpoint.person), []).append(touchpoint)
    for (account, person), walk in walks.items():
        number = 0
        for i in range(len(walk)):
            if i > 0 and walk[i].event_time - walk[i - 1].event_time > SESSION_GAP_MS:
                number += 1
            series.setdefault(("derived", account, person, number), []).append(walk[i])
    return series


# --- conditions ------------------------------------------------------------------------------------------------------


def field_of(touchpoint: Touchpoint, field: str) -> Any:
    """The field or attribute, None when it is absent."""
    if field.startswith("attributes."):
        return (touchpoint.attributes or {}).get(field.removeprefix("attributes."))
    return getattr(touchpoint, field)


def holds(condition: Any, touchpoint: Touchpoint) -> bool:
    """Whether a touchpoint fulfils a condition."""
    if isinstance(condition, All):
        return all(holds(each, touchpoint) for each in condition.all)
    if isinstance(condition, Any_):
        return any(holds(each, touchpoint) for each in condition.any)
    if isinstance(condition, Not):
        return not holds(condition.not_, touchpoint)
    return _matches(condition, field_of(touchpoint, condition.field))


def _matches(match: Match, found: Any) -> bool:
    literals: list[Any] = [*match.value] if isinstance(match.value, list) else [match.value]
    if match.field == "value":
        literals = [Decimal(str(each)) * 1_000_000 for each in literals if each is not None]
    op = str(match.op)
    if op == "exists":
        return (found is not None) == (match.value is not False)
    if op in ("!=", "not-in"):
        return not any(_same(found, each) for each in literals)
    if found is None:
        return False
    if op in ("=", "in"):
        return any(_same(found, each) for each in literals)
    wanted = literals[0]
    if op in ("contains", "starts-with", "matches"):
        if not isinstance(found, str):
            return False
        if op == "contains":
            return wanted in found
        if op == "starts-with":
            return found.startswith(wanted)
        return re.search(wanted, found, re.ASCII) is not None
    if kind_of(found) != "number":
        return False
    return bool({">": found > wanted, ">=": found >= wanted, "<": found < wanted, "<=": found <= wanted}[op])


def _same(found: Any, wanted: Any) -> bool:
    return kind_of(found) == kind_of(wanted) and bool(found == wanted)


def kind_of(scalar: Any) -> str:
    """Only values of one kind are ever equal: absent, boolean, text or number."""
    if scalar is None:
        return "absent"
    if isinstance(scalar, bool):
        return "boolean"
    return "text" if isinstance(scalar, str) else "number"


# --- canvas ----------------------------------------------------------------------------------------------------------


def canvas_cells(analysis: Canvas, series_by_container: Series, local_day_of: LocalDay) -> Cells:
    """The canvas' cells over all containers; reach by trying every path of matching positions."""
    cells: Counter[tuple[Any, ...]] = Counter()
    for series in series_by_container.values():
        cells.update(_canvas_of_one(analysis, series, local_day_of(series[0].event_time)))
    return {cell: count for cell, count in cells.items() if count != 0}


def reach_of(analysis: Canvas, series: Sequence[Touchpoint]) -> dict[str, int]:
    """Per reached node the least last position over all paths from a start node, one touchpoint after the other."""
    matching = {n.id: [p for p, each in enumerate(series) if holds(n.match, each)] for n in analysis.nodes}
    children = {n.id: [arrow.to for arrow in analysis.arrows if arrow.from_ == n.id] for n in analysis.nodes}
    ends: set[tuple[str, int]] = set()
    walking = [(n.id, p) for n in analysis.nodes if not analysis.parents(n.id) for p in matching[n.id]]
    while walking:
        node, position = walking.pop()
        if (node, position) in ends:
            continue
        ends.add((node, position))
        walking.extend((child, p) for child in children[node] for p in matching[child] if p > position)
    return {node: min(p for n, p in ends if n == node) for node in {n for n, _ in ends}}


def _canvas_of_one(analysis: Canvas, series: Sequence[Touchpoint], day: int) -> Counter[tuple[Any, ...]]:
    reach = reach_of(analysis, series)
    cells: Counter[tuple[Any, ...]] = Counter({("t", day): 1})
    followed = set()
    match_by_id = {node.id: node.match for node in analysis.nodes}
    for a, arrow in enumerate(analysis.arrows):
        if arrow.from_ in reach and any(
            holds(match_by_id[arrow.to], each) for each in series[reach[arrow.from_] + 1 :]
        ):
            cells["a", a, day] = 1
            followed.add(arrow.from_)
    for n, node in enumerate(analysis.nodes):
        parents = analysis.parents(node.id)
        if len(parents) >= 2 and any(parent in reach for parent in parents):
            cells["p", n, day] = 1
        if node.id not in reach:
            continue
        cells["n", n, day] = 1
        if node.id in followed:
            cells["f", n, day] = 1
        counted = [each for each in series[reach[node.id] :] if holds(node.match, each)]
        if analysis.metric == "events":
            cells["e", n, day] = len(counted)
        if analysis.metric == "value":
            cells["v", n, day] = sum(each.value or 0 for each in counted)
    return cells


# --- cohort ----------------------------------------------------------------------------------------------------------


def bucket_of(day: int, granularity: str, week_start: str) -> int:
    """The calendar period that a local day belongs to."""
    that = date(1970, 1, 1) + timedelta(days=day)
    if granularity == "day":
        return day
    if granularity == "week":
        names = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
        first = next(d for d in range(7) if (date(1970, 1, 1) + timedelta(days=d)).weekday() == names.index(week_start))
        return (day - first) // 7
    if granularity == "month":
        return (that.year - 1970) * 12 + that.month - 1
    if granularity == "quarter":
        return (that.year - 1970) * 4 + (that.month - 1) // 3
    return that.year - 1970


def cohort_cells(
    analysis: Cohort, series_by_container: Series, local_day_of: LocalDay, week_start: str = "monday"
) -> Cells:
    """The cohort's cells over all containers."""
    cells: Counter[tuple[Any, ...]] = Counter()
    for series in series_by_container.values():
        buckets: dict[int, list[Touchpoint]] = {}
        for touchpoint in series:
            day = local_day_of(touchpoint.event_time)
            buckets.setdefault(bucket_of(day, analysis.granularity, week_start), []).append(touchpoint)
        included = sorted(b for b, inside in buckets.items() if thresholds_hold(analysis.inclusion, inside))
        if analysis.include == "first":
            included = included[:1]
        for bucket in included:
            cells["i", bucket] += 1
            for k in range(analysis.period_count + 1):
                if bucket + k in buckets and _returned(analysis, buckets[bucket + k], k):
                    cells["r", bucket, k] += 1
    return dict(cells)


def _returned(analysis: Cohort, inside: list[Touchpoint], k: int) -> bool:
    if k == 0 and not can_revert(analysis.inclusion):
        became = next(p for p in range(len(inside)) if thresholds_hold(analysis.inclusion, inside[: p + 1]))
        inside = inside[became + 1 :]
    return thresholds_hold(analysis.return_, inside)


def can_revert(thresholds: Any) -> bool:
    """Whether one more event could make thresholds that hold fail."""
    if isinstance(thresholds, Threshold):
        return not (thresholds.metric == "count" and thresholds.op in (">=", ">"))
    inner = thresholds.all if isinstance(thresholds, AllThresholds) else thresholds.any
    return any(can_revert(each) for each in inner)


def thresholds_hold(thresholds: Any, inside: Sequence[Touchpoint]) -> bool:
    """Whether the thresholds hold over these touchpoints."""
    if isinstance(thresholds, AllThresholds):
        return all(thresholds_hold(each, inside) for each in thresholds.all)
    if isinstance(thresholds, AnyThreshold):
        return any(thresholds_hold(each, inside) for each in thresholds.any)
    matching = [each for each in inside if holds(thresholds.match, each)]
    found, wanted = len(matching), Decimal(str(thresholds.number))
    if thresholds.metric == "value":
        found, wanted = sum(each.value or 0 for each in matching), wanted * 1_000_000
    return {
        ">=": found >= wanted,
        ">": found > wanted,
        "=": found == wanted,
        "!=": found != wanted,
        "<=": found <= wanted,
        "<": found < wanted,
    }[thresholds.op]


# --- flow ------------------------------------------------------------------------------------------------------------


def dimension_text(found: Any) -> str | None:
    """A dimension's value as flows show it."""
    if found is None or isinstance(found, str):
        return found
    if isinstance(found, bool):
        return "true" if found else "false"
    return repr(found)


def flow_cells(analysis: Flow, series_by_container: Series, local_day_of: LocalDay) -> Cells:
    """The flow's cells over all containers."""
    cells: Counter[tuple[Any, ...]] = Counter()
    for series in series_by_container.values():
        paths = paths_of(analysis, series)
        if analysis.count == "occurrences":
            cells.update(("o", local_day_of(at.event_time), back, fore) for at, back, fore in paths)
            continue
        if has_filters(analysis) and paths:
            cells["t",] += 1
        admitted = [(back, fore) for _, back, fore in paths if admits(analysis, back, fore)]
        cells.update({cell for back, fore in admitted for cell in _container_cells(analysis, back, fore)})
    return dict(cells)


Path = tuple[Touchpoint, tuple[str, ...], tuple[str | None, ...]]


def lengths_of(analysis: Flow) -> tuple[int, int]:
    """How many columns lie before the anchor, and how many from the anchor on."""
    if analysis.ends_with is not None:
        return analysis.columns - 1, 1
    if analysis.contains is not None:
        back = (analysis.columns - 1) // 2
        return back, analysis.columns - back
    return 0, analysis.columns


def paths_of(analysis: Flow, series: Sequence[Touchpoint]) -> list[Path]:
    """(anchor touchpoint, values before it outward, anchor and values after it) of every path of one container."""
    back_max, fore_max = lengths_of(analysis)
    spots = _spots(analysis, series, analysis.dimension)
    anchor = analysis.starts_with or analysis.ends_with or analysis.contains
    paths: list[Path] = []
    for p, touchpoint in enumerate(series):
        is_first = all(spot >= p for spot, _ in spots)
        here = [value for spot, value in spots if spot == p]
        start: list[Any]
        if isinstance(anchor, AnchorMatch):
            start = [None] if holds(anchor.match, touchpoint) else []
        elif anchor is None:
            start = here if is_first else []
        else:
            start = [value for value in here if value == anchor]
        if start:
            back, fore = walks_of(analysis, lambda d: _spots(analysis, series, d), p, back_max, fore_max)
            paths.append((touchpoint, tuple(back), (*start, *fore)))
    if analysis.limit == "first":
        return paths[:1]
    if analysis.limit == "last":
        return paths[-1:]
    return paths


def _spots(analysis: Flow, series: Sequence[Touchpoint], dimension: str) -> list[tuple[int, str]]:
    spots: list[tuple[int, str]] = []
    for p, touchpoint in enumerate(series):
        value = dimension_text(field_of(touchpoint, dimension))
        if value is None:
            continue
        if analysis.include_repeats or not spots or spots[-1][1] != value:
            spots.append((p, value))
    return spots


def _container_cells(analysis: Flow, back: tuple[str, ...], fore: tuple[str | None, ...]) -> set[tuple[Any, ...]]:
    back_max, fore_max = lengths_of(analysis)
    onward = list(enumerate(fore))
    backward = [(0, fore[0]), *((-1 - i, value) for i, value in enumerate(back))]
    cells: set[tuple[Any, ...]] = {("n", step, value) for step, value in [*onward, *backward]}
    for way in (onward, backward):
        cells.update(("l", *way[i], *way[i + 1]) for i in range(len(way) - 1))
    if len(fore) < fore_max:
        cells.add(("x", *onward[-1], 1))
    if len(back) < back_max:
        cells.add(("x", *backward[-1], -1))
    return cells
