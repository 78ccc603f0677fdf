"""Snapshots and partials as tests of readers want them: small, of every kind, with made-up numbers."""

from state.definition_set import DefinitionSet
from state.render.snapshot import snapshot_of
from state.sums import PartialSums
from streams.partials import COVERS_KEY, Cell, Covers, Tag, encode_cell, encode_covers, encode_partial
from streams.snapshot import Snapshot, SnapshotTag
from tests.state.worlds import definition_set

TOUCHPOINTS = "touchpoints"
CLOCK_MS = 1_774_000_000_000  # 2026-03-20
MARCH = 56 * 12 + 2


def match(value: str) -> dict[str, str]:
    """A condition on the type."""
    return {"field": "type", "op": "=", "value": value}


DEFINITIONS = definition_set(
    [
        {"name": "way", "title": "The way to a deal", "kind": "canvas", "container": "account",
         "nodes": [{"id": node, "title": title, "match": match(node)} for node, title in
                   [("form", "Lead form"), ("fair", "Trade fair"), ("demo", "Demo"), ("deal", "Closed-Won")]],
         "arrows": [{"from": a, "to": b} for a, b in [("form", "demo"), ("fair", "demo"), ("demo", "deal")]]},
        {"name": "months", "title": "Won per month", "kind": "cohort", "container": "opportunity",
         "granularity": "month", "inclusion": {"match": match("a")}, "return": {"match": match("b")}, "periods": 3},
        {"name": "content", "title": "What leads to MQL", "kind": "flow", "container": "account",
         "dimension": "content_type", "ends_with": {"match": match("MQL"), "title": "MQL"}, "columns": 3, "top": 2},
    ]
)  # fmt: skip

CELLS: dict[tuple[str, Cell], int] = {
    ("way", ("t", 20_000)): 4_000, ("way", ("n", 0, 20_000)): 1_600, ("way", ("n", 1, 20_000)): 800,
    ("way", ("n", 2, 20_000)): 900, ("way", ("n", 3, 20_000)): 90, ("way", ("p", 2, 20_000)): 2_000,
    ("way", ("a", 0, 20_000)): 700, ("way", ("a", 1, 20_000)): 250, ("way", ("a", 2, 20_000)): 90,
    ("way", ("f", 0, 20_000)): 700, ("way", ("f", 1, 20_000)): 250, ("way", ("f", 2, 20_000)): 90,
    ("months", ("i", MARCH - 1)): 1_200, ("months", ("r", MARCH - 1, 0)): 240, ("months", ("r", MARCH - 1, 1)): 60,
    ("months", ("i", MARCH)): 1_000, ("months", ("r", MARCH, 0)): 100,
    ("content", ("o", 20_000, ("Blog", "Webinar"), (None,))): 50, ("content", ("o", 20_001, ("Blog",), (None,))): 30,
    ("content", ("o", 20_001, ("Pricing",), (None,))): 10, ("content", ("o", 20_001, ("Case study",), (None,))): 5,
}  # fmt: skip


def commit(
    offset: int,
    cells: dict[tuple[str, Cell], int],
    definitions: DefinitionSet = DEFINITIONS,
    building: dict[str, tuple[int, int]] = {},  # noqa: B006  (nobody changes it)
) -> list[tuple[bytes, bytes]]:
    """What a partition publishes for a commit: the cells, then what they cover. building: versions that are not
    complete, and how far they are."""
    tag = Tag(0, offset)
    complete = [each.version for each in definitions.every if each.version not in building]
    covers = Covers(
        tag, {TOUCHPOINTS: offset}, CLOCK_MS, CLOCK_MS - 1000, definitions.hash, complete=complete, building=building
    )
    made = [(encode_cell(*place), encode_partial(tag, value)) for place, value in cells.items()]
    return [*made, (COVERS_KEY, encode_covers(covers))]


def snapshots(
    definitions: DefinitionSet = DEFINITIONS,
    cells: dict[tuple[str, Cell], int] = CELLS,
    factor: int = 1,
    counter: int = 1,
) -> dict[str, Snapshot]:
    """A snapshot of each analysis, by name."""
    sums = PartialSums(definitions.definitions)
    sums.apply(0, commit(7, {place: count * factor for place, count in cells.items()}, definitions))
    return {
        each.analysis.name: snapshot_of(
            each, sums.totals(each.version), sums.covers,
            touchpoints=TOUCHPOINTS, lateness_ms=3_600_000, tag=SnapshotTag(3, counter),
        )
        for each in definitions.definitions
    }  # fmt: skip
