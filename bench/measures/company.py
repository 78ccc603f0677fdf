"""The company that `milepost generate` makes, through ingest and accounts: people, visits, deals and what they say."""

import asyncio
from collections.abc import Sequence

import msgspec

from agents.generating import generate_to_kafka
from bench.arena import Arena
from bench.definitions import everyday
from bench.events import DAY_MS, END_MS, World
from bench.measured import Measured
from bench.measures.floors import floor_of
from bench.measures.stages import OUTPUTS, measured_of
from bench.working import APPLIED, INGESTED, work_off
from generator.plan import GeneratorPlan


class Company(msgspec.Struct, frozen=True):
    """Both stages, one after the other, then the check. Of the world only events, accounts and late are used; what is
    late is so as the generator has it, an hour to weeks."""

    def run(self, arena: Arena, world: World, name: str, title: str) -> Sequence[Measured]:
        arena.make_topics(everyday())
        plan = GeneratorPlan(
            events=world.events, accounts=world.accounts, seed=world.seed, start_ms=END_MS - 365 * DAY_MS,
            end_ms=END_MS, late=world.late, ties=0.02, no_account=0.0, duplicates=0.0, corrections=0.0,
            withdrawals=0.0, bad=0.0,
        )  # fmt: skip
        report = asyncio.run(generate_to_kafka(plan, arena.bootstrap, arena.settings))
        total = sum(report.end_offsets.values())
        ingest = work_off(arena, "ingest", INGESTED, total)
        touchpoints = arena.record_count("touchpoints")
        accounts = work_off(arena, "accounts", APPLIED, touchpoints)
        return [
            measured_of(f"{name}-ingest", f"{title}: ingest", ingest, total, arena.topic_bytes("touchpoints")),
            msgspec.structs.replace(
                measured_of(
                    f"{name}-accounts", f"{title}: accounts", accounts, touchpoints, arena.topic_bytes(*OUTPUTS)
                ),
                floor=floor_of(arena, "accounts", "touchpoints"),
                check=arena.check(),
            ),
        ]
