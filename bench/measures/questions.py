"""Stories and drill-downs of one account with very many touchpoints, asked over HTTP of the worker that owns it."""

import time
from collections.abc import Callable, Sequence

import msgspec
import psutil

from agents.query_client import QueryClient
from bench.arena import Arena
from bench.events import GIANT, World
from bench.measured import Measured
from bench.measures.stages import counted
from bench.percentiles import percentile

ANALYSIS = "lead-to-won"


class Questions(msgspec.Struct, frozen=True):
    """A line per question, each asked `repeats` times; then the check."""

    repeats: int = 20

    def run(self, arena: Arena, world: World, name: str, title: str) -> Sequence[Measured]:
        with counted(arena, world) as (team, _):
            client = QueryClient(arena.bootstrap, team.settings[0])
            process = psutil.Process(team.pids[0])
            lines = [
                self._asked(process, f"{name}-{key}", f"{what}, {world.giant:,} touchpoints", ask)
                for key, (what, ask) in _questions(client).items()
            ]
        lines[-1] = msgspec.structs.replace(lines[-1], check=arena.check())
        return lines

    def _asked(self, process: psutil.Process, name: str, title: str, ask: Callable[[], object]) -> Measured:
        waits_ms: list[float] = []
        before = process.cpu_times()
        for _ in range(self.repeats):
            began_s = time.monotonic()
            ask()
            waits_ms.append(1e3 * (time.monotonic() - began_s))
        after = process.cpu_times()
        cpu_s = after.user + after.system - before.user - before.system
        waits_ms.sort()
        figures = {
            "p50, ms": percentile(waits_ms, 50),
            "most, ms": waits_ms[-1],
            "worker's processor, ms": 1e3 * cpu_s / self.repeats,
        }
        return Measured(scenario=name, title=title, figures=figures)


def _questions(client: QueryClient) -> dict[str, tuple[str, Callable[[], object]]]:
    """By name what is asked, in words and as a call."""
    first = client.story("account", GIANT, GIANT)
    cell = {"analysis": ANALYSIS, "cell": "won"}
    return {
        "story": ("story, first page", lambda: client.story("account", GIANT, GIANT)),
        "story-page": ("story, next page", lambda: client.story("account", GIANT, GIANT, before=first.before)),
        "story-type": ("story, one type only", lambda: client.story("account", GIANT, GIANT, types="Closed-Won")),
        "why": ("why it counts as won", lambda: client.why(GIANT, **cell)),
        "cells": ("who is behind won, all accounts", lambda: client.cells(50, **cell)),
    }
