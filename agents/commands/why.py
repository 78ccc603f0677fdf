"""`milepost why ANALYSIS CELL`: who is behind a number, and the touchpoints that made one count."""

import click
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from agents.commands.story import account_of, print_answer
from agents.connection import connect, with_settings
from agents.live_snapshots import Published
from agents.query_client import QueryClient
from agents.reading import read_definitions
from agents.settings import Settings
from agents.terminal.marks import PLURALS, TEXT_MAX, cut
from agents.terminal.story_view import WhyView, moment, signed
from state.figures import needs_clock
from state.figures.flow import address_through
from state.render.through import place_of
from streams.answers import CellsAnswer
from streams.errors import UsageError
from streams.touchpoint import EVENT_TIME_MAX_MS


@click.command(context_settings={"ignore_unknown_options": True})  # steps before an anchor begin with a dash
@click.argument("analysis")
@click.argument("cell")
@click.option("--container", "id_", metavar="ID", help="The touchpoints that made this one count.")
@click.option("--account", help="Whose container it is; without it all workers are asked.")
@click.option("--range", "range_text", metavar="FROM..TO", help="The number of these days, both included, in the zone.")
@click.option(
    "--through", "through_texts", metavar="STEP=ITEM", multiple=True,
    help="The number where only a flow's paths through ITEM in that column are shown; as `milepost snapshot` has it.",
)  # fmt: skip
@click.option(
    "--clock-ms", type=click.IntRange(1, EVENT_TIME_MAX_MS),
    help="For a number of what is over by the clock: that of the snapshot which shows it; by default the newest one's.",
)  # fmt: skip
@click.option("--cursor", help="Go on behind the page that named this.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="Containers of a page.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@with_settings
def command(
    analysis: str,
    cell: str,
    id_: str | None,
    account: str | None,
    range_text: str | None,
    through_texts: tuple[str, ...],
    clock_ms: int | None,
    cursor: str | None,
    limit: int,
    form: str,
    settings: Settings,
) -> None:
    """List the containers behind the number CELL of ANALYSIS; with --container what made one of them count.

    \b
    canvas   *  all    NODE    NODE>NODE  arrow    NODE/fallout
             NODE/second    NODE/by:ITEM    NODE/next:ITEM  and more
    cohort   2026-01  included    2026-01+3  its cell three periods later
             with a dimension ITEM and ITEM+3
    flow     *  all    STEP:ITEM    STEP:ITEM>STEP:ITEM  link
             STEP:ITEM>exit    STEP:ITEM<entry
    All of them, and as JSON what is shown as `more`: docs/formats.md
    """
    if through_texts:
        cell = address_through([place_of(text) for text in through_texts], cell)
    with connect(settings, start=False) as bootstrap:
        client = QueryClient(bootstrap, settings)
        definitions = read_definitions(bootstrap, settings)
        published = Published(bootstrap, settings, analysis)
        definition = published.definition(definitions)
        if range_text is None and definition is not None and definition.analysis.last is not None:
            range_text = published.range()
        if clock_ms is None and definition is not None and needs_clock(definition, cell):
            clock_ms = published.clock_ms()
        # Workers learn one after the other that a former version is retired; one answer is of one version.
        is_changing = definitions.former(analysis) is not None
        version = definition.version if definition is not None and is_changing else None
        number = {"analysis": analysis, "v": version, "cell": cell, "range": range_text, "clock_ms": clock_ms}
        if id_ is None and account is None:
            cells = client.cells(limit, cursor=cursor, **number)
            print_answer(cells, CellsView(cells), form)
            return
        if definition is None:
            raise UsageError(f"there is no analysis {analysis!r}; `milepost snapshot` shows those that there are")
        kind = str(definition.analysis.container)
        if kind == "account":
            why = client.why(id_ or account or "", **number)
        elif id_ is None:
            raise UsageError(f"{analysis} counts {PLURALS[kind]}: name one with --container")
        else:
            # A derived session goes by its person.
            whose = account or account_of(client, kind, id_)
            why = client.why(whose, container=id_, **number)
    print_answer(why, WhyView(why), form)


class CellsView:
    """The rich renderable of a page of containers."""

    def __init__(self, cells: CellsAnswer) -> None:
        self._cells = cells

    def __rich_console__(self, _console: Console, _options: ConsoleOptions) -> RenderResult:
        cells = self._cells
        days = "all days" if cells.range is None else f"{cells.range[0]} to {cells.range[1]}"
        heading = f"{cells.analysis} · {cut(cells.cell, TEXT_MAX)}"
        yield Text.assemble((heading, "bold"), (f"\n{days} · by account", "dim"))
        yield ""
        table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
        table.add_column("adds", justify="right")
        table.add_column("account", no_wrap=True)
        table.add_column("", no_wrap=True)
        for each in cells.containers:
            began = "" if each.started_ms is None else f" from {moment(each.started_ms)}"
            # As Text, so that what came from outside is not taken for markup.
            table.add_row(signed(each.amount), Text(cut(each.account, 60)), Text(cut(each.id or "", 60) + began))
        yield table
        yield ""
        yield Text(self._ending(), "dim")

    def _ending(self) -> str:
        cells = self._cells
        count = f"{len(cells.containers)} here"
        rest = "these are all" if cells.cursor is None else f"there may be more: --cursor {cells.cursor}"
        missing = f" · no worker answered for partitions {cells.missing}" if cells.missing else ""
        unknown = " · – is a series too long to look at in time; --container does" * any(
            each.amount is None for each in cells.containers
        )
        return f"{count}, {rest}{missing}{unknown}"
