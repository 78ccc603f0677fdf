"""A cohort table as a heat table: the share of each cell, warmer where more returned; below it how fast they did."""

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.table import Table
from rich.text import Text

from agents.terminal.marks import PLURALS, TEXT_MAX, cut, duration, footing, heading, number, tenths
from state.render.cohort import NO_VALUE
from streams.snapshot import CohortSnapshot, Share

_LEVELS = "▁▂▃▄▅▆▇█"
_LABEL_WIDTH_MIN = 10
_LABEL_WIDTH_MAX = 24
_INCLUDED_WIDTH = 14
_CELL_WIDTH = 8
# From cold to warm; what stands on it must be readable on dark and on light terminals, so each brings its ink.
_HEAT = (
    "#b9c4cf on #17222d", "#cfe0ee on #1b3a57", "#e6f1fa on #1f557f", "#ffffff on #2573a8", "#0b1520 on #4a98c9",
    "#0b1520 on #7ab8dc", "#0b1520 on #aad5ea", "#0b1520 on #dbeff8",
)  # fmt: skip


class CohortView:
    """The rich renderable of a cohort table; with `rows_max` only the newest periods, or the largest items."""

    def __init__(self, snapshot: CohortSnapshot, rows_max: int | None = None) -> None:
        self._snapshot = snapshot
        self._body = snapshot.body
        self._dimension = snapshot.mode.get("dimension")
        count = len(self._body.rows)
        skipped = 0 if rows_max is None else max(0, count - rows_max)
        self._places = range(skipped, count) if self._dimension is None else range(count - skipped)
        self._labels = self._labels_of_rows()
        self._most = max((share for shares in self._body.shares for share in shares if share is not None), default=0.0)

    def _labels_of_rows(self) -> list[str]:
        labels = [cut(NO_VALUE if row.label is None else row.label, _LABEL_WIDTH_MAX) for row in self._body.rows]
        if self._body.more:
            labels[-1] = f"more ({number(self._body.more)} {'item' if self._body.more == 1 else 'items'})"
        return labels

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        label_width = max([_LABEL_WIDTH_MIN, *map(len, self._labels)])
        room = max(1, (options.max_width - label_width - _INCLUDED_WIDTH) // _CELL_WIDTH)
        columns = self._columns_shown(room)
        plain = console.color_system is None or console.no_color
        yield Group(heading(self._snapshot, self._what()), "", self._table(columns, plain), "", *self._notes(columns))
        if self._body.velocity is not None:
            yield Group("", Text("From the inclusion to the first return", "bold"), self._velocity())
        yield footing(self._snapshot)

    def _what(self) -> str:
        body, containers = self._body, PLURALS[self._snapshot.container]
        of = "percent of the column before" if body.mode == "rolling" else "percent"
        at = "" if self._dimension is None else f", by {cut(self._dimension, TEXT_MAX)} at the inclusion"
        return f"cohort · {containers} · {body.mode} in {of} by {body.granularity}{at}"

    def _columns_shown(self, room: int) -> range:
        """The columns that fit, those nearest to the inclusion."""
        first, count = self._body.first_period, len(self._body.average)
        shown = min(room, count)
        start = max(first, min(-(shown // 2), first + count - shown))
        return range(start, start + shown)

    def _table(self, columns: range, plain: bool) -> Table:
        table = self._frame()
        for k in columns:
            table.add_column(f"{k:+}", justify="right", no_wrap=True, min_width=_CELL_WIDTH - 1)
        for place in self._places:
            table.add_row(*self._row(place, columns, plain))
        table.add_section()
        means = [self._cell(self._body.average[k - self._body.first_period], False, plain) for k in columns]
        table.add_row(Text("average", "bold"), Text(), *means)
        return table

    def _frame(self) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True, header_style="dim")
        table.add_column(Text(cut(self._dimension or self._body.granularity, _LABEL_WIDTH_MAX)), no_wrap=True)
        table.add_column("included", justify="right", no_wrap=True)
        return table

    def _row(self, place: int, columns: range, plain: bool) -> list[Text]:
        row, running, shares = self._body.rows[place], self._body.partial_from[place], self._body.shares[place]
        cells = [
            self._cell(shares[k - self._body.first_period], running is not None and k >= running, plain)
            for k in columns
        ]
        return [Text(self._labels[place]), Text(number(row.included)), *cells]

    def _cell(self, share: Share, partial: bool, plain: bool) -> Text:
        if share is None:
            return Text("·  " if plain else "· ", "dim")
        level = min(7, int(8 * share / self._most)) if self._most else 0
        text = tenths(share) + ("*" if partial else " ")
        if plain:
            return Text(text + _LEVELS[level])
        return Text(f" {text}", _HEAT[level] + (" italic" if partial else ""))

    def _velocity(self) -> Table:
        table = self._frame()
        for name in ("returned", "25% in", "50% in", "75% in", "90% in"):
            table.add_column(name, justify="right", no_wrap=True)
        assert self._body.velocity is not None
        for place in self._places:
            figures = self._body.velocity[place]
            within = (figures.p25_s, figures.p50_s, figures.p75_s, figures.p90_s)
            table.add_row(
                Text(self._labels[place]),
                number(self._body.rows[place].included),
                number(figures.returned),
                *("–" if seconds is None else duration(seconds) for seconds in within),
            )
        return table

    def _notes(self, columns: range) -> list[Text]:
        notes = []
        skipped = len(self._body.rows) - len(self._places)
        if skipped:
            notes.append(f"{'Earlier' if self._dimension is None else 'Smaller'} rows that are not shown: {skipped}.")
        if len(columns) < len(self._body.average):
            hidden = len(self._body.average) - len(columns)
            notes.append(f"Periods that do not fit: {hidden}; widen the terminal or take --format csv.")
        if any(k is not None and k < columns.stop for k in self._body.partial_from):
            notes.append("* the period is not over; the average leaves it out.")
        if self._dimension is not None:
            notes.append("A cell is of those only whose period is over; see `of` in --format json.")
        if self._body.velocity is not None and any(k is not None for k in self._body.partial_from):
            notes.append("Rows with a running period have only their quick returns so far.")
        return [Text(note, "dim") for note in notes]
