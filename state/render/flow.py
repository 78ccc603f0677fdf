"""The body of a flow: columns with their most frequent items and the rest, links between them, whole sequences.

The law: of every item's paths each goes on by a link or ends in an exit, in either direction, and what goes through
the items not shown goes on through `more`. So shown + more + exits is the inflow at every node. Distinct containers
do not add up, so with them `more` has no count, and links and exits stand only between and at shown items.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from state.definitions import AnchorMatch, Flow
from state.flow_columns import admission_of, dimension_by_step, item_at, lengths_of
from state.render.flow_marks import FlowMarks
from state.render.shares import share_of
from streams.partials import Cell
from streams.snapshot import FlowBody, FlowColumn, FlowExit, FlowItem, FlowLink, FlowMore, FlowSequence, FlowThrough

SEQUENCE_COUNT_MAX = 20
ONWARD, BACK = 1, -1

Place = tuple[int, str]  # step, item
Path = tuple[tuple[str, ...], tuple[str, ...], int]  # before the anchor, from the anchor on, how often
Items = dict[int, dict[str, int]]
Shown = Mapping[int, frozenset[str]]
Links = dict[tuple[int, str | None, int, str | None], int]
Exits = dict[tuple[int, str | None, int], int]


def flow_body(flow: Flow, totals: Mapping[Cell, int], through: Sequence[Place] = ()) -> FlowBody:
    """The flow from its totals; with `through` (paths only) the part of it that has each item in its column.

    With occurrences the totals are (values before the anchor, nearest first; values from the anchor on), with
    containers ("n", step, item), ("l", from, a, to, b), ("x", step, item, direction) and, where columns have filters,
    ("t",). A null item is the anchor's title.
    """
    anchor = flow.starts_with or flow.ends_with
    title = anchor.title if isinstance(anchor, AnchorMatch) else ""
    if flow.count == "containers":
        return _body_of_containers(flow, _titled(totals, title))
    every = [(back, (title, *fore[1:]) if fore[0] is None else fore, n) for (back, fore), n in totals.items() if n > 0]
    admits = admission_of(flow)
    paths = every if admits is None else [path for path in every if admits(path[0], path[1])]
    left_out = None if admits is None else _count(every) - _count(paths)
    if not through:
        return _body_of_paths(flow, paths, left_out, None)
    going = [path for path in paths if all(item_at(path[0], path[1], step) == item for step, item in through)]
    share = FlowThrough(list(through), _count(paths), share_of(_count(going), _count(paths)))
    return _body_of_paths(flow, going, left_out, share)


def _count(paths: Iterable[Path]) -> int:
    return sum(count for _, _, count in paths)


def _body_of_paths(flow: Flow, paths: list[Path], left_out: int | None, through: FlowThrough | None) -> FlowBody:
    items = _items_of(paths)
    shown = {step: _top(flow, counts) for step, counts in items.items()}
    outflow = _Outflow(shown)
    before, onward_most = lengths_of(flow)
    for back, fore, count in paths:
        outflow.add(ONWARD, fore, onward_most, count)
        outflow.add(BACK, (fore[0], *back), before + 1, count)
    frequent = sorted(paths, key=lambda path: (-path[2], path[0], path[1]))[:SEQUENCE_COUNT_MAX]
    sequences = [FlowSequence(list(back), list(fore), count) for back, fore, count in frequent]
    columns = _columns(flow, items, shown, outflow.exits, counted=True)
    links, marks = _in_order(outflow.links), FlowMarks(flow)
    return FlowBody(
        total=_count(paths),
        columns=columns,
        links=links,
        sequences=sequences,
        left_out=left_out,
        through=through,
        link_marks=marks.of_links(links),
        sequence_marks=marks.of_sequences(sequences),
    )


def _items_of(paths: Iterable[Path]) -> Items:
    """Paths per step and item; the anchor, which both sides share, once."""
    items: Items = {}
    for back, fore, count in paths:
        for step, item in enumerate(fore):
            column = items.setdefault(step, {})
            column[item] = column.get(item, 0) + count
        for step, item in enumerate(back, 1):
            column = items.setdefault(-step, {})
            column[item] = column.get(item, 0) + count
    return items


class _Outflow:
    """Where paths go on from each item, with the items not shown as one: None."""

    def __init__(self, shown: Shown) -> None:
        self.links: Links = {}
        self.exits: Exits = {}
        self._shown = shown

    def add(self, direction: int, values: tuple[str, ...], longest: int, count: int) -> None:
        """A path's links away from the anchor, and its exit where it is shorter than the longest."""
        links, shown = self.links, self._shown
        step, item = 0, values[0] if values[0] in shown[0] else None
        for value in values[1:]:
            following = value if value in shown[step + direction] else None
            link = (step, item, step + direction, following)
            links[link] = links.get(link, 0) + count
            step, item = step + direction, following
        if len(values) < longest:
            end = (step, item, direction)
            self.exits[end] = self.exits.get(end, 0) + count


def _titled(totals: Mapping[Cell, int], title: str) -> Iterator[tuple[Cell, int]]:
    """The cells with the anchor's title where they have null, without empty ones."""
    for cell, count in totals.items():
        if count > 0:
            yield tuple(title if part is None else part for part in cell), count


def _body_of_containers(flow: Flow, cells: Iterable[tuple[Cell, int]]) -> FlowBody:
    items: Items = {}
    links: Links = {}
    exits: Exits = {}
    every = 0
    for (what, *place), count in cells:
        match what:
            case "n":
                items.setdefault(place[0], {})[place[1]] = count
            case "l":
                links[(place[0], place[1], place[2], place[3])] = count
            case "t":
                every = count
            case _:
                exits[(place[0], place[1], place[2])] = count
    shown = {step: _top(flow, counts) for step, counts in items.items()}
    links = {link: n for link, n in links.items() if link[1] in shown[link[0]] and link[3] in shown[link[2]]}
    exits = {end: n for end, n in exits.items() if end[1] in shown[end[0]]}
    columns = _columns(flow, items, shown, exits, counted=False)
    total = sum(items.get(0, {}).values())
    left_out = None if admission_of(flow) is None else every - total
    ordered = _in_order(links)
    return FlowBody(total, columns, ordered, None, left_out, link_marks=FlowMarks(flow).of_links(ordered))


def _top(flow: Flow, counts: Mapping[str, int]) -> frozenset[str]:
    return frozenset(sorted(counts, key=lambda item: (-counts[item], item))[: flow.top])


def _columns(flow: Flow, items: Items, shown: Shown, exits: Exits, *, counted: bool) -> list[FlowColumn]:
    own = dimension_by_step(flow)
    return [_column(step, items[step], shown[step], exits, own.get(step), counted=counted) for step in sorted(items)]


def _column(
    step: int, counts: Mapping[str, int], shown: frozenset[str], exits: Exits, dimension: str | None, *, counted: bool
) -> FlowColumn:
    items = [FlowItem(item, counts[item]) for item in shown]
    items.sort(key=lambda each: (-each.count, each.item))
    rest = sum(counts.values()) - sum(each.count for each in items)
    ends = [FlowExit(item, way, count) for (at, item, way), count in exits.items() if at == step]
    ends.sort(key=lambda each: (each.direction, each.item is None, -each.count, each.item))
    return FlowColumn(step, items, FlowMore(len(counts) - len(items), rest if counted else None), ends, dimension)


def _in_order(links: Links) -> list[FlowLink]:
    """By step, onward first; then the most frequent, `more` last."""
    made = [FlowLink(*link, count) for link, count in links.items()]
    made.sort(
        key=lambda link: (
            link.to_step < link.from_step,
            abs(link.from_step),
            link.origin is None or link.target is None,
            -link.count,
            link.origin or "",
            link.target or "",
        )
    )
    return made
