"""The body of a flow from batch cells: columns merged over prefixes, the most frequent values shown, the rest as one.

What a body leaves open (the order of links, exits and of equally frequent paths) is keyed instead of listed, by
`keyed_flow`, so that two bodies compare.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from check.cells import Cell
from check.flow import anchor_of, lengths_of
from check.flow_filters import has_filters, is_admitted
from check.flow_marks import marks_of
from state.definitions import AnchorMatch, Flow

SEQUENCE_COUNT_MAX = 20

Node = tuple[int, str]  # step, value
Counts = dict[int, Counter[str]]


def flow_body(flow: Flow, cells: Mapping[Cell, int]) -> dict[str, Any]:
    """The body of a flow, of either way of counting."""
    anchor = anchor_of(flow)
    title = anchor.title if isinstance(anchor, AnchorMatch) else ""
    body = (_of_paths if flow.count == "occurrences" else _of_containers)(flow, cells, title)
    return body | marks_of(flow, body)


def _of_paths(flow: Flow, cells: Mapping[Cell, int], title: str) -> dict[str, Any]:
    paths: Counter[tuple[tuple[str, ...], tuple[str, ...]]] = Counter()
    refused_count = 0
    for (_, _, back, fore), count in cells.items():
        named = tuple(title if value is None else value for value in fore)
        if is_admitted(flow, back, named):
            paths[back, named] += count
        else:
            refused_count += count
    counts: Counter[Node] = Counter()
    links: Counter[tuple[Node, Node]] = Counter()
    exits: Counter[tuple[Node, int]] = Counter()
    back_max, fore_max = lengths_of(flow)
    for (back, fore), count in paths.items():
        onward = list(enumerate(fore))
        backward = [onward[0], *((-step, value) for step, value in enumerate(back, 1))]
        for node in {*onward, *backward}:
            counts[node] += count
        for walk in (onward, backward):
            for here, there in pairwise(walk):
                links[here, there] += count
        if len(fore) < fore_max:
            exits[onward[-1], 1] += count
        if len(back) < back_max:
            exits[backward[-1], -1] += count
    sequences = [[list(back), list(fore), count] for (back, fore), count in paths.most_common(SEQUENCE_COUNT_MAX)]
    body = _columns(flow, counts, links, exits, folds=True)
    left_out = refused_count if has_filters(flow) else None
    return {"total": paths.total(), **body, "sequences": sequences, "left_out": left_out, "through": None}


def _of_containers(flow: Flow, cells: Mapping[Cell, int], title: str) -> dict[str, Any]:
    def node(step: int, value: str | None) -> Node:
        return step, title if value is None else value

    counts: Counter[Node] = Counter()
    links: Counter[tuple[Node, Node]] = Counter()
    exits: Counter[tuple[Node, int]] = Counter()
    with_path_count = 0
    for (kind, *cell), count in cells.items():
        match kind:
            case "n":
                counts[node(*cell)] += count
            case "l":
                links[node(*cell[:2]), node(*cell[2:])] += count
            case "t":
                with_path_count += count
            case _:
                exits[node(*cell[:2]), cell[2]] += count
    total = sum(count for (step, _), count in counts.items() if step == 0)
    body = _columns(flow, counts, links, exits, folds=False)
    left_out = with_path_count - total if has_filters(flow) else None
    return {"total": total, **body, "sequences": None, "left_out": left_out, "through": None}


def _columns(
    flow: Flow,
    counts: Counter[Node],
    links: Counter[tuple[Node, Node]],
    exits: Counter[tuple[Node, int]],
    *,
    folds: bool,
) -> dict[str, Any]:
    """Columns and links. `folds`: whether what is not shown adds up to one `more` (value None), or is left out."""
    ranked = _ranked(counts)
    shown = {(step, value) for step, values in ranked.items() for value, _ in values[: flow.top]}
    folded_exits: Counter[tuple[int, str | None, int]] = Counter()
    for (node, direction), count in exits.items():
        if folds or node in shown:
            folded_exits[node[0], node[1] if node in shown else None, direction] += count
    folded_links: Counter[tuple[int, str | None, int, str | None]] = Counter()
    for (here, there), count in links.items():
        if folds or {here, there} <= shown:
            ends = [(step, value if (step, value) in shown else None) for step, value in (here, there)]
            folded_links[(*ends[0], *ends[1])] += count
    dimension_by_step = {step.step: step.dimension for step in flow.steps or []}
    columns = [
        {
            "step": step,
            "items": [list(pair) for pair in values[: flow.top]],
            "more": [len(values[flow.top :]), sum(count for _, count in values[flow.top :]) if folds else None],
            "exits": [[value, way, count] for (at, value, way), count in folded_exits.items() if at == step and count],
            "dimension": dimension_by_step.get(step),
        }
        for step, values in ranked.items()
    ]
    return {"columns": columns, "links": [[*link, count] for link, count in folded_links.items() if count]}


def _ranked(counts: Counter[Node]) -> dict[int, list[tuple[str, int]]]:
    """Per step in order its values, the most frequent first, then by the text."""
    by_step: defaultdict[int, list[tuple[str, int]]] = defaultdict(list)
    for (step, value), count in counts.items():
        if count:
            by_step[step].append((value, count))
    return {step: sorted(by_step[step], key=lambda pair: (-pair[1], pair[0])) for step in sorted(by_step)}


def keyed_flow(body: Mapping[str, Any]) -> dict[str, Any]:
    """A flow's body with a key for what has no order of its own. Of the paths as rare as the last one shown only the
    number of them is kept: which of them are shown is not promised."""
    sequences = body["sequences"]
    link_marks = dict(body["link_marks"])
    sequence_marks: dict[int, list[Any]] = {}
    for place, step, marks in body["sequence_marks"]:
        sequence_marks.setdefault(place, []).append([step, marks])
    return {
        "total": body["total"],
        "columns": {column["step"]: _keyed_column(column) for column in body["columns"]},
        "links": {
            _text_of_link(*link[:4]): [link[4], link_marks.get(place, [])] for place, link in enumerate(body["links"])
        },
        "sequences": None if sequences is None else _keyed_sequences(sequences, sequence_marks),
        "left_out": body["left_out"],
        "through": body["through"],
    }


def _keyed_column(column: Mapping[str, Any]) -> dict[str, Any]:
    exits = {f"{_named(value)}, direction {direction}": count for value, direction, count in column["exits"]}
    return {"items": column["items"], "more": column["more"], "exits": exits, "dimension": column["dimension"]}


def _text_of_link(from_step: int, origin: str | None, to_step: int, target: str | None) -> str:
    return f"{_named(origin)} ({from_step}) > {_named(target)} ({to_step})"


def _named(item: str | None) -> str:
    """An item in a key: as it is where that can be no other key's part, else in quotes. None: the rest."""
    if item is None:
        return "more"
    is_plain = item not in ("", "more") and item[0] not in "'\"" and ">" not in item
    return item if is_plain else repr(item)


def _keyed_sequences(sequences: list[Any], marks: Mapping[int, list[Any]]) -> dict[str, Any]:
    rarest = min((count for _, _, count in sequences), default=0) if len(sequences) >= SEQUENCE_COUNT_MAX else 0
    return {
        "counts": [count for _, _, count in sequences],
        "paths": {
            " > ".join(map(_named, [*reversed(back), *fore])): [count, marks.get(place, [])]
            for place, (back, fore, count) in enumerate(sequences)
            if count > rarest
        },
    }
