"""`make chaos-definitions`: definitions come, change and go every few seconds while events arrive faster than they can
be applied, and workers are killed. Then every number is right; and meanwhile events are applied at more than half the
rate at which they are without such changes.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil
from rich.console import Console

from agents.checking import run_check
from agents.commands.demo import everyday_definitions
from agents.completion import Completion, committed_offsets
from agents.defining import apply_definitions, load_definitions
from agents.live_snapshots import published_snapshots
from agents.reading import read_definitions
from agents.settings import Settings
from chaos.fleet import Fleet, milepost_path
from chaos.invariants import disk_findings, findings
from chaos.pressure import Feed, source_ends
from chaos.redefine import redefined
from chaos.world import END_MS
from streams.admin import create_topics
from streams.broker import EmbeddedBroker
from streams.topics import topic_name

WARM_S = 20.0
REDEFINE_S = 4.0
KILL_S = 12.0
COMPLETE_S = 900.0
RATE_KEPT_MIN = 0.5


class Report(msgspec.Struct):
    """Touchpoints applied per second without and with changes, how many of these, and what was violated, in words."""

    alone: float = 0.0
    changing: float = 0.0
    definition_count: int = 0
    kill_count: int = 0
    cell_count: int = 0
    touchpoint_count: int = 0
    violations: list[str] = []


def main() -> int:
    """Returns 1 when anything was violated."""
    arguments = argparse.ArgumentParser(prog="python -m chaos.redefining", description=__doc__)
    arguments.add_argument("--seconds", type=float, default=40.0, help="for how long each of the two phases lasts")
    arguments.add_argument("--rate", type=float, default=20_000.0, help="events per second")
    arguments.add_argument("--accounts", type=int, default=20_000)
    arguments.add_argument("--seed", type=int, default=1)
    wanted = arguments.parse_args()
    console, report = Console(width=160), Report()
    folder = Path(tempfile.mkdtemp(prefix="milepost-redefining-"))
    try:
        with EmbeddedBroker.start(folder / "broker", Settings().folder / "jars") as broker:
            _run(folder, broker.bootstrap_servers, wanted, report, console)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for text in report.violations:
        console.print(f"    VIOLATED {text[:2000]}", highlight=False, markup=False)
    console.print(
        f"{'VIOLATED' if report.violations else 'holds'}: {report.alone:,.0f} touchpoints/s alone,"
        f" {report.changing:,.0f} while definitions changed {report.definition_count} times and workers were killed"
        f" {report.kill_count} times; {report.touchpoint_count:,} touchpoints, {report.cell_count:,} cells;"
        f" {psutil.cpu_count()} cores"
    )
    return int(bool(report.violations))


def _run(folder: Path, bootstrap: str, wanted: argparse.Namespace, report: Report, console: Console) -> None:
    settings = Settings(folder=folder / "workers", prefix="redefining", bootstrap_servers=bootstrap)
    create_topics(bootstrap, settings.prefix, 0, settings.partitions, settings.replication)
    file, rng = load_definitions(everyday_definitions()), random.Random(wanted.seed)
    apply_definitions(file, bootstrap, settings, END_MS)
    fleet, feed = Fleet(settings, milepost_path()), Feed(bootstrap, settings, wanted.accounts)

    def redefine() -> None:
        nonlocal file
        file = redefined(rng, file)
        apply_definitions(file, bootstrap, settings, END_MS)
        report.definition_count += 1

    def kill() -> None:
        rng.choice(fleet.wanted()).kill()
        report.kill_count += 1

    try:
        for number in range(2):
            fleet.add(f"w{number}").start()
        fleet.watch()
        feed.begin(wanted.rate, WARM_S + 2 * wanted.seconds + 60)
        time.sleep(WARM_S)
        report.alone = _applied_rate(bootstrap, settings, wanted.seconds, [])
        console.print(f"{report.alone:,.0f} touchpoints/s without changes")
        report.changing = _applied_rate(bootstrap, settings, wanted.seconds, [(REDEFINE_S, redefine), (KILL_S, kill)])
        console.print(f"{report.changing:,.0f} touchpoints/s with changes")
        feed.check()
        feed.stop()
        is_in = _is_complete(bootstrap, settings)
    finally:
        feed.stop()
        report.violations += [f"{each.worker} ended with {each.code}: {each.said}" for _, each in fleet.endings
                              if each.code >= 0]  # fmt: skip
        fleet.stop()
    if not is_in:
        report.violations.append(f"not complete after {COMPLETE_S:g} s")
        return
    if report.changing < RATE_KEPT_MIN * report.alone:
        report.violations.append(f"events were applied at {report.changing / report.alone:.0%} of the rate")
    _judge(folder, bootstrap, settings, fleet, report)


def _applied_rate(
    bootstrap: str, settings: Settings, seconds: float, acts: list[tuple[float, Callable[[], None]]]
) -> float:
    """Touchpoints applied per second, while each act is done every so many seconds."""
    began, first = time.monotonic(), _applied(bootstrap, settings)
    due = [(began + every, every, act) for every, act in acts]
    while (now := time.monotonic()) < began + seconds:
        for place, (at, every, act) in enumerate(due):
            if now >= at:
                act()
                due[place] = (now + every, every, act)
        time.sleep(0.2)
    return (_applied(bootstrap, settings) - first) / (time.monotonic() - began)


def _applied(bootstrap: str, settings: Settings) -> int:
    topic = topic_name("touchpoints", settings.prefix, settings.generation)
    places = [(topic, partition) for partition in range(settings.partitions)]
    return sum(committed_offsets(bootstrap, settings, "accounts", places).values())


def _is_complete(bootstrap: str, settings: Settings) -> bool:
    """Whether all comes into snapshots of the last definitions, the past included."""
    completion = Completion(bootstrap, settings, read_definitions(bootstrap, settings))
    completion.expect({place: end for place, end in source_ends(bootstrap, settings).items() if end})
    deadline = time.monotonic() + COMPLETE_S
    for snapshots in published_snapshots(bootstrap, settings):
        if completion.is_reached(snapshots):
            return True
        if time.monotonic() > deadline:
            return False
    raise AssertionError("reading the snapshots never ends by itself")


def _judge(folder: Path, bootstrap: str, settings: Settings, fleet: Fleet, report: Report) -> None:
    checked = run_check(bootstrap, settings)
    report.cell_count, report.touchpoint_count = checked.cell_count, checked.touchpoint_count
    report.violations += [f"check {each.analysis}: {found}" for each in checked.analyses for found in each.differences]
    report.violations += [f"{each.analysis} is not complete" for each in checked.analyses if not each.is_complete]
    report.violations += findings(bootstrap, settings)
    report.violations += disk_findings(bootstrap, settings, fleet.disks(), folder / "scratch")


if __name__ == "__main__":
    sys.exit(main())
