"""Text of others in messages of ours: on a terminal it is read, and never obeyed.

Names and values come from events and files. An escape sequence among them would move the cursor or colour the screen,
a line break would look like another message, a change of direction would turn the line round.
"""

import re
from difflib import get_close_matches
from functools import lru_cache

_NAME_CHARACTERS = 100

# Joiners of letters and of emoji; a terminal does nothing by them.
_HARMLESS = "\u200c\u200d"
_UNESCAPED = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def shown(text: str, characters_max: int) -> str:
    """The text with such signs written as escapes, cut to a length; text without any is given back as it is."""
    if len(text) > characters_max:
        text = text[: max(0, characters_max - 1)] + "…"
    return text if text.isprintable() else "".join(map(_sign, text))[:characters_max]


def shown_lines(text: str, characters_max: int) -> str:
    """The same for text whose line breaks are meant."""
    return "\n".join(shown(line, characters_max) for line in text.split("\n"))[:characters_max]


def shown_json(text: bytes) -> str:
    """JSON of the same meaning, in which such signs are escaped; the encoder escapes only those below the blank."""
    return _UNESCAPED.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text.decode())


@lru_cache(1_000)
def did_you_mean(name: str, known: tuple[str, ...]) -> str:
    """`did you mean X? ` of the known name that is most like it; nothing where none is. Remembered, for a source that
    has a name wrong has it wrong in each record."""
    close = get_close_matches(name[:_NAME_CHARACTERS], known, 1)
    return f"did you mean {close[0]}? " if close else ""


def is_showable(sign: str) -> bool:
    """Whether a character is shown as it is."""
    return sign.isprintable() or sign in _HARMLESS


def _sign(sign: str) -> str:
    if is_showable(sign):
        return sign
    # A blank of any width is a blank; the rest is named.
    return " " if (sign.isspace() and ord(sign) > 0xFF) or sign == "\xa0" else ascii(sign)[1:-1]
