"""Plans for the tests, and a plan's records with what milepost reads in them."""

from dataclasses import replace
from typing import Any, NamedTuple

from generator.plan import GeneratorPlan, GroundTruth
from generator.rhythm import DAY_MS
from generator.stream import generate
from streams.event_parsing import Rejection, touchpoint_of
from streams.touchpoint import Touchpoint

END_MS = 20_454 * DAY_MS  # 2026-01-01
START_MS = END_MS - 365 * DAY_MS
FAULTLESS: dict[str, Any] = {
    "late": 0.0, "duplicates": 0.0, "corrections": 0.0, "withdrawals": 0.0, "bad": 0.0,
}  # fmt: skip
PLAN = GeneratorPlan(events=40_000, accounts=800, seed=7, start_ms=START_MS, end_ms=END_MS)


class Run(NamedTuple):
    """A plan's records in order of arrival, what ingest makes of each, and the ground truth."""

    plan: GeneratorPlan
    records: list[tuple[str, bytes]]
    read: list[Touchpoint | Rejection]
    truth: GroundTruth

    @property
    def touchpoints(self) -> list[Touchpoint]:
        """The accepted records, in order of arrival."""
        return [each for each in self.read if isinstance(each, Touchpoint)]

    @property
    def rejections(self) -> list[Rejection]:
        """The others."""
        return [each for each in self.read if isinstance(each, Rejection)]


def run(plan: GeneratorPlan = PLAN, **changes: Any) -> Run:
    """Generates a plan and reads every record as ingest does, at the end of the window."""
    plan, truth = replace(plan, **changes), GroundTruth()
    records = [record for batch in generate(plan, truth) for record in batch]
    read = [
        touchpoint_of(payload, topic.removesuffix("-events"), plan.end_ms, (topic, 0, offset), 300_000)
        for offset, (topic, payload) in enumerate(records)
    ]
    return Run(plan, records, read, truth)
