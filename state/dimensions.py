"""The items of a dimension, as every analysis shows them."""

from collections.abc import Callable

from state.conditions import getter_of
from streams.touchpoint import Touchpoint


def item_getter_of(dimension: str) -> Callable[[Touchpoint], str | None]:
    """The function from a touchpoint to its item as text: booleans in small letters, numbers as Python writes them.
    None where the touchpoint has none."""
    get = getter_of(dimension)

    def item(touchpoint: Touchpoint) -> str | None:
        found = get(touchpoint)
        if found is None or isinstance(found, str):
            return found
        return ("true" if found else "false") if isinstance(found, bool) else repr(found)

    return item
