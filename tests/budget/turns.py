"""`python -m tests.budget.turns CHECKOUT...`: in which of several checkouts a live batch takes less time.

A machine's speed may change twofold within minutes. So there is a process for each checkout, they compute a batch in
turn, and what counts is the median of the ratios of batches that were next to each other. Name a checkout twice to see
how far alike ones lie apart. They have the packages of this one; nothing is sent, and nothing is compressed.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

from tests.budget.scenarios import THREE, Partition
from tests.budget.worlds import batches_of, plan, rounds_of, touchpoint_records

ACCOUNTS, EVENTS, ROUNDS = 1_000, 30_000, 40
SIZE, WARM, TURNS = 250, 10, 70  # of a batch; batches before the first turn, and from it on


def main() -> None:
    """Prints a line per checkout."""
    arguments = argparse.ArgumentParser(prog="python -m tests.budget.turns", description=__doc__)
    arguments.add_argument("checkouts", nargs="+", type=Path, metavar="CHECKOUT", help="the first is compared with")
    wanted = arguments.parse_args()
    processes = [_process_of(checkout.resolve()) for checkout in wanted.checkouts]
    found = [_turn(processes, number % 2 == 1) for number in range(TURNS)]
    for process in processes:
        process.communicate()
    for number, checkout in enumerate(wanted.checkouts):
        times = [turn[number] for turn in found]
        ratio = statistics.median(turn[number] / turn[0] for turn in found)
        print(f"{checkout}: {statistics.median(times):.2f} µs an event, {ratio:.3f} of the first, {len(times)} turns")


def _process_of(checkout: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", "from tests.budget.turns import serve; serve()"],
        cwd=checkout, env=os.environ | {"PYTHONPATH": str(checkout)}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip


def _turn(processes: list[subprocess.Popen[str]], backwards: bool) -> list[float]:
    """What the next batch takes each of them."""
    times = {number: _time_of(processes[number]) for number in sorted(range(len(processes)), reverse=backwards)}
    return [times[number] for number in range(len(processes))]


def _time_of(process: subprocess.Popen[str]) -> float:
    assert process.stdin is not None, "a pipe"
    assert process.stdout is not None, "a pipe"
    process.stdin.write("\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def serve() -> None:
    """A batch for every line read; what it took is written, in microseconds an event."""
    records = rounds_of(touchpoint_records(plan(EVENTS, ACCOUNTS)), ROUNDS)
    with tempfile.TemporaryDirectory() as folder:
        partition = Partition(THREE, folder)
        for number, batch in enumerate(islice(batches_of(records, SIZE), WARM + TURNS)):
            if number >= WARM:
                sys.stdin.readline()
            begun = time.perf_counter()
            partition.write(partition.compute(batch).written)
            if number >= WARM:
                print(1e6 * (time.perf_counter() - begun) / len(batch), flush=True)
        partition.store.close()


if __name__ == "__main__":
    main()
