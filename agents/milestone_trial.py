"""Runs milestones over the touchpoints in Kafka, partition after partition, in a folder that is gone afterwards."""

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from agents.dead_letters import set_aside_offsets
from agents.settings import Settings
from agents.trials import BATCH_RECORDS, Disk, batches
from state.milestone_set import MilestoneDefinition
from state.milestone_trial import Trial
from streams.alert import Alert, decode_alert
from streams.topics import topic_name


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
            store = Disk(Path(folder) / "0")
            trial = Trial(milestones, store.rocks, store.write)
            for records in batches(bootstrap, topic, partition, left_out):
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


def _last(alerts: dict[str, Alert], count: int) -> dict[str, Alert]:
    """Those that happened last, in the order in which they did."""
    kept = sorted(alerts.values(), key=lambda each: (each.happened_ms, each.id))[-count:] if count else []
    return {each.id: each for each in kept}
