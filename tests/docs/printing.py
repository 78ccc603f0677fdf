"""What a command prints of a worked example, in a terminal of WIDTH columns without colours."""

import csv
import io
import shlex
from typing import Any

import click
import msgspec
from rich.console import Console, RenderableType

from agents.commands.why import CellsView
from agents.main import cli
from agents.terminal.comparison_view import ComparisonView
from agents.terminal.csv_rows import csv_rows
from agents.terminal.story_view import StoryView, WhyView
from agents.terminal.view import view_of
from state.figures import needs_clock
from state.figures.flow import address_through
from state.render.comparison import comparison_of
from state.render.ranges import range_of
from state.render.through import place_of
from streams.answers import CellsAnswer, StoryAnswer, WhyAnswer
from tests.docs.live import Live

WIDTH = 100


def printed(command: str, live: Live) -> str:
    """The lines that `$ milepost ...` prints. Its options are read as the command itself reads them."""
    words = shlex.split(command.removeprefix("$ milepost "), comments=True)
    found = cli.get_command(click.Context(cli), words[0])
    assert found is not None, f"there is no command {words[0]!r}"
    options = found.make_context(words[0], words[1:]).params
    match words[0]:
        case "snapshot":
            return _snapshot(live, options)
        case "why":
            return _drawn(_why(live, options))
        case "account":
            return _drawn(_story(live, options))
    raise AssertionError(f"no page can show what {words[0]} prints")


def _drawn(view: RenderableType) -> str:
    console = Console(width=WIDTH, file=io.StringIO(), color_system=None)
    console.print(view)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.rstrip().splitlines()) + "\n"


def _snapshot(live: Live, options: dict[str, Any]) -> str:
    name = options["name"]
    wanted = None if options["range_text"] is None else range_of(options["range_text"])
    if options["labels"] is not None:
        definition, sums = live.definition(name), live.sums(wanted)
        clock_ms = sums.covers[0].clock_ms
        totals = sums.totals(definition.version)
        return _drawn(ComparisonView(comparison_of(definition, totals, clock_ms, options["labels"], options["within"])))
    snapshot = live.snapshot(name, wanted, [place_of(text) for text in options["through_texts"]])
    if options["form"] == "csv":
        written = io.StringIO()
        csv.writer(written, lineterminator="\n").writerows(csv_rows(snapshot))
        return written.getvalue()
    return _drawn(view_of(snapshot))


def _why(live: Live, options: dict[str, Any]) -> RenderableType:
    name, cell = options["analysis"], options["cell"]
    if options["through_texts"]:
        cell = address_through([place_of(text) for text in options["through_texts"]], cell)
    clock_ms = live.snapshot(name).clock_ms if needs_clock(live.definition(name), cell) else None
    number = {"analysis": name, "cell": cell, "range": options["range_text"], "clock_ms": clock_ms}
    if options["id_"] is None:
        return CellsView(msgspec.json.decode(live.answer("/v1/cells", **number), type=CellsAnswer))
    whose = {"account": options["account"], "container": options["id_"]}
    if options["account"] is None:
        whose = {"account": options["id_"]}
    return WhyView(msgspec.json.decode(live.answer("/v1/why", **number, **whose), type=WhyAnswer))


def _story(live: Live, options: dict[str, Any]) -> RenderableType:
    query = {name: options[name] for name in ("limit", "types", "people", "channels")}
    for side in ("before", "after"):
        if options[f"{side}_milestone"] is not None:
            query |= {"milestone": options[f"{side}_milestone"], "side": side}
    answer = live.answer(f"/v1/account/{options['id_']}/story", **query)
    return StoryView(msgspec.json.decode(answer, type=StoryAnswer))
