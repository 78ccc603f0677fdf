"""A flow as columns side by side, each with its most frequent items, the rest and what ends there; then whole paths."""

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.table import Table
from rich.text import Text

from agents.terminal.marks import PLURALS, TEXT_MAX, bar, cut, footing, heading, number, percent
from streams.snapshot import FlowColumn, FlowSequence, FlowSnapshot, Mark

_COLUMN_WIDTH_MIN = 16
_COLUMN_WIDTH_MAX = 30
_GAP = 3
_SHARE_FROM_WIDTH = 22
_SEQUENCES_SHOWN = 8
_SIGN_BY_MARK: dict[Mark, str] = {"loop": "↻", "skip": "↷", "back": "↶"}
_MEANING_BY_MARK: dict[Mark, str] = {
    "loop": "was in the path before",
    "skip": "skips a stage",
    "back": "goes back to an earlier stage",
}


class FlowView:
    """The rich renderable of a flow."""

    def __init__(self, snapshot: FlowSnapshot) -> None:
        self._snapshot = snapshot
        self._body = snapshot.body
        self._counts_paths = self._body.sequences is not None
        self._marks = {(each.sequence, each.step): each.marks for each in self._body.sequence_marks}
        self._most = max((item.count for column in self._body.columns for item in column.items), default=0)

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        mode, containers = self._snapshot.mode, PLURALS[self._snapshot.container]
        counted = f"paths of {containers}" if self._counts_paths else containers
        parts = [heading(self._snapshot, f"flow · {counted} by {cut(mode.get('dimension', ''), TEXT_MAX)}")]
        parts += [*self._totals(counted), Text()]
        shown = self._columns_shown(options.max_width)
        group = Group(*parts, self._grid(shown, options.max_width), *self._notes(shown))
        yield group
        if self._body.sequences:
            yield Text("\nMost frequent paths", "bold")
            yield self._sequences(self._body.sequences[:_SEQUENCES_SHOWN], options.max_width)
            yield from self._legend()
        yield Text()
        yield footing(self._snapshot)

    def _totals(self, counted: str) -> list[Text]:
        """How many are shown, of how many, and how many the filters of columns leave out."""
        through, left_out = self._body.through, self._body.left_out
        if through is None:
            lines = [f"{number(self._body.total)} {counted} in all"]
        else:
            places = " and ".join(f"{cut(item, TEXT_MAX)} ({self._step_name(step)})" for step, item in through.items)
            part = f"{number(self._body.total)} of {number(through.all)}"
            lines = [f"{part} {counted}, {percent(through.share)}, through {places}"]
        if left_out is not None:
            lines.append(f"{number(left_out)} more that the columns' filters leave out")
        return [Text(line) for line in lines]

    def _columns_shown(self, width: int) -> list[FlowColumn]:
        """Those nearest to the anchor that fit, from left to right in the order of time."""
        room = max(1, (width + _GAP) // (_COLUMN_WIDTH_MIN + _GAP))
        nearest = sorted(self._body.columns, key=lambda column: abs(column.step))[:room]
        return sorted(nearest, key=lambda column: column.step)

    def _notes(self, shown: list[FlowColumn]) -> list[Text]:
        hidden = len(self._body.columns) - len(shown)
        if not hidden:
            return []
        return [Text(f"\nColumns that do not fit: {hidden}; widen the terminal or take --format csv.", "dim")]

    def _grid(self, columns: list[FlowColumn], width: int) -> Table:
        count = max(1, len(columns))
        each = min(_COLUMN_WIDTH_MAX, (width - _GAP * (count - 1)) // count)
        grid = Table.grid(padding=(0, _GAP, 0, 0))
        for _ in columns:
            grid.add_column(width=each, no_wrap=True)
        grid.add_row(*(Text(self._step_name(column.step), "dim underline") for column in columns))
        for titles in self._own_titles(columns, each):
            grid.add_row(*(Text(title, "dim italic") for title in titles))
        grid.add_row(*(self._column(column, each) for column in columns))
        return grid

    def _step_name(self, step: int) -> str:
        if step == 0:
            anchored = any(name in self._snapshot.mode for name in ("starts_with", "ends_with", "contains"))
            return "anchor" if anchored else "first"
        return f"{abs(step)} before" if step < 0 else f"{step} later"

    def _own_titles(self, columns: list[FlowColumn], width: int) -> list[list[str]]:
        """Lines above the items: dimensions and filters, where any column has some of its own."""
        steps = {step["step"]: step for step in self._snapshot.mode.get("steps", [])}
        dimensions, filters = [], []
        for column in columns:
            step = steps.get(column.step, {})
            items = " or ".join(step.get("only") or step.get("except") or [])
            dimensions.append(cut(f"by {column.dimension}" if column.dimension else "", width))
            filters.append(cut(f"{'only' if step.get('only') else 'not'} {items}" if items else "", width))
        return [titles for titles in (dimensions, filters) if any(titles)]

    def _column(self, column: FlowColumn, width: int) -> Text:
        lines = Text()
        for item in column.items:
            lines.append(cut(item.item, width) + "\n", "bold" if column.step == 0 else "")
            lines.append_text(self._measure(item.count, width, "cyan"))
        if column.more.item_count:
            items = "item" if column.more.item_count == 1 else "items"
            lines.append(cut(f"more ({number(column.more.item_count)} {items})", width) + "\n", "dim italic")
            if column.more.count is not None:
                lines.append_text(self._measure(column.more.count, width, "bright_black"))
        for direction, said in ((-1, "begin here"), (1, "end here")):
            ended = sum(end.count for end in column.exits if end.direction == direction)
            if ended:
                lines.append(cut(said, width) + "\n", "red")
                lines.append_text(self._measure(ended, width, "red"))
        lines.rstrip()
        return lines

    def _measure(self, count: int, width: int, style: str) -> Text:
        """A bar, behind it the count, and the share of all where there is room; the longest bar leaves that room."""
        wide = width >= _SHARE_FROM_WIDTH
        most = max(self._most, self._body.total)
        bar_width = max(1, width - len(f" {number(most)}") - (7 if wide else 0))
        share = f" {percent(100 * count / most):>6}" if wide else ""
        return Text.assemble((bar(count, most, bar_width), style), f" {number(count)}", (share, "dim"), "\n")

    def _sequences(self, sequences: list[FlowSequence], width: int) -> Table:
        table = Table.grid(padding=(0, 1, 0, 0))
        table.add_column(justify="right", no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(max_width=max(20, width - 20))
        for place, each in enumerate(sequences):
            share = 100 * each.count / self._body.total
            table.add_row(number(each.count), Text(percent(share), "dim"), self._path(place, each))
        return table

    def _path(self, place: int, sequence: FlowSequence) -> Text:
        """The items in the order of time, with signs behind those that have marks. place: among the sequences."""
        parts = []
        for step, item in enumerate([*reversed(sequence.back), *sequence.fore], -len(sequence.back)):
            part = Text(cut(item, TEXT_MAX), "bold" if step == 0 else "")
            for mark in self._marks.get((place, step), []):
                part.append(f" {_SIGN_BY_MARK[mark]}", "magenta")
            parts.append(part)
        return Text(" → ").join(parts)

    def _legend(self) -> list[Text]:
        """What the signs say that stand in the paths shown."""
        used = {mark for (place, _), marks in self._marks.items() if place < _SEQUENCES_SHOWN for mark in marks}
        return [Text(f"{sign} {_MEANING_BY_MARK[mark]}", "dim") for mark, sign in _SIGN_BY_MARK.items() if mark in used]
