"""The columns of a flow, naively: from where a path stands, the nearest touchpoint of the column's series."""

from collections.abc import Callable, Sequence

from state.definitions import Flow

Spots = list[tuple[int, str]]  # position in the container's series, value


def walks_of(
    analysis: Flow, spots_of: Callable[[str], Spots], anchor: int, back_max: int, fore_max: int
) -> tuple[list[str], list[str]]:
    """The values before the anchor's position, outward, and those behind it."""
    own = {each.step: each.dimension for each in analysis.steps or [] if each.dimension}
    back: list[str] = []
    at = anchor
    for step in range(1, back_max + 1):
        nearer = [(p, value) for p, value in spots_of(own.get(-step, analysis.dimension)) if p < at]
        if not nearer:
            break
        at, value = max(nearer)
        back.append(value)
    fore: list[str] = []
    at = anchor
    for step in range(1, fore_max):
        later = [(p, value) for p, value in spots_of(own.get(step, analysis.dimension)) if p > at]
        if not later:
            break
        at, value = min(later)
        fore.append(value)
    return back, fore


def has_filters(analysis: Flow) -> bool:
    """Whether a column has a filter."""
    return any(each.only is not None or each.except_ is not None for each in analysis.steps or [])


def admits(analysis: Flow, back: Sequence[str], fore: Sequence[str | None]) -> bool:
    """Whether every filter lets the path count."""
    path = dict(enumerate(fore)) | {-1 - n: value for n, value in enumerate(back)}
    for each in analysis.steps or []:
        if each.only is not None and path.get(each.step) not in each.only:
            return False
        if each.except_ is not None and path.get(each.step) in each.except_:
            return False
    return True
