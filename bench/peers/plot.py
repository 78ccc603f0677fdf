"""Draws a report: a bar per contender, its median and the range of its repeats.

usage: python -m bench.peers.plot REPORT.json PLOT.svg
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.hashsalt": "peers", "font.size": 10})

from matplotlib import pyplot  # noqa: E402  # behind the choice of its backend

OURS, OTHERS, INK = "#0f766e", "#94a3b8", "#475569"


def draw(report: dict[str, Any], path: Path) -> None:
    """Writes the plot as SVG, the same bytes for the same report."""
    rows = [row for row in reversed(report["rows"]) if row["rate"]]
    rates = [row["rate"] for row in rows]
    medians = [rate["median"] for rate in rates]
    below = [rate["median"] - rate["least"] for rate in rates]
    above = [rate["greatest"] - rate["median"] for rate in rates]
    figure, axes = pyplot.subplots(figsize=(8, 0.8 + 0.45 * len(rows)), layout="constrained")
    axes.barh(
        [row["title"] for row in rows],
        medians,
        xerr=[below, above],
        color=[OURS if row["contender"].startswith("milepost") else OTHERS for row in rows],
        error_kw={"ecolor": INK, "capsize": 3},
    )
    for place, (median, more) in enumerate(zip(medians, above, strict=True)):
        axes.annotate(f"{median:,.0f}", (median + more, place), (6, 0), textcoords="offset points", va="center")
    axes.set_xlim(0, 1.15 * max((m + a for m, a in zip(medians, above, strict=True)), default=1))
    axes.set_xlabel(f"events per second; median and range of {report['rows'][0]['repeats']}")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_bytes()), Path(sys.argv[2]))
