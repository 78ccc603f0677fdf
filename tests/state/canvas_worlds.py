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
    }


def node_options() -> st.SearchStrategy[dict[str, Any]]:
    """What a node may ask for: most often nothing."""
    dimension = st.sampled_from(["content_type", "type", "attributes.tier"])
    breakdown = st.fixed_dictionaries({"dimension": dimension, "top": st.integers(1, 3)})
    return st.one_of(st.just({}), st.just({}), st.fixed_dictionaries({"breakdown": breakdown}))
