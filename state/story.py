"""The story of a container: its touchpoints in the order of its series, newest first, a page at a time.

A large account has a timeline (`state.timeline`): its newest pages take little more than what they show, however large
it is. For those further back, for what is rare, and of an account without one, a page is one scan over all of the
account's touchpoints. Of most only the place in the series is decoded; of a few thousand at a time the newest are
looked at whole, and a heap keeps the newest of all. Budget: 1 µs a touchpoint, 100,000 in a tenth of a second.

A touchpoint is late when one of its account with a later event time was there before it: in Kafka's time, which is
that of the source record's arrival.
"""

import base64
import binascii
import heapq
import math
from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping, Sequence
from operator import itemgetter
from typing import Literal

import msgspec

from state.cut import Bounds, Cut
from state.rows import event_time_of, keys_of, touchpoint_key, touchpoints_prefix
from state.story_marks import Placed, StoryMarks
from state.telling import told
from state.timeline import Timeline
from streams.answers import Told
from streams.errors import UsageError
from streams.store import Rows
from streams.touchpoint import Touchpoint, decode_touchpoint, prefix_decoder

FILTERS = ("type", "person", "channel", "opportunity", "buying_group", "session")
POOL_COUNT = 4_000
VAIN_COUNT_MAX = 1_000
"""Touchpoints that a page looks at in vain along a timeline, the newest of all first. One costs ten of a scan."""
_decode_place = prefix_decoder(())

Test = Callable[[bytes, Touchpoint], bool]
Filters = Mapping[str, Collection[str]]  # name of a field, one of FILTERS → the values that are wanted


class Wanted(msgspec.Struct, frozen=True):
    """Which touchpoints of an account. before: only those that lie before this order key. cut: only those before or
    after a milestone of what the filters of the container leave."""

    container: Filters = {}
    filters: Filters = {}
    before: bytes | None = None
    cut: Cut | None = None
    side: Literal["before", "after"] = "before"


class StoryPage(msgspec.Struct, frozen=True):
    """Touchpoints, newest first. before: the order key behind which the next page lies; None at the beginning."""

    touchpoints: list[Told]
    before: bytes | None


def story_page(rows: Rows, milestones: StoryMarks, account: bytes, wanted: Wanted, count: int) -> StoryPage:
    """The newest `count` touchpoints that are wanted, of the account."""
    bounds = None if wanted.cut is None else _bounds(rows, account, wanted.container, wanted.cut)
    if wanted.cut is not None and bounds is None:
        return StoryPage([], None)
    newest, times = _newest(rows, account, _test_of(wanted, bounds), wanted.before, count + 1)
    page = newest[:count]
    marks = milestones.of(account, page)
    late = _late(page, times)
    touchpoints = [
        told(touchpoint, is_late=order in late, milestones=marks.get(order, [])) for order, touchpoint in page
    ]
    return StoryPage(touchpoints, page[-1][0] if len(newest) > count else None)


class _Times:
    """When touchpoints happened and when they came, milliseconds."""

    def __init__(self) -> None:
        self.happened = array("q")
        self.came = array("q")

    def take(self, touchpoint: Touchpoint) -> None:
        """Another one's."""
        self.happened.append(touchpoint.event_time)
        self.came.append(touchpoint.ingest_time)


def _newest(
    rows: Rows, account: bytes, is_wanted: Test, before: bytes | None, count: int
) -> tuple[list[Placed], _Times]:
    """The newest touchpoints, newest first, and the times of all that may make them late."""
    timeline = Timeline(rows, account)
    found = _newest_along(timeline, rows, account, is_wanted, before, count) if timeline.exists() else None
    return _newest_of_all(rows, account, is_wanted, before, count) if found is None else found


def _newest_along(
    timeline: Timeline, rows: Rows, account: bytes, is_wanted: Test, before: bytes | None, count: int
) -> tuple[list[Placed], _Times] | None:
    """The same along the timeline; None where that takes longer than a scan."""
    found: list[Placed] = []
    times = _Times()
    vain_count = 0
    for orders in timeline.newest_first():
        for order, value in zip(orders, rows.get([touchpoint_key(account, each) for each in orders]), strict=True):
            touchpoint = None if value is None else decode_touchpoint(value)
            if touchpoint is None or touchpoint.withdrawn or keys_of(account, touchpoint)[1] != order:
                return None  # a build without timelines has left it behind
            times.take(touchpoint)
            if (before is None or order < before) and is_wanted(order, touchpoint):
                found.append((order, touchpoint))
            else:
                vain_count += 1
        if len(found) >= count:
            break
        if vain_count > VAIN_COUNT_MAX:
            return None
    return found[:count], times


def _newest_of_all(
    rows: Rows, account: bytes, is_wanted: Test, before: bytes | None, count: int
) -> tuple[list[Placed], _Times]:
    """The same from all touchpoints of the account, in whatever order they lie."""
    newest = _Newest(account, is_wanted, before, count)
    pool: list[tuple[int, bytes]] = []
    for _, value in rows.scan(touchpoints_prefix(account)):
        place = _decode_place(value)
        if place.event_time < newest.oldest_ms or place.withdrawn:
            continue
        pool.append((place.event_time, value))
        if len(pool) == POOL_COUNT:
            newest.take(pool)
            pool.clear()
    newest.take(pool)
    return newest.found(), newest.times


class _Newest:
    """The newest `count` touchpoints that are wanted. oldest_ms: what lies before can neither be among them nor make
    one of them late."""

    def __init__(self, account: bytes, is_wanted: Test, before: bytes | None, count: int) -> None:
        self.oldest_ms = -1
        self.times = _Times()
        self._account = account
        self._is_wanted = is_wanted
        self._before = before
        self._count = count
        self._heap: list[tuple[bytes, bytes]] = []

    def take(self, pool: list[tuple[int, bytes]]) -> None:
        """More of them, each with its event time; most are older than what the newest of them leave room for, and are
        not decoded whole, whatever the order of their ids."""
        pool.sort(key=itemgetter(0), reverse=True)
        heap, before, is_wanted = self._heap, self._before, self._is_wanted
        for event_time, value in pool:
            if event_time < self.oldest_ms:
                return
            touchpoint = decode_touchpoint(value)
            self.times.take(touchpoint)
            order = keys_of(self._account, touchpoint)[1]
            if (before is not None and order >= before) or not is_wanted(order, touchpoint):
                continue
            if len(heap) < self._count:
                heapq.heappush(heap, (order, value))
            elif order > heap[0][0]:
                heapq.heapreplace(heap, (order, value))
            if len(heap) == self._count:
                self.oldest_ms = event_time_of(heap[0][0])

    def found(self) -> list[Placed]:
        """Newest first."""
        return [(order, decode_touchpoint(value)) for order, value in sorted(self._heap, reverse=True)]


def _late(page: Sequence[Placed], times: _Times) -> set[bytes]:
    """The order keys of those that came when a later one was there already."""
    happened = [touchpoint.event_time for _, touchpoint in reversed(page)]
    earliest = [math.inf] * len(page)  # arrival of those that happened behind this one and not behind the next
    for time, came in zip(times.happened, times.came, strict=True):
        place = bisect_left(happened, time) - 1
        if place >= 0 and came < earliest[place]:
            earliest[place] = came
    late: set[bytes] = set()
    earliest_later = math.inf
    for (order, touchpoint), came_first in zip(page, reversed(earliest), strict=True):
        earliest_later = min(earliest_later, came_first)
        if earliest_later < touchpoint.ingest_time:
            late.add(order)
    return late


def _test_of(wanted: Wanted, bounds: Bounds | None) -> Test:
    is_of_container, passes = _passes(wanted.container), _passes(wanted.filters)
    if bounds is None:
        return lambda _, touchpoint: is_of_container(touchpoint) and passes(touchpoint)
    if wanted.side == "before":
        end = bounds.last_begin
        return lambda order, touchpoint: order <= end and is_of_container(touchpoint) and passes(touchpoint)
    begin = bounds.first_end
    return lambda order, touchpoint: order >= begin and is_of_container(touchpoint) and passes(touchpoint)


def _passes(filters: Filters) -> Callable[[Touchpoint], bool]:
    if not filters:
        return lambda _: True
    return lambda touchpoint: all(getattr(touchpoint, field) in values for field, values in filters.items())


def _bounds(rows: Rows, account: bytes, container: Filters, cut: Cut) -> Bounds | None:
    """Where the milestone lies in the container's whole series."""
    belongs = _passes(container)
    series: list[tuple[bytes, object]] = []
    for _, value in rows.scan(touchpoints_prefix(account)):
        touchpoint = decode_touchpoint(value)
        if not touchpoint.withdrawn and belongs(touchpoint) and (read := cut.read(touchpoint)) is not None:
            series.append((keys_of(account, touchpoint)[1], read))
    series.sort(key=lambda each: each[0])
    return cut.bounds(series)


def cursor_of(key: bytes | None) -> str | None:
    """A place among keys as a reader hands it back."""
    return None if key is None else base64.urlsafe_b64encode(key).decode().rstrip("=")


def key_of_cursor(text: str) -> bytes:
    """What `cursor_of` made the text of. Raises UsageError for any other."""
    try:
        key = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise UsageError(f"{text[:100]!r} is no cursor; take it from the answer before, or leave it out") from error
    return key
