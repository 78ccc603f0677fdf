"""How far a long reading is, for whoever waits for it. Reads no clock.

The law: rows are counted, the way is measured in offsets. Compaction leaves fewer rows than offsets, so what is left
is an estimate, and a good one, for the reader passes gaps as fast as it finds rows.
"""

REPORT_S = 2.0


class Progress:
    """One reading from `start` up to but not including `end`, begun at `now_s`."""

    def __init__(self, start: int, end: int, now_s: float) -> None:
        self._start, self._end = start, end
        self._begun_s = self._reported_s = now_s
        self.row_count = 0

    def note(self, row_count: int, next_offset: int, now_s: float) -> str | None:
        """Counts rows; gives a line when the last one is REPORT_S old."""
        self.row_count += row_count
        if now_s - self._reported_s < REPORT_S:
            return None
        self._reported_s = now_s
        spent_s = now_s - self._begun_s
        done, left = next_offset - self._start, self._end - next_offset
        line = f"{self.row_count:,} rows, {done / (done + left):.0%} of the way, {self.row_count / spent_s:,.0f} rows/s"
        return f"{line}, about {spent_s * left / done:,.0f} s left" if done else line

    def summary(self, now_s: float) -> str | None:
        """The last line, for readings that gave one before."""
        if self._reported_s == self._begun_s:
            return None
        spent_s = now_s - self._begun_s
        return f"{self.row_count:,} rows in {spent_s:,.0f} s, {self.row_count / spent_s:,.0f} rows/s"
