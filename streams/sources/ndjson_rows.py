"""Rows of a file with one JSON object a line."""

from collections.abc import Generator
from decimal import Decimal
from pathlib import Path

import msgspec

from streams.errors import UsageError
from streams.sources.row import Row, open_bytes

LINE_BYTES_MAX = 8 * 2**20
_PROGRESS_EVERY = 256
_SHOWN_MAX = 500


def rows(path: Path) -> Generator[Row, None, None]:
    """The file's objects; blank lines do not count. Fractions that a float can not hold exactly are Decimal.

    Raises UsageError for a line above LINE_BYTES_MAX: such a file has no lines.
    """
    decode = msgspec.json.Decoder(float_hook=_fraction).decode
    with open_bytes(path) as source:
        number = bytes_read = 0
        readline = source.content.readline
        while line := readline(LINE_BYTES_MAX + 1):
            if len(line) > LINE_BYTES_MAX:
                raise UsageError(f"{path}: a line has more than {LINE_BYTES_MAX} bytes; write one object a line")
            if line.isspace():
                continue
            number += 1
            if number % _PROGRESS_EVERY == 1:
                bytes_read = source.bytes_read()
                line = line.removeprefix(b"\xef\xbb\xbf")
            try:
                found = decode(line)
            except (ValueError, ArithmeticError, RecursionError) as error:  # the second of a number beyond Decimal
                yield Row(number, _shown(line), bytes_read, f"this is no JSON: {error}")
                continue
            if isinstance(found, dict):
                yield Row(number, found, bytes_read)
            else:
                yield Row(number, _shown(line), bytes_read, "a row is a JSON object, {...}, one a line")


def _fraction(text: str) -> float | Decimal:
    found = float(text)
    # What a float shows is what it was read from for up to 15 digits; a sum of money may have more.
    return found if repr(found) == text or Decimal(repr(found)) == Decimal(text) else Decimal(text)


def _shown(line: bytes) -> dict[str, str]:
    return {"line": line[:_SHOWN_MAX].decode(errors="replace").rstrip()}
