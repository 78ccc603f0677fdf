"""The time limits of an arrow: when may a touchpoint come along it, given the arrivals at its origin so far?

An arrival at q opens the arrow from q + after to q + within. Windows are the union of these stretches, in order and
apart from each other: [from, to], both included, `to` None for ever. That is all that can matter, whatever comes next.
Stretches that meet are one, and those that have passed are dropped at the next arrival, so there are never more than
after / (within - after) + 2; definitions whose windows could be many are refused (`state.definitions.canvas_options`).
"""

Windows = list[list[int | None]]


class Limits:
    """The limits of one arrow, in milliseconds; without `within` it stays open for ever."""

    def __init__(self, after_ms: int, within_ms: int | None) -> None:
        self._after = after_ms
        self._within = within_ms

    def is_open(self, windows: Windows, moment: int) -> bool:
        """Whether a touchpoint at this moment comes along."""
        return any(_begins(window) <= moment and not _is_over(window, moment) for window in windows)

    def opened(self, windows: Windows, moment: int) -> Windows:
        """The windows behind an arrival at the origin, no earlier than all before it.

        When a window that is open now began can no longer matter; it is 0, so that equal futures are equal states.
        """
        kept = [
            [0 if _begins(window) <= moment else window[0], window[1]]
            for window in windows
            if not _is_over(window, moment)
        ]
        begin = moment + self._after if self._after else 0
        end = None if self._within is None else moment + self._within
        if not kept:
            return [[begin, end]]
        last = kept[-1][1]
        if last is not None:
            if begin <= last + 1:
                kept[-1] = [kept[-1][0], end]
            else:
                kept.append([begin, end])
        return kept


def _begins(window: list[int | None]) -> int:
    begin = window[0]
    assert begin is not None, "every window has begun or will"
    return begin


def _is_over(window: list[int | None], moment: int) -> bool:
    end = window[1]
    return end is not None and end < moment
