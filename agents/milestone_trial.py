"""Runs milestones over the touchpoints in Kafka, partition after partition, in a folder that is gone afterwards."""

import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from agents.dead_letters import set_aside_offsets
from agents.settings import Settings
from agents.trials import BATCH_RECORDS, Disk, batches
from state.milestone_set import MilestoneDefinition
from state.milestone_trial import Trial
from streams.admin import end_offsets
from streams.alert import Alert, decode_alert
from streams.store import Row
from streams.topics import topic_name


class TrialReport(msgspec.Struct):
    """What would have been told. counts: by milestone what stands in the end (asserted), was taken back (revoked), and
    the revisions beyond the first (corrections). newest: what happened last, as it stood in the end."""

    touchpoint_count: int
    counts: dict[str, Counter[str]]
    newest: list[Alert]


def run_trial(
    milestones: Sequence[MilestoneDefinition], bootstrap: str, settings: Settings, now_ms: int, newest_max: int
) -> TrialReport:
    """Over all that is there now, and what time has brought about since, up to `now_ms`. Raises UnavailableError
    without touchpoints' topic."""
    topic = topic_name("touchpoints", settings.prefix, settings.generation)
    left_out = set_aside_offsets(bootstrap, settings, topic)
    report = TrialReport(0, {each.name: Counter() for each in milestones}, [])
    newest: dict[str, Alert] = {}
    for partition in end_offsets(bootstrap, topic):  # as there are, whatever the settings say
        with tempfile.TemporaryDirectory(prefix="milepost-milestones-") as folder:
            store = Disk(Path(folder) / "0")
            trial = Trial(milestones, store.rocks, store.write)
            clock_ms = 0
            for records in batches(bootstrap, topic, partition, left_out):
                report.touchpoint_count += len(records)
                clock_ms = max(clock_ms, *(each.append_time for each in records))
                newest = _with(newest, trial.take(records, clock_ms), newest_max)
            newest = _with(newest, trial.rest(max(clock_ms, now_ms)), newest_max)
            for name, counts in trial.said().items():
                report.counts[name] += counts
            store.rocks.close()
    report.newest = list(_last(newest, newest_max).values())
    return report


def _with(alerts: dict[str, Alert], told: Iterable[Row], count: int) -> dict[str, Alert]:
    """The last of the alerts and of what is told now, which may correct them."""
    decoded = (decode_alert(value or b"") for _, value in told)
    return _last(alerts | {each.id: each for each in decoded}, max(count, BATCH_RECORDS))


def _last(alerts: dict[str, Alert], count: int) -> dict[str, Alert]:
    """Those that happened last, in the order in which they did."""
    kept = sorted(alerts.values(), key=lambda each: (each.happened_ms, each.id))[-count:] if count else []
    return {each.id: each for each in kept}
