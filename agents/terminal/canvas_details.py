"""What stands below the tree of a canvas where its definition asks for more: one table per option."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal

from rich.table import Table
from rich.text import Text

from agents.terminal.marks import cut, number
from streams.snapshot import CanvasSnapshot, CanvasSteps, CanvasTrend, ItemFigures, MoreItems, TopItems

_NAME_MAX = 24
_LINE_WIDTH = 30
_LEVELS = " ▁▂▃▄▅▆▇█"


def details_of(snapshot: CanvasSnapshot, titles: Mapping[str, str]) -> Iterator[Table]:
    """The tables, in the order of the format. `titles` says what readers see of each node."""
    if snapshot.body.arrow_values is not None:
        yield _arrow_values(snapshot, titles)
    dimensions = {node["id"]: node["breakdown"]["dimension"] for node in snapshot.mode["nodes"] if "breakdown" in node}
    for node, items in (snapshot.body.breakdowns or {}).items():
        yield _items(f"{cut(titles[node], _NAME_MAX)} by {dimensions[node]}", items, metrics_of(snapshot))
    if snapshot.body.trend is not None and (trend := _trend(snapshot.body.trend, titles)) is not None:
        yield trend
    if snapshot.body.steps is not None:
        yield _steps(snapshot.body.steps, titles)


def _trend(trend: CanvasTrend, titles: Mapping[str, str]) -> Table | None:
    """Who came when, as lines over the days from the first to the last; None when nobody came."""
    rows = [(cut(titles[node], _NAME_MAX), days) for node, days in trend.nodes.items()]
    rows += [(arrow_title(arrow, titles), days) for arrow, days in trend.arrows.items()]
    all_days = sorted(each.day for _, days in rows for each in days)
    if not all_days:
        return None
    first, last = date.fromisoformat(all_days[0]), date.fromisoformat(all_days[-1])
    table = _table(f"{first} to {last}", "", "most on a day")
    for name, days in rows:
        places = {(date.fromisoformat(each.day) - first).days: each.count for each in days}
        most = max(places.values(), default=0)
        table.add_row(Text(name), Text(_line(places, (last - first).days + 1), "cyan"), number(most))
    return table


def _line(places: Mapping[int, int], day_count: int) -> str:
    """A line of at most `_LINE_WIDTH` bars, each as high as its days have in sum; a blank where they have nothing."""
    days_per_bar = -(-day_count // _LINE_WIDTH)
    sums = [0] * -(-day_count // days_per_bar)
    for place, count in places.items():
        sums[place // days_per_bar] += count
    most = max(sums)
    return "".join(_LEVELS[-(-each * (len(_LEVELS) - 1) // most)] if each else " " for each in sums)


def amount(count: int | str | None) -> str:
    """A count or a value with its thousands apart; a dash where there is none."""
    return "–" if count is None else f"{Decimal(count):,}"


def _arrow_values(snapshot: CanvasSnapshot, titles: Mapping[str, str]) -> Table:
    metrics = [snapshot.mode.get("metric"), snapshot.mode.get("secondary")]
    table = _table("along arrows", *(metric for metric in metrics if metric in ("events", "value")))
    for arrow, amounts in (snapshot.body.arrow_values or {}).items():
        shown = zip(metrics, (amounts.amount, amounts.second), strict=True)
        table.add_row(
            Text(arrow_title(arrow, titles)), *(amount(each) for metric, each in shown if metric in ("events", "value"))
        )
    return table


def arrow_title(arrow: str, titles: Mapping[str, str]) -> str:
    """An arrow, `origin>target`, as readers see it."""
    return " → ".join(cut(titles[end], _NAME_MAX) for end in arrow.split(">"))


def _steps(steps: CanvasSteps, titles: Mapping[str, str]) -> Table:
    """What comes before and behind every node and between the ends of every arrow, each on a line."""
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    for column in ("around", "", "containers by what they do there"):
        table.add_column(column)
    rows = [
        (cut(titles[node], _NAME_MAX), what, items)
        for node, each in steps.nodes.items()
        for what, items in (("before", each.previous), ("next", each.next))
    ]
    rows += [(arrow_title(arrow, titles), "between", items) for arrow, items in steps.arrows.items()]
    for name, what, items in rows:
        if items.items:
            shown = [f"{item_title(each.item)} {amount(each.count)}" for each in items.items]
            more = [f"{more_title(items.more)} {amount(items.more.count)}"] if items.more.item_count else []
            table.add_row(Text(name), what, Text(" · ".join([*shown, *more])))
    return table


def metrics_of(snapshot: CanvasSnapshot) -> list[str]:
    """The metric and, where there is one, the secondary metric."""
    return [metric for metric in (snapshot.mode.get("metric"), snapshot.mode.get("secondary")) if metric]


def _items(title: str, top: TopItems, metrics: Sequence[str]) -> Table:
    """The items of a dimension and the rest."""
    table = _table(title, *metrics)
    rows: list[tuple[str, ItemFigures | MoreItems]] = [(item_title(each.item), each) for each in top.items]
    if top.more.item_count:
        rows.append((more_title(top.more), top.more))
    for name, figures in rows:
        table.add_row(Text(name), *map(amount, (figures.count, figures.second)[: len(metrics)]))
    return table


def more_title(more: MoreItems) -> str:
    """The items not shown as readers see them."""
    return f"more ({more.item_count:,} item{'s' if more.item_count > 1 else ''})"


def item_title(item: str | None) -> str:
    """An item as readers see it."""
    return "(none)" if item is None else cut(item, _NAME_MAX)


def _table(title: str, *columns: str) -> Table:
    """A table of names and figures."""
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    table.add_column(Text(title))
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table
