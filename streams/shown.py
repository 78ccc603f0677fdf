"""Text of others in messages of ours: on a terminal it is read, and never obeyed.

Names and values come from events and files. An escape sequence among them would move the cursor or colour the screen,
a line break would look like another message, a change of direction would turn the line round.
"""

# Joiners of letters and of emoji; a terminal does nothing by them.
_HARMLESS = "\u200c\u200d"


def shown(text: str, characters_max: int) -> str:
    """The text with such signs written as escapes, cut to a length; text without any is given back as it is."""
    if len(text) > characters_max:
        text = text[: characters_max - 1] + "…"
    return text if text.isprintable() else "".join(map(_sign, text))[:characters_max]


def shown_lines(text: str, characters_max: int) -> str:
    """The same for text whose line breaks are meant."""
    return "\n".join(shown(line, characters_max) for line in text.split("\n"))[:characters_max]


def is_showable(sign: str) -> bool:
    """Whether a character is shown as it is."""
    return sign.isprintable() or sign in _HARMLESS


def _sign(sign: str) -> str:
    if is_showable(sign):
        return sign
    # A blank of any width is a blank; the rest is named.
    return " " if (sign.isspace() and ord(sign) > 0xFF) or sign == "\xa0" else ascii(sign)[1:-1]
