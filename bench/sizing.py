"""What a cluster needs for a rate, from what one event costs; and what breaks first when the rate grows.

Workers, brokers and disks grow by adding more of them. Two things do not: the snapshots agent, of which one is active
and reads what every partition publishes; and the number of partitions, for an account lies in one, and one is computed
by one processor. A commit publishes each cell that it changed once, however often; so the agent's work grows with
partitions and commits, not with events.
"""

from collections.abc import Mapping, Sequence
from math import ceil

import msgspec

from bench.measured import Measured

PARTITIONS_MAX = 1_024
TARGET_RATE = 1_000_000.0
FEW_CELLS, MANY_CELLS = "accounts", "cells-200k"
# Of snapshots the scenario with so many records that starting does not count.
_MEASURED_BY = ("ingest", "accounts", "pipeline", "snapshots-cells")
MIB = 2**20


class Costs(msgspec.Struct, frozen=True):
    """Microseconds of the processor and bytes, an event; of snapshots_us, a record of partials.

    partials_per_commit: records that a commit publishes there at most, which is that of a full batch.
    """

    ingest_us: float
    accounts_us: float
    broker_us: float
    snapshots_us: float
    partials_per_commit: float
    source_bytes: float
    touchpoint_bytes: float
    changelog_bytes: float
    output_bytes: float


class Assumed(msgspec.Struct, frozen=True):
    """busy: the share of a processor that is planned with. commit_s: input of so many seconds makes a commit.
    replication: of every topic."""

    busy: float = 0.6
    commit_s: float = 0.5
    replication: int = 3


class Cluster(msgspec.Struct, frozen=True):
    """What a rate needs: processors of each role, partitions at least, MiB a second that all brokers write, and GiB a
    day of what is kept for ever. hottest_share: an account may have that share of all events. snapshots_busy:
    of the one processor that the snapshots agent has."""

    rate: float
    ingest_cpus: int
    accounts_cpus: int
    broker_cpus: int
    partitions: int
    written_mib_s: float
    kept_gib_day: float
    hottest_share: float
    snapshots_busy: float


class Limit(msgspec.Struct, frozen=True):
    """Up to which rate, in events a second, something holds."""

    what: str
    rate: float


def costs_of(lines: Mapping[str, Measured], commits: str) -> Costs | None:
    """From the lines of a report by scenario; None where one that it needs is not there. commits: the scenario that
    says how many records a commit publishes."""
    if not {*_MEASURED_BY, commits} <= lines.keys():
        return None
    ingest, accounts, pipeline, snapshots = (lines[name] for name in _MEASURED_BY)
    return Costs(
        ingest_us=_known(ingest.cpu_us),
        accounts_us=_known(accounts.cpu_us),
        broker_us=_known(pipeline.broker_us),
        snapshots_us=_known(snapshots.cpu_us),
        partials_per_commit=lines[commits].figures["partial records a commit"],
        source_bytes=ingest.topic_bytes["web-events"],
        touchpoint_bytes=accounts.topic_bytes["touchpoints"],
        changelog_bytes=accounts.topic_bytes["accounts-changelog"],
        output_bytes=accounts.topic_bytes["journeys"] + accounts.topic_bytes["partials"],
    )


def _known(cost: float | None) -> float:
    assert cost is not None, "these scenarios measure it"
    return cost


def cluster_for(rate: float, costs: Costs, assumed: Assumed) -> Cluster:
    """The least that carries the rate."""
    cpu_us = 1e6 * assumed.busy
    partitions = ceil(rate * costs.accounts_us / cpu_us)
    kept_bytes = costs.source_bytes + costs.touchpoint_bytes
    written_bytes = kept_bytes + costs.changelog_bytes + costs.output_bytes
    return Cluster(
        rate=rate,
        ingest_cpus=ceil(rate * costs.ingest_us / cpu_us),
        accounts_cpus=partitions,
        broker_cpus=ceil(rate * costs.broker_us * assumed.replication / cpu_us),
        partitions=partitions,
        written_mib_s=rate * written_bytes * assumed.replication / MIB,
        kept_gib_day=rate * kept_bytes * assumed.replication * 86_400 / 2**30,
        hottest_share=cpu_us / costs.accounts_us / rate,
        snapshots_busy=_snapshots_busy(partitions, costs, assumed),
    )


def _snapshots_busy(partitions: float, costs: Costs, assumed: Assumed) -> float:
    return partitions / assumed.commit_s * costs.partials_per_commit * costs.snapshots_us / 1e6


def limits(costs: Costs, assumed: Assumed) -> list[Limit]:
    """What does not grow by adding more of it, that which breaks first in front."""
    partition_rate = 1e6 * assumed.busy / costs.accounts_us
    partitions = assumed.busy / _snapshots_busy(1, costs, assumed)
    found = [
        Limit("the snapshots agent, one process that reads what all partitions publish", partitions * partition_rate),
        Limit(f"the number of partitions, {PARTITIONS_MAX:,} at most", PARTITIONS_MAX * partition_rate),
    ]
    return sorted(found, key=lambda limit: limit.rate)


def sizing_markdown(lines: Mapping[str, Measured], assumed: Assumed) -> str | None:
    """The model's numbers for TARGET_RATE, and what breaks first, with few cells and with many; None where a scenario
    that it needs was not run."""
    costs, with_many_cells = (costs_of(lines, commits) for commits in (FEW_CELLS, MANY_CELLS))
    if costs is None or with_many_cells is None:
        return None
    cluster = cluster_for(TARGET_RATE, costs, assumed)
    needs = (
        ("processors for ingest", f"{cluster.ingest_cpus:,}", "rate × ingest's µs / busy"),
        ("processors for accounts", f"{cluster.accounts_cpus:,}", "rate × accounts' µs / busy"),
        ("processors of the brokers", f"{cluster.broker_cpus:,}", "rate × broker's µs × replicas / busy"),
        ("partitions, at least", f"{cluster.partitions:,}", "one per processor of accounts"),
        ("written by all brokers, MiB/s", f"{cluster.written_mib_s:,.0f}", "rate × bytes of all topics × replicas"),
        ("kept for ever, GiB a day", f"{cluster.kept_gib_day:,.0f}", "sources and touchpoints, × replicas"),
        ("the snapshots agent's processor", f"{cluster.snapshots_busy:.0%}", "commits/s × records a commit × its µs"),
        ("an account's share of events, at most", f"{cluster.hottest_share:.2%}", "what one processor takes / rate"),
    )
    table = [
        f"For {TARGET_RATE:,.0f} events a second, processors {assumed.busy:.0%} busy, {assumed.replication} replicas, a"
        f" commit for every {assumed.commit_s:g} s of a partition's input; an event takes {costs.ingest_us:.1f} µs of"
        f" ingest, {costs.accounts_us:.1f} of accounts, {costs.broker_us:.1f} of the broker, a record of partials"
        f" {costs.snapshots_us:.1f} of the snapshots agent, of which a full commit publishes"
        f" {costs.partials_per_commit:,.0f}:",
        "",
        "| | needed | from |",
        "|---|---|---|",
        *(f"| {what} | {needed} | {how} |" for what, needed, how in needs),
    ]
    return "\n".join(
        [
            *table,
            "",
            f"**What breaks first** is {_in_words(limits(costs, assumed))}",
            "",
            f"With an analysis of very many cells, of which a full commit publishes"
            f" {with_many_cells.partials_per_commit:,.0f}, it is {_in_words(limits(with_many_cells, assumed))}",
        ]
    )


def _in_words(found: Sequence[Limit]) -> str:
    first, *others = (f"{limit.what}: at {limit.rate:,.0f} events a second" for limit in found)
    return "; then ".join([first, *others]) + "."
