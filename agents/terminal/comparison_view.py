"""Two rows of a cohort side by side, with what is known of their difference, and how well."""

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from agents.terminal.marks import TEXT_MAX, cut, duration, number, percent
from state.intervals import Interval
from state.render.comparison import Comparison, Side

_LABEL_WIDTH_MAX = 24


class ComparisonView:
    """The rich renderable of a comparison."""

    def __init__(self, comparison: Comparison) -> None:
        self._it = comparison
        self._first, self._second = (cut(side.label, TEXT_MAX) for side in (comparison.first, comparison.second))

    def __rich_console__(self, _console: Console, _options: ConsoleOptions) -> RenderResult:
        it = self._it
        yield Text.assemble((f"{cut(it.analysis, TEXT_MAX)}: {self._first} and {self._second}", "bold"))
        yield Text(
            f"first returns within {it.granularity}s 0 to {it.periods}, of those for whom these are over\n", "dim"
        )
        yield self._table()
        yield Text()
        yield Text(self._difference())
        yield Text(self._sooner())
        yield Text(self._meaning())

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True, header_style="dim")
        table.add_column(Text(cut(self._it.by, _LABEL_WIDTH_MAX)), no_wrap=True)
        for name in ("included", "returned", "share", "25% in", "50% in", "75% in", "90% in"):
            table.add_column(name, justify="right", no_wrap=True)
        for side in (self._it.first, self._it.second):
            table.add_row(*self._row(side))
        return table

    def _row(self, side: Side) -> list[str | Text]:
        v = side.velocity
        within = ["–" if s is None else duration(s) for s in (v.p25_s, v.p50_s, v.p75_s, v.p90_s)]
        label = Text(cut(side.label, _LABEL_WIDTH_MAX))
        return [label, number(side.included), number(side.returned), percent(side.share), *within]

    def _difference(self) -> str:
        it = self._it
        how = "more" if it.difference >= 0 else "fewer"
        said = f"Of {self._first} {abs(it.difference):.2f} percentage points {how} returned than of {self._second}"
        return f"{said} ({self._interval(it.difference_interval)}; {it.difference_method})."

    def _sooner(self) -> str:
        it = self._it
        if it.sooner is None:
            return "How soon they return can not be compared: on one side nobody has."
        said = f"Of a return of each, that of {self._first} is the sooner one in {it.sooner:.2f}% of pairs, ties halved"
        if it.sooner_interval is None:
            return f"{said} ({it.sooner_method} give no interval where durations do not overlap or there is only one)."
        return f"{said} ({self._interval(it.sooner_interval)}; {it.sooner_method})."

    def _interval(self, interval: Interval) -> str:
        return f"{self._it.level:.0%} interval {interval[0]:.2f} to {interval[1]:.2f}"

    def _meaning(self) -> str:
        """Whether rows go with returning, or with how soon; never why."""
        it = self._it
        with_ = [
            *(["whether they return"] if not _holds(it.difference_interval, 0) else []),
            *(["how soon"] if it.sooner_interval is not None and not _holds(it.sooner_interval, 50) else []),
        ]
        if not with_:
            return "It may all be chance: no interval leaves out what equal rows would give."
        what = f"{it.by} of inclusion" if it.by == it.granularity else cut(it.by, TEXT_MAX)
        return f"The {what} correlates with {' and '.join(with_)}; why is not in these numbers."


def _holds(interval: Interval, figure: float) -> bool:
    return interval[0] <= figure <= interval[1]
