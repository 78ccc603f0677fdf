"""Ingest and accounts, each alone on a topic that is full."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import msgspec

from bench.arena import Arena
from bench.definitions import everyday
from bench.events import World, as_source_event, as_touchpoint, out_of_order_share
from bench.measured import Measured
from bench.measures.floors import floor_of
from bench.working import APPLIED, INGESTED, Run, Team, work_off
from state.definitions import DefinitionFile

OUTPUTS = ("accounts-changelog", "journeys", "partials")
LATE_COUNT_MAX = 200_000


@contextmanager
def counted(arena: Arena, world: World) -> Iterator[tuple[Team, int]]:
    """An accounts worker that runs and has counted a world with the everyday definitions; and how many touchpoints it
    has."""
    arena.make_topics(everyday())
    total = arena.fill(world, "touchpoints", as_touchpoint)
    team = Team(arena, [["accounts"]], arena.settings)
    with team.running():
        team.await_done(APPLIED, total)
        yield team, total


class Ingest(msgspec.Struct, frozen=True):
    """Source events to touchpoints."""

    def run(self, arena: Arena, world: World, name: str, title: str) -> Sequence[Measured]:
        arena.make_topics(everyday())
        total = arena.fill(world, "web-events", as_source_event)
        source_bytes = arena.topic_bytes("web-events")
        run = work_off(arena, "ingest", INGESTED, total)
        return [
            msgspec.structs.replace(
                measured_of(name, title, run, total, {**source_bytes, **arena.topic_bytes("touchpoints")}),
                floor=floor_of(arena, "ingest", "web-events"),
            )
        ]


class Accounts(msgspec.Struct, frozen=True):
    """Touchpoints to journeys and partials. checks: whether every number is compared with the batch computation
    afterwards."""

    definitions: Callable[[], DefinitionFile] = everyday
    checks: bool = True

    def run(self, arena: Arena, world: World, name: str, title: str) -> Sequence[Measured]:
        arena.make_topics(self.definitions())
        total = arena.fill(world, "touchpoints", as_touchpoint)
        run = work_off(arena, "accounts", APPLIED, total)
        figures = {
            "partial records an event": arena.record_count("partials") / total,
            "partial records a commit": arena.record_count("partials")
            / max(1.0, run.metrics["milepost_commits_total"]),
            "state on disk, B an event": arena.state_bytes() / total,
        }
        if world.late:
            figures["out of order in their account, %"] = 100 * out_of_order_share(world, LATE_COUNT_MAX)
        return [
            msgspec.structs.replace(
                measured_of(name, title, run, total, arena.topic_bytes("touchpoints", *OUTPUTS)),
                floor=floor_of(arena, "accounts", "touchpoints"),
                check=arena.check() if self.checks else None,
                figures=figures,
            )
        ]


def measured_of(name: str, title: str, run: Run, total: int, topic_bytes: dict[str, int]) -> Measured:
    """A run of `total` events as a line of the report."""
    return Measured(
        scenario=name,
        title=title,
        events=total,
        rate=run.rate,
        cpu_us=run.cpu_us,
        broker_us=run.broker_us,
        rss_mib=run.rss_bytes / 2**20,
        step_us=run.step_us,
        topic_bytes={topic: taken / total for topic, taken in topic_bytes.items()},
    )
