"""`make chaos-points`, second part: the crash points outside of an owner, each in pairs with every other point.

One worker of all roles, to which events come all the while, ends at the first point, started again at the second, then
goes on, pair after pair. In the end everything is compared as behind any seed. `chore` is reached by definitions that
change; `slice` by events of one account that are each more than a commit, in a world of its own, for all else waits
there until that account is applied.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from itertools import product
from pathlib import Path

from rich.console import Console

from agents.settings import Settings
from chaos.faults import lose_disk
from chaos.fleet import Worker
from chaos.giant import Giant
from chaos.run import Verdict, run_world
from chaos.world import Shape, World
from streams.crash import CRASH_POINTS, CrashPoint

OUTSIDE: frozenset[CrashPoint] = frozenset(("ack", "routed", "sent"))
PAIRS = [pair for pair in product(CRASH_POINTS, CRASH_POINTS) if not OUTSIDE.isdisjoint(pair)]
ON_AN_EMPTY_DISK = ("restoring", "restore")
PATIENCE_S = 240.0
"""Until a point is reached: `slice` only when all of its account is applied."""
SETTLE_S = 900.0
"""Until all is counted and delivered in the end: a worker that ends every few seconds leaves most of it until then."""
_Pairs = Sequence[tuple[CrashPoint, CrashPoint]]
SHAPE = Shape(seed=0, brokers=1, workers=1, compacts=False, standby=False, rate=200.0, faults=0)


def main() -> int:
    """Returns 1 when a pair breaks something, or a point was not reached."""
    arguments = argparse.ArgumentParser(prog="python -m chaos.worker_pairs", description=__doc__)
    arguments.add_argument("--only", choices=CRASH_POINTS, help="the pairs that this point is in")
    only = arguments.parse_args().only
    pairs = [pair for pair in PAIRS if only is None or only in pair]
    groups = [[pair for pair in pairs if ("slice" in pair) is is_slice] for is_slice in (False, True)]
    return max(int(_is_broken(group, Console(width=200))) for group in groups if group)


def _is_broken(pairs: _Pairs, console: Console) -> bool:
    """Visits pairs in one world, and says how it went."""
    with tempfile.TemporaryDirectory(prefix="milepost-pairs-") as folder:
        jars = Settings().folder / "jars"
        verdict = run_world(SHAPE, partial(_crash, pairs), Path(folder), jars, console, SETTLE_S)
    for text in verdict.violations:
        console.print(f"    VIOLATED {text[:3000]}", highlight=False, markup=False)
    console.print(
        f"{len(pairs)} pairs, {verdict.faults['crash']} crashes, {verdict.touchpoint_count:,} touchpoints,"
        f" {verdict.message_count:,} messages, {verdict.elapsed_s:.0f} s; {'broken' if verdict.violations else 'holds'}"
    )
    return bool(verdict.violations)


def _crash(pairs: _Pairs, world: World, verdict: Verdict) -> None:
    verdict.faults["crash"] = 0
    (worker,) = world.fleet.wanted()
    giant = Giant(world) if any("slice" in pair for pair in pairs) else None
    for pair in pairs:
        for point in pair:
            if point in ON_AN_EMPTY_DISK:
                lose_disk(world, world.rng)
            is_reached = _ends_at(point, worker, world, giant)
            world.note(f"{point}{'' if is_reached else ' VIOLATION: it was not reached'}")
            verdict.faults["crash"] += is_reached


def _ends_at(point: CrashPoint, worker: Worker, world: World, giant: Giant | None) -> bool:
    """Whether the worker ended there; it is started again."""
    with world.fleet.turn:
        worker.kill()
        worker.start(MILEPOST_CRASH_AT=point)
        if point == "chore":
            world.redefine(world.rng)
        if point == "slice" and giant is not None:
            giant.earlier()
        is_reached = world.wait_until(lambda: not worker.lives(), PATIENCE_S)
        worker.start()
    return is_reached


if __name__ == "__main__":
    sys.exit(main())
