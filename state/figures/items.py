"""Which items of a dimension an address means: one by name, null for what has none, or all but those in a list, which
is the `more` of what shows these."""

from collections.abc import Callable

Items = str | None | tuple[str | None, ...]


def test_of(items: Items) -> Callable[[str | None], bool]:
    """Whether an item is among those that are meant."""
    if isinstance(items, tuple):
        shown = frozenset(items)
        return lambda item: item not in shown
    return lambda item: item == items
