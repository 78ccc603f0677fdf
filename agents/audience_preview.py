"""Runs audiences over the touchpoints in Kafka before they are switched on: who would be in, and who came and went.

The clock goes by the events, not by their arrival, so that a history that was imported in order has its comings and
goings too. Who is in at the end does not depend on that.
"""

import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from agents.dead_letters import set_aside_offsets
from agents.settings import Settings
from agents.trials import Disk, batches
from state.audience_set import AudienceDefinition
from state.audience_trial import AudienceTrial
from state.calendar import DAY_MS
from state.kinds import NAME_BY_CODE
from state.rows import parts_of
from streams.admin import end_offsets
from streams.membership import decode_change
from streams.store import Row
from streams.topics import topic_name
from streams.touchpoint import decode_touchpoint


class Sample(msgspec.Struct, frozen=True):
    """A member, since when, and what changes would bring along."""

    account: str
    kind: str
    container: str | None
    since_ms: int
    attributes: dict[str, str]


class Preview(msgspec.Struct):
    """One audience: how many are in, some of them, and by day (UTC) how many entered and exited, by the time at which
    it happened."""

    size: int
    samples: list[Sample]
    entered: dict[str, int]
    exited: dict[str, int]


class PreviewReport(msgspec.Struct):
    """What the audiences of a file would be at `clock_ms`."""

    touchpoint_count: int
    clock_ms: int
    audiences: dict[str, Preview]


def run_preview(
    audiences: Sequence[AudienceDefinition],
    bootstrap: str,
    settings: Settings,
    now_ms: int,
    *,
    sample_count: int,
    day_count: int,
) -> PreviewReport:
    """Over all that is there now, up to `now_ms`. Raises UnavailableError without touchpoints' topic."""
    topic = topic_name("touchpoints", settings.prefix, settings.generation)
    left_out = set_aside_offsets(bootstrap, settings, topic)
    report = PreviewReport(0, now_ms, {each.name: Preview(0, [], {}, {}) for each in audiences})
    days = _Days(now_ms, day_count)
    for partition in end_offsets(bootstrap, topic):  # as there are, whatever the settings say
        with tempfile.TemporaryDirectory(prefix="milepost-audiences-") as folder:
            store = Disk(Path(folder) / "0")
            trial = AudienceTrial(audiences, store.rocks, store.write)
            clock_ms = 0
            for records in batches(bootstrap, topic, partition, left_out):
                report.touchpoint_count += len(records)
                newest_ms = max(decode_touchpoint(each.value).event_time for each in records)
                clock_ms = max(clock_ms, min(newest_ms, records[-1].append_time))
                days.take(trial.take(records, clock_ms))
            days.take(trial.rest(now_ms))
            for name, preview in report.audiences.items():
                _add_members(preview, trial, name, sample_count)
            store.rocks.close()
    for name, preview in report.audiences.items():
        preview.entered, preview.exited = days.counts(name, "entered"), days.counts(name, "exited")
    return report


def _add_members(preview: Preview, trial: AudienceTrial, name: str, sample_count: int) -> None:
    for at, member in trial.members(name):
        preview.size += 1
        if len(preview.samples) < sample_count:
            account, code, id_ = parts_of(at)
            who = account.decode(), NAME_BY_CODE[code], id_.decode() or None
            preview.samples.append(Sample(*who, member.since_ms, member.attributes))


class _Days:
    """Counts changes by day, of the last ones."""

    def __init__(self, now_ms: int, count: int) -> None:
        today = now_ms // DAY_MS
        self._days = range(today - count + 1, today + 1)
        self._counts: dict[tuple[str, str], Counter[int]] = {}

    def take(self, changes: Iterable[Row]) -> None:
        """Adds changes."""
        for _, value in changes:
            change = decode_change(value or b"")
            day = change.happened_ms // DAY_MS
            if day in self._days:
                self._counts.setdefault((change.audience, change.change), Counter())[day] += 1

    def counts(self, audience: str, change: str) -> dict[str, int]:
        """Of each day, the first one first."""
        found = self._counts.get((audience, change), Counter())
        return {f"{datetime.fromtimestamp(day * DAY_MS / 1000, UTC):%Y-%m-%d}": found[day] for day in self._days}
