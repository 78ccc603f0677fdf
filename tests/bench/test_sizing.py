"""The model of a cluster, with numbers that can be worked out by hand."""

import msgspec
import pytest

from bench.measured import Measured
from bench.sizing import Assumed, Costs, cluster_for, costs_of, limits, sizing_markdown

COSTS = Costs(
    ingest_us=10, accounts_us=20, broker_us=5, snapshots_us=10, partials_per_commit=100, source_bytes=60,
    touchpoint_bytes=40, changelog_bytes=100, output_bytes=56,
)  # fmt: skip
ASSUMED = Assumed(busy=0.5, commit_s=0.5, replication=2)


def test_cluster_by_hand() -> None:
    """A million events a second take 10 processors of ingest when all of each is used, 20 when half of it is."""
    cluster = cluster_for(1_000_000, COSTS, ASSUMED)
    assert (cluster.ingest_cpus, cluster.accounts_cpus, cluster.broker_cpus) == (20, 40, 20)
    assert cluster.partitions == 40
    assert cluster.written_mib_s == pytest.approx(1_000_000 * 256 * 2 / 2**20)
    assert cluster.kept_gib_day == pytest.approx(1_000_000 * 100 * 2 * 86_400 / 2**30)
    assert cluster.hottest_share == pytest.approx(0.025)  # 25,000 of a million
    # 40 partitions, two commits a second, 100 records each, 10 µs a record.
    assert cluster.snapshots_busy == pytest.approx(0.08)


def test_limits_are_where_the_model_says_that_they_are() -> None:
    """At the limit's own rate the snapshots agent is as busy as is planned with, and the partitions are all there."""
    snapshots, partitions = limits(COSTS, ASSUMED)
    assert "snapshots" in snapshots.what
    assert cluster_for(snapshots.rate, COSTS, ASSUMED).snapshots_busy == pytest.approx(ASSUMED.busy)
    assert cluster_for(partitions.rate, COSTS, ASSUMED).partitions == 1_024
    assert snapshots.rate < partitions.rate


def test_few_cells_break_the_partitions_first() -> None:
    """What breaks first is in front."""
    first, _ = limits(msgspec.structs.replace(COSTS, partials_per_commit=1), ASSUMED)
    assert "partitions" in first.what
    assert first.rate == pytest.approx(1_024 * 25_000)


LINES = {
    "ingest": Measured(scenario="ingest", title="", cpu_us=10, topic_bytes={"web-events": 60}),
    "accounts": Measured(
        scenario="accounts", title="", cpu_us=20, figures={"partial records a commit": 1},
        topic_bytes={"touchpoints": 40, "accounts-changelog": 100, "journeys": 50, "partials": 6},
    ),
    "cells-200k": Measured(scenario="cells-200k", title="", cpu_us=99, figures={"partial records a commit": 100}),
    "pipeline": Measured(scenario="pipeline", title="", cpu_us=99, broker_us=5),
    "snapshots-cells": Measured(scenario="snapshots-cells", title="", cpu_us=10),
}  # fmt: skip


def test_costs_come_from_the_report() -> None:
    """Each cost from the scenario that measures it."""
    assert costs_of(LINES, "cells-200k") == COSTS
    assert costs_of(LINES, "accounts") == msgspec.structs.replace(COSTS, partials_per_commit=1)


def test_no_model_without_a_cost() -> None:
    """Where one scenario was not run, nothing is said."""
    for name in LINES:
        assert sizing_markdown({other: line for other, line in LINES.items() if other != name}, ASSUMED) is None


def test_markdown_names_what_breaks_first() -> None:
    """The document says it in words, with the rate, for few cells and for many."""
    text = sizing_markdown(LINES, ASSUMED)
    assert text is not None
    assert "| processors for accounts | 40 |" in text
    assert "**What breaks first** is the number of partitions, 1,024 at most: at 25,600,000 events a second" in text
    assert "publishes 100, it is the snapshots agent, one process that reads what all partitions publish: at 6," in text
