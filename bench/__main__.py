"""`make bench`: all of the product in one run, a scenario after the other. Rates are of this machine and this run."""

import argparse
import platform
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import msgspec
import psutil
from rich.console import Console

from agents.settings import Settings
from bench.arena import arena
from bench.document import put_between
from bench.events import scale_of, scaled
from bench.measured import Measured, Report
from bench.scenarios import SCENARIO_BY_NAME, Scenario
from bench.sizing import Assumed, sizing_markdown
from bench.tables import grids, markdown_of, rich_of
from streams.broker import EmbeddedBroker
from streams.errors import MilepostError

ROOT = Path(__file__).parent.parent
BUILD, DOCS = ROOT / "build" / "bench", ROOT / "docs"
RESULTS_MARK, SIZING_MARK = "bench: results", "bench: sizing"
QUICK_EVENTS_MAX = 12_000
# What a scenario can fail by; the clients' errors of Kafka are RuntimeErrors.
FAILURES = (MilepostError, RuntimeError, OSError, subprocess.SubprocessError, psutil.Error, duckdb.Error)


def main() -> int:
    """Measures, prints and writes; returns 1, and publishes nothing, when a scenario failed or a number was wrong."""
    wanted = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what it started ends with it
    lines: list[Measured] = []
    failed: list[str] = []
    with (
        tempfile.TemporaryDirectory(prefix="milepost-bench-") as folder,
        EmbeddedBroker.start(Path(folder) / "broker", Settings().folder / "jars") as broker,
    ):
        for name in wanted.only:
            if not _measure(broker, Path(folder), SCENARIO_BY_NAME[name], wanted.quick, lines):
                failed.append(name)
            report = Report(_machine(), wanted.quick, lines, failed)
            _write_json(report, BUILD / "product.json")  # after each, for all of them take an hour
    _show(report)
    if wanted.publish and not failed:
        _publish(report)
    return int(bool(failed))


def _arguments() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    arguments.add_argument(
        "--only", nargs="+", choices=list(SCENARIO_BY_NAME), default=list(SCENARIO_BY_NAME), metavar="NAME",
        help=f"some of: {', '.join(SCENARIO_BY_NAME)}",
    )  # fmt: skip
    arguments.add_argument("--quick", action="store_true", help="so small that it says nothing about speed")
    arguments.add_argument("--publish", action="store_true", help="write the report into docs/, not only into build/")
    wanted = arguments.parse_args()
    if wanted.publish and (wanted.quick or len(wanted.only) < len(SCENARIO_BY_NAME)):
        arguments.error("--publish goes with all scenarios in their full size")
    return wanted


def _measure(broker: EmbeddedBroker, folder: Path, scenario: Scenario, quick: bool, lines: list[Measured]) -> bool:
    """Adds what one scenario found; False when it failed, which is said, and the others go on."""
    began_s = time.monotonic()
    scale = scale_of(scenario.world, QUICK_EVENTS_MAX) if quick else 1
    try:
        with arena(broker, folder / "broker", folder, scenario.name, scale, scenario.partitions) as own:
            found = scenario.measure.run(own, scaled(scenario.world, scale), scenario.name, scenario.title)
    except FAILURES as error:
        print(f"  {scenario.name} FAILED: {error}", flush=True)
        return False
    lines += found
    print(f"  ({scenario.name}: {time.monotonic() - began_s:.0f} s)", flush=True)
    return not any(line.check is not None and line.check.differences for line in found)


def _machine() -> str:
    memory = psutil.virtual_memory().total >> 30
    return f"{psutil.cpu_count()} cores, {memory} GiB, {platform.machine()}, Python {platform.python_version()}"


def _write_json(report: Report, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")


def _show(report: Report) -> None:
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(report.machine + (", sizes that say nothing about speed" if report.is_quick else ""))
    for grid in grids(report.lines):
        console.print(rich_of(grid))
    if sizing := _sizing(report):
        console.print(sizing, markup=False, highlight=False)
    if report.failed:
        console.print(f"FAILED: {', '.join(report.failed)}")


def _publish(report: Report) -> None:
    """Into the two documents, and the numbers beside them."""
    _write_json(report, DOCS / "performance" / "product.json")
    tables = "\n\n".join([f"On {report.machine}.", *map(markdown_of, grids(report.lines))])
    sizing = _sizing(report)
    assert sizing is not None, "every scenario ran"
    for path, mark, text in (
        (DOCS / "benchmarks.md", RESULTS_MARK, tables),
        (DOCS / "performance.md", SIZING_MARK, sizing),
    ):
        path.write_text(put_between(path.read_text(), mark, text))


def _sizing(report: Report) -> str | None:
    return sizing_markdown({line.scenario: line for line in report.lines}, Assumed())


if __name__ == "__main__":
    sys.exit(main())
