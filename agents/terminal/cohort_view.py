"""A cohort table as a heat table: the share of each cell, warmer where more returned."""

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.table import Table
from rich.text import Text

from agents.terminal.marks import PLURALS, footing, heading, number, tenths
from streams.snapshot import CohortSnapshot, Share

_LEVELS = "▁▂▃▄▅▆▇█"
_HEAD_WIDTH = 24
_CELL_WIDTH = 8
# From cold to warm; what stands on it must be readable on dark and on light terminals, so each brings its ink.
_HEAT = (
    "#b9c4cf on #17222d", "#cfe0ee on #1b3a57", "#e6f1fa on #1f557f", "#ffffff on #2573a8", "#0b1520 on #4a98c9",
    "#0b1520 on #7ab8dc", "#0b1520 on #aad5ea", "#0b1520 on #dbeff8",
)  # fmt: skip


class CohortView:
    """The rich renderable of a cohort table; with `rows_max` only the newest rows."""

    def __init__(self, snapshot: CohortSnapshot, rows_max: int | None = None) -> None:
        self._snapshot = snapshot
        self._body = snapshot.body
        self._skipped = 0 if rows_max is None else max(0, len(self._body.rows) - rows_max)
        self._most = max((share for shares in self._body.shares for share in shares if share is not None), default=0.0)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        body, containers = self._body, PLURALS[self._snapshot.container]
        columns = len(body.average)
        shown = min(columns, max(1, (options.max_width - _HEAD_WIDTH) // _CELL_WIDTH))
        plain = console.color_system is None or console.no_color
        what = f"cohort · {containers} · {body.mode} in percent by {body.granularity}"
        yield Group(heading(self._snapshot, what), "", self._table(shown, plain), "", *self._notes(shown, columns))

    def _table(self, shown: int, plain: bool) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True, header_style="dim")
        table.add_column(self._body.granularity, no_wrap=True)
        table.add_column("included", justify="right", no_wrap=True)
        for k in range(shown):
            table.add_column(f"+{k}", justify="right", no_wrap=True, min_width=_CELL_WIDTH - 1)
        for place in range(self._skipped, len(self._body.rows)):
            table.add_row(*self._row(place, shown, plain))
        table.add_section()
        means = [self._cell(share, False, plain) for share in self._body.average[:shown]]
        table.add_row(Text("average", "bold"), Text(), *means)
        return table

    def _row(self, place: int, shown: int, plain: bool) -> list[Text]:
        row, running = self._body.rows[place], self._body.partial_from[place]
        shares = self._body.shares[place][:shown]
        cells = [self._cell(share, running is not None and k >= running, plain) for k, share in enumerate(shares)]
        return [Text(row.label), Text(number(row.included)), *cells]

    def _cell(self, share: Share, partial: bool, plain: bool) -> Text:
        if share is None:
            return Text("·  " if plain else "· ", "dim")
        level = min(7, int(8 * share / self._most)) if self._most else 0
        text = tenths(share) + ("*" if partial else " ")
        if plain:
            return Text(text + _LEVELS[level])
        return Text(f" {text}", _HEAT[level] + (" italic" if partial else ""))

    def _notes(self, shown: int, columns: int) -> list[Text]:
        notes = []
        if self._skipped:
            notes.append(f"Earlier rows that are not shown: {self._skipped}.")
        if shown < columns:
            notes.append(f"Periods that do not fit: {columns - shown}; widen the terminal or take --format csv.")
        if any(k is not None and k < shown for k in self._body.partial_from):
            notes.append("* the period is not over; the average leaves it out.")
        return [*(Text(note, "dim") for note in notes), footing(self._snapshot)]
