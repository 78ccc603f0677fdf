"""Percentages as bodies have them: two decimals, rounded half up, null where there is nothing to divide by."""


def share(part: int, whole: int) -> float | None:
    """Percent of `whole`, in integers until the last division."""
    return None if whole == 0 else ((20_000 * part + whole) // (2 * whole)) / 100
