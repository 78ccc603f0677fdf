"""Runs milestones over the touchpoints in Kafka, partition after partition, in a folder that is gone afterwards."""

import tempfile
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from itertools import islice
from pathlib import Path

import msgspec

from agents.dead_letters import set_aside_offsets
from agents.reading import read_topic
from agents.settings import Settings
from state.milestone_set import MilestoneDefinition
from state.milestone_trial import Trial
from state.store import RocksStore
from streams.alert import Alert, decode_alert
from streams.store import Position, Row
from streams.topics import topic_name

BATCH_RECORDS = 5_000


class TrialReport(msgspec.Struct):
    """What would have been told. counts: by milestone what stands in the end (asserted), was taken back (revoked), and
    the revisions beyond the first (corrections). newest: what happened last, as it stood in the end."""

    touchpoint_count: int
    counts: dict[str, Counter[str]]
    newest: list[Alert]


def run_trial(
    milestones: Sequence[MilestoneDefinition], bootstrap: str, settings: Settings, newest_max: int
) -> TrialReport:
    """Over all that is there now. Raises UnavailableError without touchpoints' topic."""
    topic = topic_name("touchpoints", settings.prefix, settings.generation)
    left_out = set_aside_offsets(bootstrap, settings, topic)
    report = TrialReport(0, {each.name: Counter() for each in milestones}, [])
    newest: dict[str, Alert] = {}
    for partition in range(settings.partitions):
        with tempfile.TemporaryDirectory(prefix="milepost-milestones-") as folder:
            store = _Disk(Path(folder) / "0")
            trial = Trial(milestones, store.rocks, store.write)
            for records in _batches(bootstrap, topic, partition, left_out):
                report.touchpoint_count += len(records)
                for _, value in trial.take(records, records[-1].append_time):
                    alert = decode_alert(value or b"")
                    newest[alert.id] = alert
                newest = _last(newest, max(newest_max, BATCH_RECORDS))
            for name, counts in trial.said().items():
                report.counts[name] += counts
            store.rocks.close()
    report.newest = list(_last(newest, newest_max).values())
    return report


class _Touchpoint(msgspec.Struct, frozen=True, gc=False):
    """A record with a value, and when the broker appended it."""

    offset: int
    key: bytes
    value: bytes
    append_time: int


class _Disk:
    """A store without a changelog."""

    def __init__(self, path: Path) -> None:
        self.rocks = RocksStore(path)
        self._position: Position | None = None

    def write(self, rows: Sequence[Row]) -> None:
        """Writes rows."""
        was = self._position
        self._position = Position(1 if was is None else was.next_offset + 1, 0, 0, "", 0)
        self.rocks.write(rows, self._position, was)


def _batches(
    bootstrap: str, topic: str, partition: int, left_out: Container[tuple[int, int]]
) -> Iterator[list[_Touchpoint]]:
    """The touchpoints, but for those set aside by hand."""
    records = (
        _Touchpoint(each.offset, each.key, each.value, each.append_time)
        for each in read_topic(bootstrap, topic, [partition])
        if each.value is not None and (partition, each.offset) not in left_out
    )
    while some := list(islice(records, BATCH_RECORDS)):
        yield some


def _last(alerts: dict[str, Alert], count: int) -> dict[str, Alert]:
    """Those that happened last, in the order in which they did."""
    kept = sorted(alerts.values(), key=lambda each: (each.happened_ms, each.id))[-count:] if count else []
    return {each.id: each for each in kept}
