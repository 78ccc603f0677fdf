"""The example of docs/audiences.md is what a partition tells."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from state.audience_set import AudienceDefinition
from streams.membership import MembershipChange
from streams.touchpoint import MILLIONTHS, Touchpoint
from tests.docs.test_milestones import file_of, moment_ms, tables_of
from tests.state.audience_worlds import with_audiences
from tests.state.partitions import Partition
from tests.state.worlds import touchpoint

PAGE = Path("docs/audiences.md").read_text(encoding="utf-8")
TOUCHPOINTS, MEMBERS, CHANGES, *_ = tables_of(PAGE)


class Listening(Partition):
    """Keeps every change that is told."""

    def __init__(self, *arguments: Any) -> None:
        self.told: list[MembershipChange] = []
        super().__init__(*arguments)

    def _hear_of_members(self, key: bytes, change: MembershipChange) -> None:
        super()._hear_of_members(key, change)
        self.told.append(change)


def touchpoints() -> list[Touchpoint]:
    """Those of the first table."""
    return [_touchpoint(str(number), row) for number, row in enumerate(TOUCHPOINTS, 1)]


def _touchpoint(event_id: str, row: dict[str, str]) -> Touchpoint:
    attributes = {name: row[name] for name in ("stage", "consent", "domain") if row[name]}
    return touchpoint(
        event_id,
        moment_ms(row["event_time"]),
        row["type"],
        account=row["account"],
        person=row["person"],
        value=int(row["value"]) * MILLIONTHS if row["value"] else None,
        attributes=attributes or None,
    )


def played() -> Listening:
    """The example, event by event, and on to its clock."""
    file = file_of(PAGE)
    partition = Listening(with_audiences(*(AudienceDefinition(each.name, "", each) for each in file.audiences)))
    for each in touchpoints():
        partition.clock_ms = each.event_time
        partition.rest()
        partition.take([each])
    partition.clock_ms = moment_ms("2026-03-29 12:00")
    partition.rest()
    return partition


def whose(change: MembershipChange) -> str:
    """In the words of the page."""
    return change.account if change.container is None else f"{change.account}, {change.kind} {change.container}"


def test_the_example_has_the_members_that_stand_there() -> None:
    """Of every audience of it."""
    members = list(played().members.values())
    for row in MEMBERS:
        found = sorted(whose(each) for each in members if each.audience == row["audience"])
        assert "; ".join(found) == row["members"]
    assert {each.audience for each in members} <= {row["audience"] for row in MEMBERS}


def test_the_example_tells_the_changes_that_stand_there() -> None:
    """All of these audiences, in the order in which they happened; and the one that is printed word for word but for
    its id."""
    shown = {row["audience"] for row in CHANGES}
    told = sorted((each for each in played().told if each.audience in shown), key=lambda each: each.happened_ms)
    assert [_row(each) for each in told] == CHANGES
    printed = re.search(r"^```json\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert printed is not None
    found: dict[str, Any] = msgspec.to_builtins(told[0])
    assert {**found, "id": "ID"} == json.loads(printed[1])


def _row(change: MembershipChange) -> dict[str, str]:
    return {
        "audience": change.audience,
        "whose": whose(change),
        "change": change.change,
        "happened": f"{datetime.fromtimestamp(change.happened_ms / 1000, UTC):%Y-%m-%d %H:%M}",
        "reason": change.reason,
    }
