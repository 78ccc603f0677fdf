"""What one container contributes to cells, of an analysis that counts it once or has a gate.

A tally is what the analysis has reported of the container so far: how often, or how much, by cell; nothing of zero. The
container contributes its tally, or where containers are counted 1 for each cell of it; and nothing while the gate is
not open. So when the gate turns, all of the tally comes or goes at once, however long ago it was reported. Where outer
containers have gates too, all must be open.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from state.analyses.gate import Gate
from state.analyses.lens import Cells, Lens
from state.rows import frozen
from streams.partials import decode_cell, encode_cell

Key = TypeVar("Key")
SessionCounter = Callable[[dict[bytes, Any], Cells, Cells], None]


def counted(
    tally: dict[Key, int],
    changes: Mapping[Key, int],
    gate: Gate[Key] | None,
    *,
    distinct: bool,
    was_open: bool = True,
    is_open: bool = True,
) -> dict[Key, int]:
    """Adds changes to a tally, in place, and gives what they change of the contributions.

    The tally has the cells of the gate too, and may be without others that do not change unless a gate may turn. gate:
    None for a container without one of its own. distinct: whether containers are counted. was_open, is_open: whether
    all outer containers let it count, before and now.
    """
    answers = () if gate is None else gate.cells
    turns = was_open != is_open or not changes.keys().isdisjoint(answers)
    cells = [cell for cell in ({**tally, **changes} if turns else changes) if cell not in answers]
    counts = was_open and (gate is None or gate.is_open(tally))
    before = [_shown(tally.get(cell, 0), distinct) if counts else 0 for cell in cells]
    for cell, change in changes.items():
        if amount := tally.pop(cell, 0) + change:
            tally[cell] = amount
    counts = is_open and (gate is None or gate.is_open(tally))
    after = [_shown(tally.get(cell, 0), distinct) if counts else 0 for cell in cells]
    return {cell: new - old for cell, old, new in zip(cells, before, after, strict=True) if new != old}


def _shown(amount: int, distinct: bool) -> int:
    return int(amount > 0) if distinct else amount


# --- of a derived session, whose tally is in its state


def session_counter(lens: Lens) -> SessionCounter | None:
    """The function that adds changes to a session's tally, in place, and what they change of its contributions to a
    sink. None where changes are contributions."""
    if lens.gate is not None:
        return partial(_count_gated, lens.gate.keyed(partial(encode_cell, "")), lens.distinct)
    return _count_once if lens.distinct else None


def _count_once(tally: dict[bytes, int], changes: Cells, sink: Cells) -> None:
    for cell, change in changes.items():
        if change:
            key = encode_cell("", cell)
            before = tally.pop(key, 0)
            if after := before + change:
                tally[key] = after
            if step := (after > 0) - (before > 0):
                sink[cell] = sink.get(cell, 0) + step


def _count_gated(gate: Gate[bytes], distinct: bool, tally: dict[bytes, Any], changes: Cells, sink: Cells) -> None:
    reported = {encode_cell("", cell): change for cell, change in changes.items() if change}
    if not reported:
        return
    kept = {key: int(amount) for key, amount in tally.items()}
    for key, step in counted(kept, reported, gate, distinct=distinct).items():
        cell = frozen(decode_cell(key)[1])
        sink[cell] = sink.get(cell, 0) + step
    tally.clear()
    # Sums of values may be larger than msgpack's integers.
    tally.update((key, str(amount)) for key, amount in kept.items())
