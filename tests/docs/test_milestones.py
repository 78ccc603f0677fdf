"""The example of docs/milestones.md is what a partition tells."""

import json
import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from agents.defining import load_definitions
from state.definition_set import DefinitionSet
from state.definitions import DefinitionFile
from state.milestone_set import MilestoneDefinition
from streams.alert import Alert
from streams.touchpoint import MILLIONTHS, Touchpoint
from tests.state.partitions import Partition
from tests.state.worlds import touchpoint

PAGE = Path("docs/milestones.md").read_text(encoding="utf-8")


def tables_of(page: str) -> list[list[dict[str, str]]]:
    """Every table as rows by the names of its columns; one without names has none."""
    found = []
    for text in re.findall(r"^\|.*?\n(?!\|)", page.replace("\\|", "/"), re.DOTALL | re.MULTILINE):
        names, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines())
        found.append([dict(zip(names, row, strict=True)) for row in rows])
    return found


def file_of(page: str) -> DefinitionFile:
    """The first YAML block, as a definition file."""
    text = re.search(r"^```yaml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert text is not None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.yaml"
        path.write_text(text[1], encoding="utf-8")
        return load_definitions(path)


def moment_ms(text: str) -> int:
    """Of a time as the page has it."""
    return int(datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=UTC).timestamp() * 1000)


def touchpoints() -> list[Touchpoint]:
    """Those of the first table."""
    return [_touchpoint(str(number), row) for number, row in enumerate(tables_of(PAGE)[0], 1)]


def _touchpoint(event_id: str, row: dict[str, str]) -> Touchpoint:
    attributes = {name: row[name] for name in ("stage", "owner") if row[name]}
    return touchpoint(
        event_id,
        moment_ms(row["event_time"]),
        row["type"],
        account=row["account"],
        person=row["person"] or None,
        stream=row["stream"],
        value=int(row["value"]) * MILLIONTHS if row["value"] else None,
        attributes=attributes or None,
    )


def definitions() -> DefinitionSet:
    """The milestones of the YAML block, as published on the day that the page names."""
    file = file_of(PAGE)
    since_ms = moment_ms("2026-03-01 00:00")
    return DefinitionSet((), (), tuple(MilestoneDefinition(each.name, since_ms, each) for each in file.milestones))


def told(alert: Alert) -> dict[str, str]:
    """An alert as a row of the second table."""
    who = alert.who
    return {
        "milestone": alert.milestone,
        "whose": who.account if who.id is None else f"{who.account}, {who.kind} {who.id}",
        "happened": f"{datetime.fromtimestamp(alert.happened_ms / 1000, UTC):%Y-%m-%d %H:%M}",
        "led by": ", ".join(each.type for each in alert.touchpoints),
    }


def test_the_example_tells_what_stands_there() -> None:
    """Every milestone of it once, and the one that is printed word for word but for its id."""
    partition = Partition(definitions())
    partition.clock_ms = moment_ms("2026-03-29 12:00")
    partition.take(touchpoints())
    partition.rest()
    by_name = {each.milestone: each for each in partition.alerts.values()}
    assert [told(by_name[row["milestone"]]) for row in tables_of(PAGE)[1]] == tables_of(PAGE)[1]
    assert len(partition.alerts) == len(tables_of(PAGE)[1])
    printed = re.search(r"^```json\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert printed is not None
    found: dict[str, Any] = msgspec.to_builtins(by_name["ordered"])
    assert {**found, "id": "ID"} == json.loads(printed[1])
