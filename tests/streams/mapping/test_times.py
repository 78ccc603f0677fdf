"""Times: every instant that a file can say is read as it was written, and nothing is guessed."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.mapping.times import Timing

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo")
instants = st.integers(0, 4_102_444_799_999)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read(text: Any, *formats: str, **rules: Any) -> int:
    return Timing(
        formats=formats or ("iso",),
        zone=rules.get("zone"),
        date_only=rules.get("date_only"),
        clock_change=rules.get("clock_change", "compatible"),
    ).reader()(text)


def utc(*parts: int) -> int:
    return (datetime(*parts, tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)  # type: ignore[misc,arg-type]


@given(ms=instants, zone=st.sampled_from(ZONES))
def test_offsets_decide(ms: int, zone: str) -> None:
    """A text with an offset is its instant, whatever the zone of the rules."""
    text = (EPOCH + timedelta(milliseconds=ms)).astimezone(ZoneInfo(zone)).isoformat()
    assert read(text, zone="Asia/Tokyo") == ms
    assert read(text) == ms


@given(ms=instants, zone=st.sampled_from(ZONES))
def test_local_times_are_read_in_their_zone(ms: int, zone: str) -> None:
    """A local text gives back the instant that it was written from; where clocks repeat, by earlier and later."""
    local = (EPOCH + timedelta(milliseconds=ms)).astimezone(ZoneInfo(zone))
    text = local.replace(tzinfo=None).isoformat()
    assert read(text, zone=zone, clock_change="later" if local.fold else "earlier") == ms


@given(seconds=st.integers(0, 4_102_444_799), ms=st.integers(0, 999))
def test_epochs_are_exact(seconds: int, ms: int) -> None:
    """Seconds with a fraction lose no millisecond, as text or as a number."""
    expected = seconds * 1000 + ms
    assert read(f"{seconds}.{ms:03}", "epoch_s") == expected
    assert read(expected, "epoch_ms") == expected


@pytest.mark.parametrize(
    ("text", "clock_change", "expected"),
    [
        ("2025-03-30T02:30", "compatible", utc(2025, 3, 30, 1, 30)),  # skipped: 03:30 in summer time
        ("2025-03-30T02:30", "later", utc(2025, 3, 30, 1, 30)),
        ("2025-03-30T02:30", "earlier", utc(2025, 3, 30, 0, 30)),  # 01:30 in winter time
        ("2025-10-26T02:30", "compatible", utc(2025, 10, 26, 0, 30)),  # twice: the first is in summer time
        ("2025-10-26T02:30", "earlier", utc(2025, 10, 26, 0, 30)),
        ("2025-10-26T02:30", "later", utc(2025, 10, 26, 1, 30)),
    ],
)
def test_clock_changes_are_decided(text: str, clock_change: str, expected: int) -> None:
    """A time that the clocks show twice or never is read as the rule says."""
    assert read(text, zone="Europe/Berlin", clock_change=clock_change) == expected


@pytest.mark.parametrize(("text", "often"), [("2025-03-30T02:30", "never"), ("2025-10-26T02:30", "twice")])
def test_clock_changes_can_be_refused(text: str, often: str) -> None:
    """With `reject` such a time is an error that says which of the two it is."""
    with pytest.raises(ValueError, match=often):
        read(text, zone="Europe/Berlin", clock_change="reject")


@pytest.mark.parametrize(
    ("date_only", "zone", "expected"),
    [
        ("start_of_day", "UTC", utc(2018, 11, 4)),
        ("noon", "UTC", utc(2018, 11, 4, 12)),
        ("end_of_day", "UTC", utc(2018, 11, 5) - 1),
        ("start_of_day", "Asia/Kolkata", utc(2018, 11, 3, 18, 30)),
        ("start_of_day", "America/Sao_Paulo", utc(2018, 11, 4, 3)),  # its midnight was skipped: the day began at 01:00
        ("end_of_day", "America/Sao_Paulo", utc(2018, 11, 5, 2) - 1),
    ],
)
def test_dates_are_the_moment_that_is_said(date_only: str, zone: str, expected: int) -> None:
    """A date is the start, noon or end of its local day, also where midnight does not exist."""
    assert read("2018-11-04", zone=zone, date_only=date_only) == expected
    assert read("04.11.18", "%d.%m.%y", zone=zone, date_only=date_only) == expected


def test_first_format_that_fits_counts() -> None:
    """Several formats are tried in their order."""
    formats = ("%d.%m.%Y %H:%M", "%d.%m.%Y", "epoch_ms")
    assert read("04.11.2018 10:30", *formats, zone="UTC", date_only="noon") == utc(2018, 11, 4, 10, 30)
    assert read(" 04.11.2018 ", *formats, zone="UTC", date_only="noon") == utc(2018, 11, 4, 12)
    assert read("12345", *formats, zone="UTC", date_only="noon") == 12345


@pytest.mark.parametrize(
    ("text", "formats", "said"),
    [
        ("2018-11-04T10:00", ("iso",), "has no offset"),
        ("2018-11-04", ("iso",), "date_only"),
        ("tomorrow", ("iso",), "not written as iso"),
        ("2018-13-04", ("%Y-%m-%d", "epoch_s"), "not written as %Y-%m-%d or epoch_s"),
        ("NaN", ("epoch_s",), "not written"),
        ("1e999999", ("epoch_ms",), "not written"),
        (True, ("epoch_ms",), "not written"),
        (["2018"], ("iso",), "is no time"),
    ],
)
def test_what_is_not_said_is_refused(text: Any, formats: tuple[str, ...], said: str) -> None:
    """A missing zone or time of day, and what is no time, are errors and no guesses."""
    with pytest.raises(ValueError, match=said):
        read(text, *formats)


def test_end_of_the_calendar_is_refused() -> None:
    """The last day has no end that could be computed."""
    with pytest.raises(ValueError, match="beyond the calendar"):
        read("9999-12-31", zone="UTC", date_only="end_of_day")


@pytest.mark.parametrize(
    ("formats", "zone", "date_only", "said"),
    [
        (("%Y-%m-%d %H:%M",), None, None, "no offset"),
        (("%Y-%m-%d",), "UTC", None, "no time of day"),
        (("iso", "%Y-%m-%d"), "UTC", None, "no time of day"),
        (("%Y-%m-%d",), "UTC", "noon", None),
        (("%Y-%m-%dT%H:%M%z",), None, None, None),
        (("iso", "epoch_s"), None, None, None),
    ],
)
def test_incomplete_rules_are_told_before_the_first_row(
    formats: tuple[str, ...], zone: str | None, date_only: Any, said: str | None
) -> None:
    """A pattern shows by itself what it lacks."""
    missing = Timing(formats, zone, date_only, "compatible").missing()
    assert (missing is None) if said is None else (said in str(missing))
