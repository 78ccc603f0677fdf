"""Touchpoints as readers see them: what of a touchpoint is shown, and what is online."""

from typing import Any

from state.render.amounts import decimal_text
from streams.answers import Told
from streams.touchpoint import Touchpoint

# By its channel first, for a CRM knows of e-mails and calls alike; by the stream it came in where the channel does not
# say.
_ONLINE_CHANNELS = frozenset(
    ("chat", "direct", "display", "email", "form", "online", "organic search", "organic social", "paid search",
     "paid social", "referral", "search", "social", "video", "web", "webinar", "website")
)  # fmt: skip
_OFFLINE_CHANNELS = frozenset(
    ("call", "conference", "direct mail", "event", "field", "in person", "mail", "meeting", "phone", "print",
     "roadshow", "trade show", "tradeshow", "visit", "workshop")
)  # fmt: skip
_BLANKS = str.maketrans("-_", "  ")
_SAME = tuple(
    name for name in Told.__struct_fields__ if name in Touchpoint.__struct_fields__ and name not in ("value",)
)


def told(touchpoint: Touchpoint, **marks: Any) -> Told:
    """The touchpoint with its marks."""
    value = None if touchpoint.value is None else decimal_text(touchpoint.value)
    return Told(
        value=value,
        is_online=is_online(touchpoint),
        is_corrected=touchpoint.revision > 0,
        **{name: getattr(touchpoint, name) for name in _SAME},
        **marks,
    )


def is_online(touchpoint: Touchpoint) -> bool:
    """Whether it happened online: as its channel says where that is a known one, else whether it came from the web."""
    channel = "" if touchpoint.channel is None else touchpoint.channel.lower().translate(_BLANKS)
    if channel in _ONLINE_CHANNELS or channel in _OFFLINE_CHANNELS:
        return channel in _ONLINE_CHANNELS
    return touchpoint.stream == "web"
