"""Figures that are known of a real log, by the SQL: 13,087 loan applications, thousands of ties."""

from collections import Counter
from datetime import datetime
from itertools import pairwise

import pytest

from state.definition_set import DefinitionSet
from streams.sources.xes_rows import rows
from streams.touchpoint import Touchpoint
from tests.check.batches import cells_of_sql
from tests.shared_data import shared_data
from tests.state.worlds import definition_set, touchpoint

STEPS = ("A_SUBMITTED", "A_PREACCEPTED", "O_SENT", "O_SENT_BACK", "A_ACTIVATED")


def completed() -> list[Touchpoint]:
    """The COMPLETE events, in the order of the file."""
    found = []
    for row in rows(shared_data("bpic2012", "bpic2012.xes.gz")):
        event, case = row.values["event"], row.values["trace"]["concept:name"]
        if event["lifecycle:transition"] == "COMPLETE":
            at = datetime.fromisoformat(event["time:timestamp"])
            name, moment = event["concept:name"], round(at.timestamp() * 1000)
            found.append(touchpoint(str(row.number), moment, name, account=case, source_sequence=row.number))
    return found


def known() -> DefinitionSet:
    """The canvas of the offers, and every path whole."""
    canvas = {
        "name": "offers", "kind": "canvas", "container": "account",
        "nodes": [{"id": each.lower(), "match": {"field": "type", "op": "=", "value": each}} for each in STEPS],
        "arrows": [{"from": a.lower(), "to": b.lower()} for a, b in pairwise(STEPS)],
    }  # fmt: skip
    flow = {
        "name": "paths", "kind": "flow", "container": "account", "dimension": "type", "columns": 500,
        "include_repeats": True,
    }  # fmt: skip
    return definition_set([canvas, flow])


@pytest.mark.exhaustive
@pytest.mark.shared_data
def test_known_figures_of_bpic_2012() -> None:
    """The canvas' reach and fallout, and the edges and transitions of who follows whom."""
    offers, paths = cells_of_sql(completed(), known())
    sums: Counter[tuple[str, int]] = Counter()
    for (kind, *place), count in offers.items():
        if kind in "nf":
            sums[kind, place[0]] += count
    assert [sums["n", n] for n in range(5)] == [13_087, 7_367, 5_015, 3_254, 2_246]
    assert [sums["n", n] - sums["f", n] for n in range(4)] == [5_720, 2_352, 1_761, 1_008]
    edges: Counter[tuple[str, str]] = Counter()
    for (_, _, _, fore), count in paths.items():
        for edge in pairwise(fore):
            edges[edge] += count
    assert (len(edges), edges.total()) == (138, 151_419)
