"""Hypothesis strategies for what a canvas may ask for beyond its counts."""

from typing import Any

from hypothesis import strategies as st

METRICS = ("containers", "events", "value")


@st.composite
def canvas_options(draw: st.DrawFn) -> dict[str, Any]:
    """The metric, and in half of all canvases further options."""
    metric = draw(st.sampled_from(METRICS))
    if not draw(st.booleans()):
        return {"metric": metric}
    secondary = draw(st.sampled_from([None, *(each for each in METRICS if each != metric)]))
    has_amounts = bool({metric, secondary} - {None, "containers"})
    return {
        "metric": metric,
        "secondary": secondary,
        "arrow_values": has_amounts and draw(st.booleans()),
        "trend": draw(st.booleans()),
        "steps": draw(st.one_of(st.none(), items_options())),
    }


def items_options() -> st.SearchStrategy[dict[str, Any]]:
    """A dimension, and how many of its items are shown."""
    dimension = st.sampled_from(["content_type", "type", "attributes.tier"])
    return st.fixed_dictionaries({"dimension": dimension, "top": st.integers(1, 3)})


def node_options() -> st.SearchStrategy[dict[str, Any]]:
    """What a node may ask for: most often nothing."""
    return st.one_of(st.just({}), st.just({}), st.fixed_dictionaries({"breakdown": items_options()}))


LIMITS: tuple[dict[str, str], ...] = (
    {"within": "1200s"}, {"within": "2d"}, {"within": "4w"}, {"after": "10m"}, {"after": "1d"},
    {"after": "20m", "within": "1h"}, {"after": "10m", "within": "2d"}, {"after": "1d", "within": "3d"},
    {"after": "10m", "within": "610s"}, {"after": "50m", "within": "51m"}, {"after": "20d", "within": "500h"},
)  # fmt: skip


@st.composite
def arrow_limits(draw: st.DrawFn, arrow_count: int) -> list[dict[str, str]]:
    """The time limits of each arrow: of all, of some, or of none."""
    some = draw(st.sampled_from([({},), LIMITS, (*LIMITS, {}, {}, {}, {}, {}, {})]))
    return draw(st.lists(st.sampled_from(some), min_size=arrow_count, max_size=arrow_count))
