"""Where what was told of a milestone and the batch computation differ.

The law: what stands was told of something that is true by the partition's clock, with the moment at which it happened;
and everything true is told that happened since the milestone's alerts begin. What happened before may stand too, where
a late event moved it there. What another version told is its own affair.
"""

from collections.abc import Iterator, Mapping

from check.compare import Difference
from check.milestones import Key, waits_for_time
from state.milestone_set import MilestoneDefinition
from streams.alert import Alert

TOLD_LATE_MS = 60_000
"""What time brings about is told in a commit behind the one whose clock says so, about a second later."""


def alert_differences(
    made: MilestoneDefinition, claims: Mapping[Key, int], alerts: Mapping[Key, Alert | None], clocks: Mapping[int, int]
) -> tuple[int, list[Difference]]:
    """How many were compared, and what differs. claims: when each happened, or will have. alerts: the newest revision
    of each that was told, None for those not to be compared. clocks: by partition."""
    waits = waits_for_time(made.milestone)
    true = {key: moment for key, moment in claims.items() if not waits or moment <= clocks.get(key.part, 0)}
    compared = {key for key in {**true, **alerts} if key not in alerts or alerts[key] is not None}
    differences = []
    for key in sorted(compared, key=str):
        expected, found = true.get(key), _standing(alerts.get(key))
        # What time brings about is told by then; everything else at once.
        told_by = clocks.get(key.part, 0) - TOLD_LATE_MS if waits else None
        if not _is_right(made, expected, found, told_by):
            differences.append(
                Difference(_named(key), expected, None if found is None else found.happened_ms, key.part)
            )
    return len(compared), differences


def _standing(alert: Alert | None) -> Alert | None:
    return None if alert is None or alert.state == "revoked" else alert


def _is_right(made: MilestoneDefinition, expected: int | None, found: Alert | None, told_by: int | None) -> bool:
    if found is None:
        return not _is_told(made, expected) or (told_by is not None and expected is not None and expected > told_by)
    return found.happened_ms == expected or (found.version != made.version and not _is_told(made, expected))


def _is_told(made: MilestoneDefinition, moment: int | None) -> bool:
    return moment is not None and moment >= made.since_ms


def _named(key: Key) -> str:
    """Whose it is, in words."""
    parts: Iterator[str | None] = iter((f"account {key.account}", key.id, key.episode))
    return ", ".join(part for part in parts if part is not None)
