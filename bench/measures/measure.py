"""What a measure is to the runner."""

from collections.abc import Sequence
from typing import Protocol

from bench.arena import Arena
from bench.events import World
from bench.measured import Measured


class Measure(Protocol):
    """Options as fields, and what is done with them."""

    def run(self, arena: Arena, world: World, name: str, title: str) -> Sequence[Measured]:
        """Measures the world in the arena, whose topics it makes. Raises MilepostError or RuntimeError where that
        fails."""
