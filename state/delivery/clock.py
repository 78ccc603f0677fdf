"""When: quiet hours and digests in their time zones, as functions of an instant in milliseconds UTC.

Local times that a change of the clock leaves out are taken as if the clock had not been changed yet; of those that come
twice the first counts.
"""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from state.delivery.configuration import WEEKDAYS, Digest, Quiet


def quiet_until(quiet: Quiet, at_ms: int) -> int | None:
    """When the quiet hours end in which the instant lies; None when it lies in none."""
    zone, begin, end = ZoneInfo(quiet.zone), _time(quiet.begin), _time(quiet.end)
    today = _local(at_ms, zone).date()
    for day in (today - timedelta(days=1), today):
        if quiet.days and WEEKDAYS[day.weekday()] not in quiet.days:
            continue
        last = day if begin < end else day + timedelta(days=1)
        begins_ms, ends_ms = _ms(datetime.combine(day, begin, zone)), _ms(datetime.combine(last, end, zone))
        if begins_ms <= at_ms < ends_ms:
            return ends_ms
    return None


def digest_due(digest: Digest, at_ms: int) -> int:
    """The first of its times behind the instant."""
    zone = ZoneInfo(digest.zone)
    today = _local(at_ms, zone).date()
    days = (today, today + timedelta(days=1), today + timedelta(days=2))
    times = [_ms(datetime.combine(day, _time(each), zone)) for day in days for each in digest.at]
    return min(each for each in times if each > at_ms)


def _time(text: str) -> time:
    return time.fromisoformat(text)


def _local(at_ms: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone)


def _ms(when: datetime) -> int:
    return int(when.timestamp()) * 1000
