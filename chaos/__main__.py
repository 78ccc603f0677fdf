"""`make chaos`: seeds one after the other; prints the timeline of faults and the verdict of each, and a table."""

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from agents.settings import Settings
from chaos.faults import FAULT_BY_NAME, FAULTS
from chaos.run import Verdict, run_seed
from chaos.world import Shape


def main() -> int:
    """Returns 1 when anything was violated."""
    arguments = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    arguments.add_argument("--seeds", default="1-20", help="one, or from-to")
    arguments.add_argument("--faults", type=int, default=16, help="how many a seed injects")
    arguments.add_argument("--only", default="", help=f"comma-separated, of {', '.join(FAULT_BY_NAME)}")
    arguments.add_argument("--cheap", action="store_true", help="only faults that take seconds; one broker")
    arguments.add_argument("--keep", type=Path, help="where the folders of failed seeds are left")
    arguments.add_argument("--report", type=Path, help="a line of JSON per seed is added to this file")
    wanted = arguments.parse_args()
    console = Console(width=200)
    verdicts = [_one(seed, wanted, console) for seed in _seeds(wanted.seeds)]
    _print_table(verdicts, console)
    return int(any(verdict.violations for verdict in verdicts))


def _seeds(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def _one(seed: int, wanted: argparse.Namespace, console: Console) -> Verdict:
    shape = Shape.of(seed, wanted.faults)
    allowed = [FAULT_BY_NAME[name] for name in wanted.only.split(",") if name] or list(FAULTS)
    if wanted.cheap:
        shape = msgspec.structs.replace(shape, brokers=1, compacts=False, workers=2)
        allowed = [fault for fault in allowed if fault.cheap]
    console.rule(f"seed {seed}: {shape}")
    folder = Path(tempfile.mkdtemp(prefix=f"milepost-chaos-{seed}-"))
    verdict = run_seed(shape, allowed, folder, Settings().folder / "jars", console)
    _print(verdict, console)
    if wanted.report:
        wanted.report.parent.mkdir(parents=True, exist_ok=True)
        with wanted.report.open("ab") as file:
            file.write(msgspec.json.encode(verdict) + b"\n")
    if verdict.violations and wanted.keep:
        shutil.copytree(folder, wanted.keep / f"seed-{seed}", symlinks=True, dirs_exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    return verdict


def _print(verdict: Verdict, console: Console) -> None:
    for text in verdict.endings:
        console.print(f"    {text[:600]}", highlight=False, markup=False)
    for text in verdict.violations:
        console.print(f"    VIOLATED {text[:3000]}", highlight=False, markup=False)
    outcome = "VIOLATED" if verdict.violations else "holds"
    console.print(
        f"seed {verdict.seed} {outcome}: {sum(verdict.faults.values())} faults,"
        f" {verdict.touchpoint_count:,} touchpoints, {verdict.cell_count:,} cells,"
        f" {verdict.message_count:,} messages, {verdict.rss_mib_max} MiB at most, {verdict.elapsed_s:.0f} s"
    )


def _print_table(verdicts: list[Verdict], console: Console) -> None:
    counts: Counter[str] = Counter()
    for verdict in verdicts:
        counts.update(verdict.faults)
    table = Table("fault", "injected")
    for name, count in sorted(counts.items()):
        table.add_row(name, str(count))
    table.add_row("all", str(counts.total()))
    console.print(table)
    failed = [verdict.seed for verdict in verdicts if verdict.violations]
    console.print(f"{len(verdicts)} seeds, violated: {failed or 'none'}")


if __name__ == "__main__":
    sys.exit(main())
