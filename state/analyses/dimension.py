"""The values of a dimension as readers see them."""

from collections.abc import Callable
from typing import Any

from state.conditions import getter_of
from streams.touchpoint import Touchpoint


def item_of(dimension: str) -> Callable[[Touchpoint], str | None]:
    """The function from a touchpoint to its item of the dimension, None where it has no value."""
    get = getter_of(dimension)

    def item(touchpoint: Touchpoint) -> str | None:
        value = get(touchpoint)
        return value if value is None or isinstance(value, str) else text_of(value)

    return item


def text_of(value: Any) -> str:
    """An attribute that is no text, as text: true, false, 5, 2.5."""
    return ("true" if value else "false") if isinstance(value, bool) else repr(value)
