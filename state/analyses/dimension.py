"""The values of a dimension as readers see them."""

from collections.abc import Callable

from state.conditions import getter_of
from streams.touchpoint import Touchpoint


def item_of(dimension: str) -> Callable[[Touchpoint], str | None]:
    """The function from a touchpoint to its item of the dimension as text (true, false, 5, 2.5), None without one."""
    get = getter_of(dimension)
    if not dimension.startswith("attributes."):
        return get  # what is no attribute is text

    def item(touchpoint: Touchpoint) -> str | None:
        value = get(touchpoint)
        if value is None or isinstance(value, str):
            return value
        return ("true" if value else "false") if isinstance(value, bool) else repr(value)

    return item
