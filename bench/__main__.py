"""`make bench`: everything in one run. Rates are of this machine and this run; compare only within one."""

import argparse
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from agents.defining import apply_definitions
from agents.settings import Settings
from bench.definitions import backfill_rate, many_definitions
from bench.world import END_MS, Run, fill_sources, settings_of, timed, touchpoint_count, work_off
from streams.admin import create_topics
from streams.broker import EmbeddedBroker
from streams.topics import topic_name

APPLIED = "milepost_applied_records_total"
INGESTED = "milepost_ingested_records_total"
STOCK_S = 15


def main() -> None:
    """Measures and prints."""
    arguments = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    arguments.add_argument("--events", type=int, default=600_000)
    arguments.add_argument("--accounts", type=int, default=20_000)
    arguments.add_argument("--memory", action="store_true", help="Also 2 M events of 200,000 accounts.")
    wanted = arguments.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="milepost-bench-") as folder,
        EmbeddedBroker.start(Path(folder) / "broker", Settings().folder / "jars") as broker,
    ):
        _measure(Path(folder), broker.bootstrap_servers, wanted)


def _measure(folder: Path, bootstrap: str, wanted: argparse.Namespace) -> None:
    in_order, late = (settings_of(folder, prefix, bootstrap) for prefix in ("inorder", "late"))
    runs: dict[str, Run] = {}
    for name, settings, share in (("in order", in_order, 0.0), ("5 % late", late, 0.05)):
        with timed(f"generate, ingest, accounts {name}"):
            total = fill_sources(settings, bootstrap, wanted.events, wanted.accounts, late=share)
            runs[f"ingest {name}"] = work_off(settings, bootstrap, "ingest", INGESTED, total)
            touchpoints = touchpoint_count(settings, bootstrap)
            runs[f"accounts {name}"] = work_off(settings, bootstrap, "accounts", APPLIED, touchpoints)
    with timed("12 definitions"):
        twelve = in_order.model_copy(update={"generation": 1})
        create_topics(bootstrap, twelve.prefix, twelve.generation, twelve.partitions, twelve.replication)
        apply_definitions(many_definitions(), bootstrap, twelve, END_MS)
        total = touchpoint_count(twelve, bootstrap)
        runs["accounts in order, 12 definitions"] = work_off(twelve, bootstrap, "accounts", APPLIED, total)
    with timed("back-fill"):
        backfill = backfill_rate(in_order, bootstrap)
    with timed("stock Faust"):
        stock = _stock_rate(in_order, bootstrap, folder)
    if wanted.memory:
        many = settings_of(folder, "memory", bootstrap)
        with timed("memory"):
            total = fill_sources(many, bootstrap, 2_000_000, 200_000, late=0.03)
            work_off(many, bootstrap, "ingest", INGESTED, total)
            runs["accounts, 2 M events of 200,000 accounts"] = work_off(
                many, bootstrap, "accounts", APPLIED, touchpoint_count(many, bootstrap)
            )
    _print(runs, backfill, stock, wanted)


def _stock_rate(settings: Settings, bootstrap: str, folder: Path) -> float:
    topic = topic_name("touchpoints", settings.prefix, settings.generation)
    (folder / "stock").mkdir()
    command = [
        sys.executable, "-m", "bench.stock_faust", bootstrap, topic, str(settings.partitions), str(STOCK_S),
        str(folder / "stock"),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=STOCK_S + 120, check=False)
    rate = next((line for line in done.stdout.splitlines() if line.startswith("RATE ")), None)
    if rate is None:
        raise RuntimeError(f"stock Faust gave no rate:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return float(rate.split()[1])


def _print(runs: dict[str, Run], backfill: float, stock: float, wanted: argparse.Namespace) -> None:
    cores, memory = psutil.cpu_count(), psutil.virtual_memory().total >> 30
    machine = f"{cores} cores, {memory} GiB, Python {platform.python_version()}"
    title = f"{wanted.events:,} events of {wanted.accounts:,} accounts; {machine}"
    table = Table("stage", "events/s", "times stock", "RSS MiB", title=title)
    for name, run in runs.items():
        table.add_row(name, f"{run.rate:,.0f}", f"{run.rate / stock:.1f}", f"{run.rss_bytes >> 20:,}")
    table.add_row("back-fill of 9 definitions beside 3", f"{backfill:,.0f}", f"{backfill / stock:.1f}", "")
    table.add_row("stock Faust, one table write per event", f"{stock:,.0f}", "1.0", "")
    steps = Table("accounts, µs per event", "compute", "append", "store", "publish")
    for name, run in runs.items():
        if name.startswith("accounts"):
            steps.add_row(
                name, *(f"{run.us_per_event(step):.1f}" for step in ("compute", "append", "store", "publish"))
            )
    console = Console(width=120)
    console.print(table)
    console.print(steps)
    kept = runs["accounts 5 % late"].rate / runs["accounts in order"].rate
    console.print(f"with 5 % late the accounts stage keeps {kept:.0%} of its rate in order")
    many = runs["accounts in order, 12 definitions"].rate / runs["accounts in order"].rate
    console.print(f"with 12 definitions it keeps {many:.0%}")


if __name__ == "__main__":
    main()
