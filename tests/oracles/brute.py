"""Analyses in the most naive way, straight from docs/semantics.md: lists, loops and sets, one container at a time.

A third voice beside the incremental code and the check's SQL; it shares code with neither. Cohorts are in cohort.py.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from state.definitions import AnchorMatch, Flow
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
