"""The values of a dimension, or of any field, as readers see them."""

from collections.abc import Callable
from hashlib import sha256

from state.conditions import getter_of
from state.matches import NUMBER_FIELDS
from state.render.amounts import decimal_text
from streams.touchpoint import Scalar, Touchpoint

ITEM_CHARACTERS_MAX, _CUT_CHARACTERS = 2_048, 2_000
"""Of an attribute's text, which may fill an event: an analysis keeps items of many touchpoints in one row. A longer one
is its beginning and a hash, so that different ones stay different."""


def item_of(dimension: str) -> Callable[[Touchpoint], str | None]:
    """The function from a touchpoint to its item of the dimension as text (true, false, 5, 2.5), None without one; of
    at most ITEM_CHARACTERS_MAX."""
    get = getter_of(dimension)
    if not dimension.startswith("attributes."):
        return get  # what is no attribute is text

    def item(touchpoint: Touchpoint) -> str | None:
        value = get(touchpoint)
        if value is None:
            return None
        if isinstance(value, str):
            return value if len(value) <= ITEM_CHARACTERS_MAX else _cut(value)
        return _text_of_scalar(value)

    return item


def text_of(field: str) -> Callable[[Touchpoint], str | None]:
    """The function from a touchpoint to a field or attribute of it as text, however long, None without one; `value` in
    units of the currency."""
    get = getter_of(field)
    shown = decimal_text if field == "value" else str if field in NUMBER_FIELDS else _text_of_scalar

    def text(touchpoint: Touchpoint) -> str | None:
        value = get(touchpoint)
        return None if value is None else shown(value)

    return text


def _text_of_scalar(value: Scalar) -> str:
    if isinstance(value, str):
        return value
    return ("true" if value else "false") if isinstance(value, bool) else repr(value)


def _cut(text: str) -> str:
    return f"{text[:_CUT_CHARACTERS]}…{sha256(text.encode()).hexdigest()[:16]}"
