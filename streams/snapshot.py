"""The `snapshots` topic: the live result of each analysis as users read it. Key: the analysis' name. Value: JSON.

Shares are percent with two decimals, rounded half up; a share of nothing is null. A reader keeps, per analysis, the
highest tag. `docs/formats.md` says the same in words, `schemas/snapshot.v1.json` is exported from here.
"""

from typing import Any, Literal

import msgspec

FORMAT = 1

Share = float | None


class SnapshotTag(msgspec.Struct, frozen=True, array_like=True, order=True):
    """Which snapshot is newer: the offset of its writer's claim, then the writer's own count. Higher is newer."""

    claim_offset: int
    counter: int


class NodeFigures(msgspec.Struct, frozen=True, array_like=True):
    """A node of a canvas.

    count: in the definition's metric; a value is decimal text. of_total, of_start, of_previous: percent of the
    containers in all, of those at the start node, of those that reach a parent. fallout: containers that reach the
    node and follow none of its arrows; null without arrows. second: in the secondary metric, null without one.
    final_fallout: of the fallout those whose time to follow was over by the snapshot's clock; null where some arrow has
    no limit.
    """

    count: int | str
    second: int | str | None
    of_total: Share
    of_start: Share
    of_previous: Share
    fallout: int | None
    final_fallout: int | None


class ArrowFigures(msgspec.Struct, frozen=True, array_like=True):
    """An arrow of a canvas: containers that follow it, and their percentage of those at its origin."""

    containers: int
    share: Share


class ArrowAmounts(msgspec.Struct, frozen=True, array_like=True):
    """The events along an arrow in the metric and in the secondary one; null where that is containers, or is none."""

    amount: int | str | None
    second: int | str | None


class ItemFigures(msgspec.Struct, frozen=True, array_like=True):
    """An item of a dimension, null for what has none: in the metric, and in the secondary one."""

    item: str | None
    count: int | str
    second: int | str | None


class MoreItems(msgspec.Struct, frozen=True, array_like=True):
    """The items that are not shown: how many, and what they come to together."""

    item_count: int
    count: int | str
    second: int | str | None


class TopItems(msgspec.Struct, frozen=True):
    """Items, the greatest first, and the rest. Together they are the whole."""

    items: list[ItemFigures]
    more: MoreItems


class DayCount(msgspec.Struct, frozen=True, array_like=True):
    """Containers on a local day, "2026-03-01"."""

    day: str
    count: int


class CanvasTrend(msgspec.Struct, frozen=True):
    """By node the containers per day on which they reach it, by arrow per day on which they follow it; in order,
    without days of nobody."""

    nodes: dict[str, list[DayCount]]
    arrows: dict[str, list[DayCount]]


class NodeSteps(msgspec.Struct, frozen=True):
    """Containers by what they do right behind reaching a node, and right before."""

    next: TopItems
    previous: TopItems


class CanvasSteps(msgspec.Struct, frozen=True):
    """What containers do next and before, by node; and between the ends, by arrow: there one counts under each of its
    items."""

    nodes: dict[str, NodeSteps]
    arrows: dict[str, TopItems]


class CanvasCaption(msgspec.Struct, frozen=True, array_like=True):
    """The end of a canvas that is reached best: how many containers reach it, and their percentage of those at its
    start; where several starts lead to it start is null, and the percentage is that of all containers."""

    start: str | None
    end: str
    containers: int
    share: Share


class CanvasBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """total: containers in all. nodes by id and arrows by `origin>target`, both in the definition's order. caption is
    absent while no container has come to an end;
    the rest where the definition does not ask for it: arrow_values by arrow, breakdowns by node."""

    total: int
    nodes: dict[str, NodeFigures]
    arrows: dict[str, ArrowFigures]
    caption: CanvasCaption | None = None
    arrow_values: dict[str, ArrowAmounts] | None = None
    breakdowns: dict[str, TopItems] | None = None
    trend: CanvasTrend | None = None
    steps: CanvasSteps | None = None


class CohortRow(msgspec.Struct, frozen=True, array_like=True):
    """The containers included in one period, or with one item of a dimension (null: with no value) in any; a cell per
    column, with how many of them meet its mode: returned, did not (churn), returned in every period so far (rolling),
    in any (cumulative).

    Null where the period has not begun; with churn also where it is not over, and with a dimension where it is over
    for nobody: there a cell counts those only whose period is over.
    """

    label: str | None
    included: int
    cells: list[int | None]


class VelocityFigures(msgspec.Struct, frozen=True, array_like=True):
    """The first returns known so far of a row, and within how many seconds 25, 50, 75 and 90 percent of them came after
    the inclusion; null when there is none.

    Whole seconds; above 63 s the end of a bucket that is at most 1/32 wide, so never below the exact figure.
    """

    returned: int
    p25_s: int | None
    p50_s: int | None
    p75_s: int | None
    p90_s: int | None


class CohortBody(msgspec.Struct, frozen=True):
    """rows: periods in order, those with included containers; items of a dimension by size, the largest first.

    shares: in percent, parallel to the rows' cells: of `included`; with rolling of the previous column; with a
    dimension of `of`. partial_from: per row the first k whose period is not over, null when all are; null with a
    dimension, where no cell is partial. average: per k the mean share over the rows whose period is over, however large
    they are. first_period: k of the first column. of: with a dimension the containers that each share is of, else null.
    more: with a dimension how many further items the last row pools, which is then labelled more; 0 when each item has
    a row. velocity: per row; null unless the definition asks for it.
    """

    rows: list[CohortRow]
    shares: list[list[Share]]
    partial_from: list[int | None]
    average: list[Share]
    granularity: str
    mode: str
    first_period: int = 0
    of: list[list[int]] | None = None
    more: int | None = None
    velocity: list[VelocityFigures] | None = None


class FlowItem(msgspec.Struct, frozen=True, array_like=True):
    """A value of the dimension (or the anchor's title) and how many paths lead through it."""

    item: str
    count: int


class FlowMore(msgspec.Struct, frozen=True, array_like=True):
    """The items of a column that are not shown: how many items, and paths through them (null for containers)."""

    item_count: int
    count: int | None


class FlowExit(msgspec.Struct, frozen=True, array_like=True):
    """Paths that end at an item (null: at one not shown) in a direction: 1 onward, -1 back, where it is an entry."""

    item: str | None
    direction: int
    count: int


class FlowColumn(msgspec.Struct, frozen=True):
    """The items `step` steps from the anchor, most frequent first; before the anchor the step is negative.

    dimension: the column's own; null where it is the flow's.
    """

    step: int
    items: list[FlowItem]
    more: FlowMore
    exits: list[FlowExit]
    dimension: str | None = None


class FlowLink(msgspec.Struct, frozen=True, array_like=True):
    """Paths that go on, away from the anchor, from `origin` to `target`; null is the items not shown."""

    from_step: int
    origin: str | None
    to_step: int
    target: str | None
    count: int


class FlowSequence(msgspec.Struct, frozen=True, array_like=True):
    """A whole path: the values before the anchor, nearest first; those from the anchor on; how often."""

    back: list[str]
    fore: list[str]
    count: int


Mark = Literal["loop", "skip", "back"]


class LinkMarks(msgspec.Struct, frozen=True, array_like=True):
    """The marks of a link, which is named by its place among `links`."""

    link: int
    marks: list[Mark]


class SequenceMarks(msgspec.Struct, frozen=True, array_like=True):
    """The marks of a step of a whole path, which is named by its place among `sequences`."""

    sequence: int
    step: int
    marks: list[Mark]


class FlowThrough(msgspec.Struct, frozen=True):
    """Which paths a body is of: those with each of these items in its column, [step, item], and no others.

    all: the paths of the whole flow. share: of these, in percent.
    """

    items: list[tuple[int, str]]
    all: int
    share: Share


class FlowBody(msgspec.Struct, frozen=True):
    """total: anchor occurrences, or with `count: containers` distinct containers (then sequences is null).

    Of every item with k paths: k = onward links + onward exits, unless its column is the last; the same back.
    left_out: what the columns' filters do not admit, which is counted nowhere else: paths, or containers without a
    path that is admitted; null without filters. through: null where the body is of all paths.

    link_marks, sequence_marks: what has marks, in order. Read in the order of time, an item is a `loop` where it comes
    again; of the definition's `stages` it is a `back` where the one before it is a later one, and a `skip` where
    others lie between the one before it and it.
    """

    total: int
    columns: list[FlowColumn]
    links: list[FlowLink]
    sequences: list[FlowSequence] | None
    left_out: int | None = None
    through: FlowThrough | None = None
    link_marks: list[LinkMarks] = []
    sequence_marks: list[SequenceMarks] = []


class _Head(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What every snapshot says of itself.

    mode: the definition but for name, title, kind and container. range: first and last day, null for all.
    applied: per partition of the touchpoints the offset of the last one contained. watermark_ms: event time believed
    complete, null before the first event; for display only. Times are milliseconds UTC. tag: null on what a reader
    computed for itself, such as a range. backfill: where the analysis was changed, how much of the past its new version
    counts already, in percent; it is shown instead as soon as that is all of it.
    """

    format: int = FORMAT
    analysis: str
    title: str
    version: str
    container: str
    zone: str
    mode: dict[str, Any]
    range: tuple[str, str] | None
    tag: SnapshotTag | None
    clock_ms: int
    watermark_ms: int | None
    applied: dict[str, int]
    definitions_hash: str
    backfill: int | None = None


class CanvasSnapshot(_Head, frozen=True, kw_only=True, tag="canvas"):
    """The live result of a canvas."""

    body: CanvasBody


class CohortSnapshot(_Head, frozen=True, kw_only=True, tag="cohort"):
    """The live result of a cohort table."""

    body: CohortBody


class FlowSnapshot(_Head, frozen=True, kw_only=True, tag="flow"):
    """The live result of a flow."""

    body: FlowBody


Body = CanvasBody | CohortBody | FlowBody
Snapshot = CanvasSnapshot | CohortSnapshot | FlowSnapshot

SNAPSHOT_BY_BODY: dict[type, type[CanvasSnapshot] | type[CohortSnapshot] | type[FlowSnapshot]] = {
    CanvasBody: CanvasSnapshot,
    CohortBody: CohortSnapshot,
    FlowBody: FlowSnapshot,
}

encode_snapshot = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Snapshot).decode


def decode_snapshot(value: bytes) -> Snapshot:
    """A snapshot from a record's value. Raises ValueError for what is none of format 1."""
    snapshot: Snapshot = _decode(value)
    if snapshot.format != FORMAT:
        raise ValueError(f"a snapshot of format {snapshot.format}; this milepost reads {FORMAT}")
    return snapshot
