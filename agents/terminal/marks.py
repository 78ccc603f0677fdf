"""What all views are drawn with: bars, numbers, names cut to a width, and the lines above and below a result."""

from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

import msgspec
from rich.text import Text

from streams.shown import shown, shown_json
from streams.snapshot import Share, Snapshot

TEXT_MAX = 300
"""Characters of a title or value that has a line of its own."""

# The eighths are drawn from the left, so that a bar's length is read to an eighth of a character.
_EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")
PLURALS = {
    "account": "accounts",
    "opportunity": "opportunities",
    "buying_group": "buying groups",
    "person": "people",
    "session": "sessions",
}


def bar(part: float, whole: float, width: int) -> str:
    """A bar of at most `width` characters; whatever is above 0 is visible."""
    if whole <= 0 or part <= 0:
        return ""
    eighths = max(1, round(min(part / whole, 1) * width * 8))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8]


def number(count: int) -> str:
    """A count with its thousands apart."""
    return f"{count:,}"


def percent(share: Share) -> str:
    """A share with one decimal and its sign; a dash where there is none."""
    return "–" if share is None else f"{tenths(share)}%"


def tenths(share: float) -> str:
    """A share with one decimal, half up as the two that it has."""
    return f"{(round(share * 100) + 5) // 10 / 10:.1f}"


def duration(seconds: int) -> str:
    """A duration in its natural unit: "45 s", "1.5 min", "36.0 h", "12.3 d"."""
    for unit_s, unit, until_s in ((60, "min", 3_600), (3_600, "h", 172_800)):
        if 60 <= seconds < until_s:
            return f"{tenths(seconds / unit_s)} {unit}"
    return f"{seconds} s" if seconds < 60 else f"{tenths(seconds / 86_400)} d"


def cut(text: str, width: int) -> str:
    """The text in at most `width` characters, on one line, without what a terminal would obey."""
    return shown(" ".join(text.split()), width)


class Titled(Protocol):
    """What has a name, and may have a title for readers."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str | None: ...


def titled(defined: Titled) -> str:
    """What readers see of a definition, in one line; escape sequences are shown."""
    return cut(defined.title or defined.name, TEXT_MAX)


def heading(snapshot: Snapshot, what: str) -> Text:
    """The title, and what is counted over which days."""
    days = "all days" if snapshot.range is None else f"{snapshot.range[0]} to {snapshot.range[1]}"
    filtered = " · filtered" if "filter" in snapshot.mode else ""
    return Text.assemble((cut(snapshot.title, TEXT_MAX), "bold"), "\n", (f"{what}{filtered} · {days}", "dim"))


def footing(snapshot: Snapshot) -> Text:
    """How far the input goes that these numbers contain."""
    parts = []
    if snapshot.watermark_ms is not None:
        parts.append(f"events complete to {_moment(snapshot.watermark_ms, snapshot.zone)}")
    if snapshot.applied:
        parts.append("contains offsets " + " ".join(f"{p}:{offset}" for p, offset in snapshot.applied.items()))
    return Text(" · ".join(parts), "dim")


def _moment(ms: int, zone: str) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, ZoneInfo(zone)):%Y-%m-%d %H:%M} {zone}"


def json_text(value: object) -> str:
    """A value as indented JSON, in which what a terminal would obey is escaped."""
    return shown_json(msgspec.json.format(msgspec.json.encode(value), indent=2))
