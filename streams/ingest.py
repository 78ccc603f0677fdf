"""The ingest stage: source records become touchpoints, keyed by account, or dead letters with reason and origin.

Nothing is lost and nothing is decided by the order of arrival: a batch that is read again gives the same records, and
whoever reads them drops what it has seen (touchpoints by event, dead letters by their id). Budget: 4 µs an event;
what that is in calls and instructions stands in `streams/budget.py`, and is held.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from typing import Protocol

import msgspec

from streams.errors import MilepostError
from streams.event_parsing import Reason, Rejection, touchpoint_of
from streams.partitioning import partition_of
from streams.poison import record_id
from streams.topics import MIB
from streams.touchpoint import Touchpoint, encode_touchpoint

_CACHED_ACCOUNTS_MAX = 200_000
LETTER_BYTES_MAX = 64 * MIB
"""Of a record's key and value, before compression: a source may hold records that are small only as it holds them."""

Header = tuple[str, bytes]


class SourceRecord(Protocol):
    """What ingest reads of a record; timestamp is the broker's append time in milliseconds."""

    key: bytes | None
    value: bytes | None
    offset: int
    timestamp: int


class DeadLetter(msgspec.Struct, frozen=True):
    """A record of `dead-letters`: the original bytes under an id that never repeats, why and whence in headers. What is
    above LETTER_BYTES_MAX has no copy here, which the detail says; its source keeps it."""

    key: bytes
    value: bytes | None
    headers: list[Header]


def letter_headers(reason: str, detail: str, origin: tuple[str, int, int], key: bytes | None) -> list[Header]:
    """The headers of a dead letter. origin: topic, partition and offset of the record, key its key."""
    topic, partition, offset = origin
    headers: list[Header] = [
        ("reason", reason.encode()),
        ("detail", detail.encode()),
        ("topic", topic.encode()),
        ("partition", b"%d" % partition),
        ("offset", b"%d" % offset),
    ]
    return headers if key is None else [*headers, ("key", key)]


class Routed(msgspec.Struct):
    """What a batch becomes: (key, value) per partition of `touchpoints`, and dead letters."""

    touchpoints: dict[int, list[tuple[bytes, bytes]]]
    dead_letters: list[DeadLetter]
    rejects: list[tuple[int, Reason]]  # place in the batch, why
    example: str  # the last rejected record: where it stands, and what is wrong with it


class Ingestion:
    """Routes the batches of one source topic."""

    def __init__(self, topic: str, topic_id: str, stream: str, partition_count: int, future_tolerance_ms: int) -> None:
        self._topic = topic
        self._topic_id = topic_id
        self._stream = stream
        self._partition_count = partition_count
        self._future_tolerance_ms = future_tolerance_ms
        self._partition_by_account: dict[bytes, int] = {}

    def route(self, partition: int, records: Sequence[SourceRecord]) -> Routed:
        """What the records of one source partition become."""
        routed = Routed(defaultdict(list), [], [], "")
        touchpoints, place_of = routed.touchpoints, self._partition_by_account.get
        topic, stream, tolerance_ms = self._topic, self._stream, self._future_tolerance_ms
        for place_in_batch, record in enumerate(records):
            origin = (topic, partition, record.offset)
            found = touchpoint_of(record.value, stream, record.timestamp, origin, tolerance_ms)
            if isinstance(found, Touchpoint):
                account = found.account.encode()
                place = place_of(account)
                if place is None:
                    place = self._place_of(account)
                touchpoints[place].append((account, encode_touchpoint(found)))
            else:
                routed.dead_letters.append(self._dead_letter(record, partition, found))
                routed.rejects.append((place_in_batch, found.reason))
                routed.example = f"{self._topic}/{partition} offset {record.offset}: {found.detail}"
        return routed

    def _place_of(self, account: bytes) -> int:
        """The account's partition; murmur2 in Python takes 5 µs, and accounts repeat."""
        if len(self._partition_by_account) >= _CACHED_ACCOUNTS_MAX:
            self._partition_by_account.clear()
        place = partition_of(account, self._partition_count)
        self._partition_by_account[account] = place
        return place

    def _dead_letter(self, record: SourceRecord, partition: int, rejection: Rejection) -> DeadLetter:
        key, value, detail = record.key, record.value, rejection.detail
        size = len(key or b"") + len(value or b"")
        if size > LETTER_BYTES_MAX:
            key = value = None
            detail = f"only its topic holds it, for it has {size} bytes with its key; {detail}"
        headers = letter_headers(rejection.reason.value, detail, (self._topic, partition, record.offset), key)
        return DeadLetter(record_id(self._topic_id, partition, record.offset), value, headers)


class RejectLimitError(MilepostError):
    """Too many records are rejected: the source or its mapping is wrong, not single records."""


class RejectLimits:
    """Stops a worker whose input turns bad, before it has turned a whole topic into dead letters. One per partition of
    a source, so that a good one hides no bad one.

    ratio_max: share of rejects among the last `window` records, judged once there are `sample_min` of them.
    run_max: rejects one after the other. `counts_no_account`: whether an event without an account is such a reject.
    """

    def __init__(self, ratio_max: float, run_max: int, window: int, *, counts_no_account: bool) -> None:
        self._ratio_max = ratio_max
        self._run_max = run_max
        self._window = window
        self._sample_min = min(window, 1_000)
        self._ignored = set() if counts_no_account else {Reason.NO_ACCOUNT}
        self._blocks: deque[tuple[int, int]] = deque()
        self._record_count = self._reject_count = self._run = 0

    def judge(self, record_count: int, rejects: Sequence[tuple[int, Reason]], detail: str) -> None:
        """Takes note of a batch before anything of it is written; raises RejectLimitError when it is too much."""
        counted = [place for place, reason in rejects if reason not in self._ignored]
        ignored = {place for place, reason in rejects if reason in self._ignored}
        longest = self._longest_run(record_count, set(counted), ignored)
        self._take(record_count, len(counted))
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(Counter(r for _, r in rejects).items()))
        if longest >= self._run_max:
            self._stop(f"{longest} records in a row were rejected (limit {self._run_max})", reasons, detail)
        ratio = self._reject_count / max(1, self._record_count)
        if self._record_count >= self._sample_min and ratio > self._ratio_max:
            self._stop(
                f"{self._reject_count} of the last {self._record_count} records were rejected, {ratio:.0%} "
                f"(limit {self._ratio_max:.0%})",
                reasons,
                detail,
            )

    def _longest_run(self, record_count: int, counted: set[int], ignored: set[int]) -> int:
        """The longest run that touches the batch; what is ignored neither ends nor lengthens one."""
        if not counted:
            self._run = 0 if record_count > len(ignored) else self._run
            return 0
        longest = 0
        for place in range(record_count):
            if place not in ignored:
                self._run = self._run + 1 if place in counted else 0
                longest = max(longest, self._run)
        return longest

    def _take(self, record_count: int, reject_count: int) -> None:
        """Adds a batch to the window, and lets go of those that lie behind it."""
        self._blocks.append((record_count, reject_count))
        self._record_count += record_count
        self._reject_count += reject_count
        while self._record_count - self._blocks[0][0] >= self._window:
            old_records, old_rejects = self._blocks.popleft()
            self._record_count -= old_records
            self._reject_count -= old_rejects

    def _stop(self, what: str, reasons: str, detail: str) -> None:
        raise RejectLimitError(
            f"ingest stops: {what}; in this batch: {reasons}; for example {detail}. Nothing of this batch was written "
            f"and nothing is lost. Mend the source or its mapping, or raise MILEPOST_REJECT_RATIO_MAX or "
            f"MILEPOST_REJECT_RUN_MAX, and start again"
        )
