"""Times of a mapping: from a source's text or number to milliseconds since 1970 in UTC.

The law: nothing about a time is guessed. A value without an offset needs a zone, a value without a time of day needs
`date_only`, and what happens where the clocks change is stated. What these do not settle is a ValueError.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Literal
from zoneinfo import ZoneInfo, reset_tzpath

import msgspec

# The pinned tzdata package counts and not the machine's, so that an import gives the same times everywhere.
reset_tzpath(())

DateOnly = Literal["start_of_day", "noon", "end_of_day"]
ClockChange = Literal["compatible", "earlier", "later", "reject"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_DAY = timedelta(days=1)
_TIME_DIRECTIVE = re.compile(r"%[HIpMSfcX]")
# Files repeat their dates: a whole export has few hundred days, and strptime takes 5 µs.
_KEPT_COUNT = 8192


class Timing(msgspec.Struct, frozen=True):
    """How a column's times are read.

    formats: `iso`, `epoch_s`, `epoch_ms`, or patterns of strptime; the first that fits counts. zone: of values without
    an offset. date_only: what a date means. clock_change: what a local time means that the clocks show twice or never;
    `compatible` takes the first of two, and moves a missing one forward by the gap.
    """

    formats: tuple[str, ...]
    zone: str | None
    date_only: DateOnly | None
    clock_change: ClockChange

    def missing(self) -> str | None:
        """What a format needs and the timing does not say, as far as that shows before a value is seen."""
        for pattern in self.formats:
            if "%" not in pattern:
                continue
            if self.zone is None and "%z" not in pattern:
                return f"the format {pattern!r} has no offset (%z): name the zone, for example zone: UTC"
            if self.date_only is None and not _TIME_DIRECTIVE.search(pattern):
                return f"the format {pattern!r} has no time of day: say date_only: start_of_day, noon or end_of_day"
        return None

    def reader(self) -> Callable[[Any], int]:
        """A function from a value to milliseconds; it raises ValueError with what was found and what is right."""
        read = lru_cache(_KEPT_COUNT)(self._read)

        def ms_of(found: Any) -> int:
            if not isinstance(found, str | int | float | Decimal):
                raise ValueError(f"{found!r} is no time")
            return read(str(found).strip())

        return ms_of

    def _read(self, text: str) -> int:
        for pattern in self.formats:
            parsed = _parsed(text, pattern)
            if parsed is not None:
                return parsed if isinstance(parsed, int) else self._placed(text, parsed)
        raise ValueError(f"{text!r} is not written as {' or '.join(self.formats)}")

    def _placed(self, text: str, parsed: date) -> int:
        try:
            return self._instant(parsed) if isinstance(parsed, datetime) else self._day(parsed)
        except OverflowError as error:
            raise ValueError(f"{text!r} is beyond the calendar") from error

    def _day(self, day: date) -> int:
        match self.date_only:
            case "start_of_day":
                return self._day_start(day)
            case "noon":
                return self._instant(datetime.combine(day, time(12)))
            case "end_of_day":
                return self._day_start(day + _DAY) - 1
        raise ValueError(f"{day} has no time of day; say date_only: start_of_day, noon or end_of_day")

    def _day_start(self, day: date) -> int:
        """The first instant of a local day, also where its midnight is skipped or comes twice."""
        return _ms(self._zoned(datetime.combine(day, time(0))))

    def _instant(self, moment: datetime) -> int:
        if moment.tzinfo is not None:
            return _ms(moment)
        first = self._zoned(moment)
        second = first.replace(fold=1)
        if first.utcoffset() == second.utcoffset():
            return _ms(first)
        return self._changed(moment, _ms(first), _ms(second))

    def _changed(self, moment: datetime, before_ms: int, after_ms: int) -> int:
        """One of two readings: by the offset before the clocks change, and by that after.

        A time that comes twice is earlier by the offset before. One that is skipped is later by it: 02:30 before the
        change is 03:30 after it.
        """
        match self.clock_change:
            case "compatible":
                return before_ms
            case "earlier":
                return min(before_ms, after_ms)
            case "later":
                return max(before_ms, after_ms)
        often = "twice" if before_ms < after_ms else "never"
        raise ValueError(f"{moment} is shown {often} by the clocks of {self.zone}; say clock_change: earlier or later")

    def _zoned(self, moment: datetime) -> datetime:
        if self.zone is None:
            raise ValueError(f"{moment} has no offset; name the zone, for example zone: UTC")
        return moment.replace(tzinfo=ZoneInfo(self.zone))


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // _MS


def _parsed(text: str, pattern: str) -> int | date | None:
    """Milliseconds, a time, or a mere date; None when the text is not written so."""
    try:
        match pattern:
            case "epoch_ms":
                return int(Decimal(text) // 1)
            case "epoch_s":
                return int(Decimal(text) * 1000 // 1)
            case "iso":
                # A time of day needs at least YYYYMMDDThh; what is shorter is a date.
                return date.fromisoformat(text) if len(text) <= 10 else datetime.fromisoformat(text)
        parsed = datetime.strptime(text, pattern)
    except (ValueError, InvalidOperation, OverflowError):
        return None
    return parsed if _TIME_DIRECTIVE.search(pattern) else parsed.date()
