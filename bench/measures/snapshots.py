"""The snapshots agent's own loop on partials that are there: how many records it takes, and what a rendering costs.

It runs in this process, without the fence and the topic that it publishes to, which take a record a second.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

import msgspec
import uvloop

from agents.reading import read_definitions
from agents.snapshots import Schedule, follow_partials
from bench.arena import Arena
from bench.definitions import everyday
from bench.events import World, as_touchpoint
from bench.measured import Measured
from bench.working import APPLIED, work_off
from state.definition_set import DefinitionSet
from state.definitions import DefinitionFile
from state.render.snapshot import snapshot_of
from streams.snapshot import encode_snapshot
from streams.store import Row

FOLLOW_S_MAX = 600.0


class Snapshots(msgspec.Struct, frozen=True):
    """Follows the partials of a world from their beginning until every analysis has been published once."""

    definitions: Callable[[], DefinitionFile] = everyday

    def run(self, arena: Arena, world: World, name: str, title: str) -> Sequence[Measured]:
        arena.make_topics(self.definitions())
        total = arena.fill(world, "touchpoints", as_touchpoint)
        work_off(arena, "accounts", APPLIED, total)
        records, definitions = arena.record_count("partials"), read_definitions(arena.bootstrap, arena.settings)
        schedule = Schedule(
            lambda: (0, definitions), touchpoints=arena.topic("touchpoints"), claim_offset=0, interval_s=0.0,
            lateness_ms=0,
        )  # fmt: skip
        wall_s, cpu_s = uvloop.run(_followed(arena, schedule, len(definitions.definitions)))
        rendered_s = _rendered(schedule, definitions)
        return [
            Measured(
                scenario=name,
                title=title,
                events=records,
                rate=records / wall_s,
                cpu_us=1e6 * (cpu_s - rendered_s) / records,
                figures={
                    "one rendering of every analysis, ms": 1e3 * rendered_s,
                    "cells": float(sum(len(schedule.sums.totals(each.version)) for each in definitions.definitions)),
                },
            )
        ]


async def _followed(arena: Arena, schedule: Schedule, analysis_count: int) -> tuple[float, float]:
    """Seconds by the clock and of the processor until everything was published once."""
    published = 0
    through = asyncio.Event()

    async def publish(records: list[Row]) -> bool:
        nonlocal published
        published += len(records)
        if published >= analysis_count:
            through.set()
        return True

    async def retire(former: Sequence[object]) -> None:
        """No version is replaced here."""

    began_s, began_cpu_s = time.monotonic(), time.process_time()
    following = asyncio.create_task(
        follow_partials(arena.bootstrap, arena.topic("partials"), arena.settings.partitions, schedule, publish, retire)
    )
    waiting = asyncio.create_task(through.wait())
    done, _ = await asyncio.wait({following, waiting}, timeout=FOLLOW_S_MAX, return_when=asyncio.FIRST_COMPLETED)
    spent = time.monotonic() - began_s, time.process_time() - began_cpu_s
    following.cancel()
    waiting.cancel()
    await asyncio.wait({following, waiting})
    if following in done:
        following.result()
    if not through.is_set():
        raise RuntimeError(f"{published} of {analysis_count} analyses were published within {FOLLOW_S_MAX:g} s")
    return spent


def _rendered(schedule: Schedule, definitions: DefinitionSet) -> float:
    """Seconds of the processor to render and encode every analysis."""
    began_s = time.process_time()
    for definition in definitions.definitions:
        encode_snapshot(
            snapshot_of(
                definition, schedule.sums.totals(definition.version), schedule.sums.covers, touchpoints="",
                lateness_ms=0, range_dates=None,
            )
        )  # fmt: skip
    return time.process_time() - began_s
