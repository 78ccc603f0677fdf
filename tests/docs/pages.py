"""The worked examples of `docs/analyses`: what their commands print of the touchpoints that stand above them.

A page is read from top to bottom: a table whose first column is `event_time` gives touchpoints, in the order of their
arrival; "clock stands at" and a time give the clock; a YAML block with `analyses` gives the definitions; a text block
that begins with `$ milepost` is what that command prints then. `python -m tests.docs.pages` writes into the pages what
their commands print.
"""

import re
import tempfile
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from agents.defining import load_definitions
from state.definition_set import Definition, DefinitionSet
from streams.touchpoint import MILLIONTHS, Touchpoint
from tests.docs.live import Live
from tests.docs.printing import printed
from tests.state.worlds import touchpoint

PAGES = sorted(Path("docs/analyses").glob("*.md"))
_PART = re.compile(
    r"^```text\n(?P<printed>\$ milepost .*?)^```$"
    r"|^```yaml\n(?P<definitions>.*?)^```$"
    r"|^(?P<table>\| event_time \|.*?\n)(?!\|)"
    r"|clock stands at (?P<clock>\d{4}-\d\d-\d\d \d\d:\d\d) UTC",
    re.DOTALL | re.MULTILINE,
)


class Example(NamedTuple):
    """What commands are asked about."""

    touchpoints: list[Touchpoint] = []
    definitions: DefinitionSet = DefinitionSet(())
    clock_ms: int = 0

    def live(self) -> Live:
        """The example, computed as a worker does."""
        return Live(self.definitions, self.touchpoints, self.clock_ms)


class Page:
    """A page as it would be if what it prints were computed anew; its commands, each with what it is asked about."""

    def __init__(self, text: str) -> None:
        self.examples: list[tuple[str, Example]] = []
        self._example = Example()
        self.text = _PART.sub(self._taken, text)

    def _taken(self, part: re.Match[str]) -> str:
        example = self._example
        if part["table"]:
            self._example = example._replace(touchpoints=touchpoints_of(part["table"]))
        elif part["clock"]:
            self._example = example._replace(clock_ms=_moment_ms(part["clock"]))
        elif part["printed"]:
            command = part["printed"].splitlines()[0]
            self.examples.append((command, example))
            return f"```text\n{command}\n{printed(command, example.live())}```"
        elif "analyses:" in part["definitions"]:
            self._example = example._replace(definitions=definitions_of(part["definitions"]))
        return part[0]


def definitions_of(text: str) -> DefinitionSet:
    """The set that a definition file makes, each analysis with its name as version."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "definitions.yaml"
        path.write_text(text, encoding="utf-8")
        file = load_definitions(path)
    return DefinitionSet(tuple(Definition(each.name, file.zone, file.week_start, "", each) for each in file.analyses))


def touchpoints_of(table: str) -> list[Touchpoint]:
    """The rows of a Markdown table whose columns are fields of a touchpoint; an empty field is missing.

    `arrived` says when a touchpoint came; without it, it came when it happened.
    """
    header, _, *rows = (
        [field.strip() for field in line.strip().strip("|").split("|")] for line in table.splitlines() if line
    )
    return [
        _touchpoint(str(number), {name: field for name, field in zip(header, row, strict=True) if field})
        for number, row in enumerate(rows, 1)
    ]


def _touchpoint(event_id: str, fields: dict[str, Any]) -> Touchpoint:
    event_time = _moment_ms(fields.pop("event_time"))
    arrived = _moment_ms(fields.pop("arrived")) if "arrived" in fields else event_time
    if "value" in fields:
        fields["value"] = int(Decimal(fields["value"]) * MILLIONTHS)
    if "revision" in fields:
        fields["revision"] = int(fields["revision"])
    prefix = "attributes."
    attributes = {name.removeprefix(prefix): fields.pop(name) for name in list(fields) if name.startswith(prefix)}
    return touchpoint(event_id, event_time, ingest_time=arrived, attributes=attributes or None, **fields)


def _moment_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(Page(path.read_text(encoding="utf-8")).text, encoding="utf-8")
