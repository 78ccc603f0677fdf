"""One seed from beginning to verdict: faults drawn from the list, then quiet, then everything is compared."""

import random
import signal
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec
from rich.console import Console

from agents.checking import run_check
from agents.completion import Completion, waiting_counts
from agents.live_snapshots import published_snapshots
from agents.reading import read_definitions
from chaos.faults import Fault
from chaos.fleet import CRASHED
from chaos.invariants import disk_findings, findings
from chaos.messages import (
    Message,
    delivery_findings,
    is_settled,
    message_findings,
    read_alerts,
    read_changes,
    undelivered,
)
from chaos.world import Shape, World
from streams.admin import end_offsets
from streams.topics import topic_name

QUIET_S = 240.0
"""Until all is counted once no more events come, and then until all is delivered."""
RSS_BYTES_MAX = 2**30


class Verdict(msgspec.Struct):
    """What one seed showed. violations: in words; empty when all held. endings: how workers ended by themselves."""

    seed: int
    shape: str
    faults: dict[str, int]
    violations: list[str]
    endings: list[str]
    touchpoint_count: int = 0
    cell_count: int = 0
    message_count: int = 0
    quiet_s: float = 0.0
    elapsed_s: float = 0.0
    rss_mib_max: int = 0


def run_seed(shape: Shape, allowed: Sequence[Fault], folder: Path, jars: Path, console: Console) -> Verdict:
    """Runs one seed in `folder`, which must be empty, with faults drawn from those allowed."""
    return run_world(shape, partial(_inject, allowed), folder, jars, console)


def run_world(
    shape: Shape,
    inject: Callable[[World, Verdict], None],
    folder: Path,
    jars: Path,
    console: Console,
    patience_s: float = QUIET_S,
) -> Verdict:
    """Builds a world, lets something befall it, and judges it when all is quiet; always ends what it started."""
    began = time.monotonic()
    world = World(shape, folder, jars, console)
    verdict = Verdict(shape.seed, repr(shape), {}, [], [])
    try:
        world.build()
        _wait_for_a_first_result(world)
        inject(world, verdict)
        _settle(world, verdict, patience_s)
    finally:
        verdict.endings = _endings(world)
        verdict.rss_mib_max = max((worker.rss_max for worker in world.fleet.workers.values()), default=0) >> 20
        world.end()
    verdict.violations += [line for line in world.timeline if "VIOLATION" in line]
    unexplained = [ended for _, ended in world.fleet.endings if not ended.is_explained]
    verdict.violations += [f"{each.worker} ended with {each.code} and no message: {each.said}" for each in unexplained]
    if verdict.rss_mib_max << 20 > RSS_BYTES_MAX:
        verdict.violations.append(f"a worker used {verdict.rss_mib_max} MiB")
    verdict.elapsed_s = time.monotonic() - began
    return verdict


def _wait_for_a_first_result(world: World) -> None:
    for snapshots in published_snapshots(world.bootstrap, world.settings):
        if snapshots:
            return


def _inject(allowed: Sequence[Fault], world: World, verdict: Verdict) -> None:
    """Draws faults and lets some time pass between them."""
    shape, rng = world.shape, world.rng
    possible = [
        fault
        for fault in allowed
        if shape.brokers >= fault.brokers_min and (shape.compacts or not fault.needs_compaction)
    ]
    # Every kind once before any comes again, in an order of the seed's own.
    drawn: list[Fault] = []
    while len(drawn) < shape.faults:
        drawn += rng.sample(possible, len(possible))
    for fault in drawn[: shape.faults]:
        world.wait(rng.uniform(0.2, 4.0))
        text = fault.act(world, random.Random(rng.random()))
        world.note(f"{fault.name}: {text}")
        verdict.faults[fault.name] = verdict.faults.get(fault.name, 0) + 1


def _settle(world: World, verdict: Verdict, patience_s: float) -> None:
    """No more events and no more faults: all that came must be in, and right."""
    world.wait(1.0)
    world.feed.stop()
    began = time.monotonic()
    world.note(f"quiet; {world.feed.sent_count:,} records were sent")
    if not _all_is_in(world, patience_s):
        unread, behind = waiting_counts(world.bootstrap, world.settings, {})
        verdict.violations.append(
            f"stuck: not complete after {patience_s:g} s; {unread} source records unread by ingest;"
            f" {behind} touchpoints"
        )
        return
    verdict.quiet_s = time.monotonic() - began
    world.note(f"complete after {verdict.quiet_s:.1f} s")
    told = _told(world, patience_s)
    verdict.message_count = len({each.name for each in told})
    world.note(f"{verdict.message_count:,} messages, {len(world.receiver.received):,} requests")
    report = run_check(world.bootstrap, world.settings)
    verdict.touchpoint_count, verdict.cell_count = report.touchpoint_count, report.cell_count
    for each in report.analyses:
        if not each.is_complete:
            verdict.violations.append(f"check {each.analysis}: it is still being counted")
        verdict.violations += [f"check {each.analysis}: {difference}" for difference in each.differences[:5]]
    verdict.endings = _endings(world)
    world.fleet.stop()
    verdict.violations += findings(world.bootstrap, world.settings)
    disks, scratch = world.fleet.disks(), world.folder / "scratch"
    verdict.violations += disk_findings(world.bootstrap, world.settings, disks, scratch)
    verdict.violations += message_findings(world.bootstrap, world.settings, is_compacted=world.shape.compacts)
    verdict.violations += delivery_findings(world.bootstrap, world.settings, told, world.receiver.accepted)


def _all_is_in(world: World, patience_s: float) -> bool:
    """Whether ingest, accounts and snapshots have come to the ends within the patience."""
    settings, deadline = world.settings, time.monotonic() + patience_s
    completion = Completion(world.bootstrap, settings, read_definitions(world.bootstrap, settings))
    completion.expect(
        {
            (topic, partition): end
            for topic in (topic_name(name, settings.prefix, 0) for name in ("crm-events", "web-events"))
            for partition, end in end_offsets(world.bootstrap, topic).items()
            if end
        }
    )
    for snapshots in published_snapshots(world.bootstrap, settings):
        if completion.is_reached(snapshots):
            return True
        if time.monotonic() > deadline:
            return False
    raise AssertionError("reading the snapshots never ends by itself")


def _told(world: World, patience_s: float) -> list[Message]:
    """What there is to deliver, once all of it was delivered and noted, or the patience is over."""
    deadline = time.monotonic() + patience_s
    while True:
        told = read_alerts(world.bootstrap, world.settings) + read_changes(world.bootstrap, world.settings)
        is_over = time.monotonic() > deadline
        if is_over or (not undelivered(told, world.receiver.accepted) and is_settled(world.bootstrap, world.settings)):
            return told
        world.wait(1.0)


def _endings(world: World) -> list[str]:
    return [
        f"{ended.worker} ended with {ended.code}: {ended.said}"
        for _, ended in world.fleet.endings
        if ended.code not in (-signal.SIGKILL, CRASHED)
    ]
