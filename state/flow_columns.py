"""What the columns of a flow say of its paths: their dimensions, and which paths their filters admit."""

from collections.abc import Callable, Sequence

from state.definitions import Flow

Admits = Callable[[Sequence[str], Sequence[str | None]], bool]


def lengths_of(flow: Flow) -> tuple[int, int]:
    """How many columns lie before the anchor, and how many from the anchor on."""
    return -flow.first_step, flow.last_step + 1


def dimension_by_step(flow: Flow) -> dict[int, str]:
    """The dimensions of the columns that have one of their own."""
    return {step.step: step.dimension for step in flow.steps or () if step.dimension is not None}


def admission_of(flow: Flow) -> Admits | None:
    """Whether a path counts: (values before the anchor, nearest first; values from it on). None without filters."""
    filters = [
        (step.step, frozenset(items), items is step.only)
        for step in flow.steps or ()
        if (items := step.only or step.except_) is not None
    ]
    if not filters:
        return None

    def admits(back: Sequence[str], fore: Sequence[str | None]) -> bool:
        return all((item_at(back, fore, step) in items) is wanted for step, items, wanted in filters)

    return admits


def item_at(back: Sequence[str], fore: Sequence[str | None], step: int) -> str | None:
    """A path's item in a column; None where the path does not get there."""
    side, place = (fore, step) if step >= 0 else (back, -step - 1)
    return side[place] if place < len(side) else None
