"""Stock Faust on the same touchpoints: one table write per event."""

import subprocess
import sys
from collections.abc import Sequence

import msgspec

from bench.arena import Arena
from bench.definitions import everyday
from bench.events import World, as_touchpoint
from bench.measured import Measured


class Stock(msgspec.Struct, frozen=True):
    """For seconds, from its first event on."""

    seconds: float = 15.0

    def run(self, arena: Arena, world: World, name: str, title: str) -> Sequence[Measured]:
        arena.make_topics(everyday())
        arena.fill(world, "touchpoints", as_touchpoint)
        folder = arena.settings.folder / "stock"
        folder.mkdir()
        seconds = max(1.0, self.seconds / arena.scale)
        command = [
            sys.executable, "-m", "bench.stock_faust", arena.bootstrap, arena.topic("touchpoints"),
            str(arena.settings.partitions), str(seconds), str(folder),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 120, check=False)
        rate = next((line for line in done.stdout.splitlines() if line.startswith("RATE ")), None)
        if rate is None:
            raise RuntimeError(f"stock Faust gave no rate:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        return [Measured(scenario=name, title=title, events=world.events, rate=float(rate.split()[1]))]
