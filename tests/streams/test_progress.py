"""What a long reading says of itself."""

from streams.progress import REPORT_S, Progress


def test_a_short_reading_says_nothing() -> None:
    """Below the time between two lines there is none, not even a last one."""
    progress = Progress(0, 100, 10.0)
    assert progress.note(50, 50, 10.0 + REPORT_S / 2) is None
    assert progress.note(50, 100, 10.0 + REPORT_S * 0.9) is None
    assert progress.summary(10.0 + REPORT_S * 0.9) is None


def test_lines_come_seldom_and_tell_rows_rate_and_time_left() -> None:
    """Rows are counted and the way is measured in offsets: of 4,000 offsets a quarter took 2 s, so 6 s are left."""
    progress = Progress(1000, 5000, 0.0)
    assert progress.note(300, 1500, 1.0) is None
    assert progress.note(200, 2000, 2.0) == "500 rows, 25% of the way, 250 rows/s, about 6 s left"
    assert progress.note(100, 2500, 3.0) is None
    assert progress.note(400, 5000, 4.0) == "1,000 rows, 100% of the way, 250 rows/s, about 0 s left"
    assert progress.summary(5.0) == "1,000 rows in 5 s, 200 rows/s"


def test_nothing_read_for_long_is_no_error() -> None:
    """A piece may hold no offset behind the last one; then nobody can say how long it takes."""
    assert Progress(0, 10, 0.0).note(0, 0, 9.0) == "0 rows, 0% of the way, 0 rows/s"
