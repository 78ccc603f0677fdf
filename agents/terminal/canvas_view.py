"""A canvas as a tree: every node below the first that leads to it, with bars, percentages and fallout."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.table import Table
from rich.text import Text

from agents.terminal.canvas_details import amount, details_of
from agents.terminal.marks import PLURALS, TEXT_MAX, bar, cut, footing, heading, number, percent
from streams.snapshot import CanvasSnapshot, NodeFigures

_METRICS = {"containers": "{}", "events": "events of {}", "value": "value by {}"}
_SHARES = ("of total", "of start", "of previous")
_NAME_WIDTH, _NAME_WIDTH_MIN = 24, 12
_BAR_WIDTH_MIN, _BAR_WIDTH_MAX = 7, 40
_ABOVE = "↑ above"


class Branch(msgspec.Struct, frozen=True):
    """One line of the tree: the guide before it, the node, the arrow that leads here, and whether the node stands
    further up already."""

    guide: str
    node: str
    arrow: str | None
    again: bool


class CanvasView:
    """The rich renderable of a canvas."""

    def __init__(self, snapshot: CanvasSnapshot) -> None:
        self._snapshot = snapshot
        self._body = snapshot.body
        # Money is no share of containers: with that metric all three are null.
        self._has_shares = snapshot.mode.get("metric") != "value"
        self._titles = titles_of(snapshot)
        self._branches = list(branches_of(snapshot))
        self._most = max((_amount(figures) for figures in self._body.nodes.values()), default=0)

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        containers = PLURALS[self._snapshot.container]
        what = _METRICS[self._snapshot.mode.get("metric", "containers")].format(containers)
        whole = Text.assemble(f"{number(self._body.total)} ", f"{containers} in all")
        head = heading(self._snapshot, f"canvas · {what}")
        details = [part for table in details_of(self._snapshot, self._titles) for part in ("", table)]
        caption = self._caption(containers)
        yield Group(head, whole, *caption, "", self._table(options), *details, "", footing(self._snapshot))

    def _caption(self, containers: str) -> list[Text]:
        """Which end converts best, in words."""
        best = self._body.caption
        if best is None:
            return []
        of = f"all {containers}" if best.start is None else cut(self._titles[best.start], TEXT_MAX)
        end = cut(self._titles[best.end], TEXT_MAX)
        return [Text(f"best: {percent(best.share)} of {of} come to {end} ({number(best.containers)})")]

    def _table(self, options: ConsoleOptions) -> Table:
        columns = self._columns()
        names = max(cell_len(branch.guide + self._titles[branch.node]) for branch in self._branches)
        # Names come before bars in what the figures leave, and before the shares that a narrow terminal can not hold.
        while (room := _room(options.max_width, columns)) < min(names, _NAME_WIDTH) + _BAR_WIDTH_MIN:
            share = next((title for title in _SHARES if title in columns), None)
            if share is None:
                break
            del columns[share]
        name_width = max(_NAME_WIDTH_MIN, min(names, room - _BAR_WIDTH_MIN))
        bar_width = max(_BAR_WIDTH_MIN, min(_BAR_WIDTH_MAX, room - name_width))
        table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
        table.add_column("", no_wrap=True)
        table.add_column("", no_wrap=True, width=bar_width)
        for title in columns:
            table.add_column(title, justify="right", no_wrap=True)
        for branch, *figures in zip(self._branches, *columns.values(), strict=True):
            table.add_row(self._name(branch, name_width), self._bar(branch, bar_width), *figures)
        return table

    def _name(self, branch: Branch, width: int) -> Text:
        name = cut(self._titles[branch.node], width - len(branch.guide))
        return Text.assemble((branch.guide, "dim"), (name, "dim italic" if branch.again else ""))

    def _bar(self, branch: Branch, width: int) -> Text:
        if branch.again:
            return Text(_ABOVE, "dim")
        return Text(bar(_amount(self._body.nodes[branch.node]), self._most, width), "cyan")

    def _columns(self) -> dict[str, list[Text]]:
        """The columns of figures by their titles; a line below a further parent has only the arrow's."""
        lines = [(branch, None if branch.again else self._body.nodes[branch.node]) for branch in self._branches]
        columns = {"count": [Text(amount(n.count) if n else "", "bold") for _, n in lines]}
        if secondary := self._snapshot.mode.get("secondary"):
            columns[secondary] = [Text(amount(n.second) if n else "") for _, n in lines]
        if self._has_shares:
            columns["of total"] = [Text(percent(n.of_total) if n else "") for _, n in lines]
            columns["of start"] = [Text(percent(n.of_start) if n else "") for _, n in lines]
            columns["of previous"] = [Text(percent(n.of_previous) if n else "") for _, n in lines]
        if any(branch.again for branch in self._branches):
            columns["by arrow"] = [self._by_arrow(branch) for branch in self._branches]
        columns["no further"] = [self._fallout(n) if n else Text() for _, n in lines]
        if any(n.final_fallout is not None for n in self._body.nodes.values()):
            finals = [n.final_fallout if n else None for _, n in lines]
            columns["time is over"] = [Text("" if each is None else number(each), "red") for each in finals]
        return columns

    def _by_arrow(self, branch: Branch) -> Text:
        arrow = self._body.arrows.get(branch.arrow or "")
        return Text(f"{number(arrow.containers)} {percent(arrow.share):>6}" if arrow else "")

    def _fallout(self, figures: NodeFigures) -> Text:
        if figures.fallout is None:
            return Text()
        reached = figures.count if self._snapshot.mode.get("metric", "containers") == "containers" else None
        share = f" {percent(100 * figures.fallout / reached):>6}" if isinstance(reached, int) and reached else ""
        return Text(number(figures.fallout) + share, "red")


def _room(width: int, columns: dict[str, list[Text]]) -> int:
    """What the columns of figures leave for names and bars."""
    widths = [max(len(title), *(cell.cell_len for cell in cells)) for title, cells in columns.items()]
    return width - sum(each + 2 for each in widths) - 3


def branches_of(snapshot: CanvasSnapshot) -> Iterator[Branch]:
    """The tree's lines from the top. A node that several arrows enter has its place below the first in the
    definition's order, and a reference to it below the others."""
    leads = [tuple(arrow.split(">")) for arrow in snapshot.body.arrows]
    entered = {b for _, b in leads}
    home: dict[str, str] = {}
    for a, b in leads:
        home.setdefault(b, a)

    def below(node: str, indent: str) -> Iterator[Branch]:
        children = [b for a, b in leads if a == node]
        for place, child in enumerate(children, 1):
            elbow, rail = ("└─ ", "   ") if place == len(children) else ("├─ ", "│  ")
            again = home[child] != node
            yield Branch(indent + elbow, child, f"{node}>{child}", again)
            if not again:
                yield from below(child, indent + rail)

    for node in snapshot.body.nodes:
        if node not in entered:
            yield Branch("", node, None, False)
            yield from below(node, "")


def titles_of(snapshot: CanvasSnapshot) -> dict[str, str]:
    """What readers see of each node; without a title its id."""
    titled = {node["id"]: node.get("title") for node in snapshot.mode.get("nodes", [])}
    return {node: titled.get(node) or node for node in snapshot.body.nodes}


def _amount(figures: NodeFigures) -> Any:
    return figures.count if isinstance(figures.count, int) else float(Decimal(figures.count))
