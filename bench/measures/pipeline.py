"""All roles together, from source events to snapshots: what the machine takes end to end, broker and all."""

from collections.abc import Sequence

import msgspec

from agents.live_snapshots import published_snapshots
from bench.arena import Arena
from bench.definitions import everyday
from bench.events import World, as_source_event
from bench.measured import Measured
from bench.measures.stages import OUTPUTS, measured_of
from bench.working import APPLIED, Run, Team

ROLES = (("accounts",), ("ingest", "snapshots"))
"""As `milepost demo` and `milepost analyze` start them."""


class Pipeline(msgspec.Struct, frozen=True):
    """Source topics that are full, worked off by all roles; then the check, snapshots included."""

    def run(self, arena: Arena, world: World, name: str, title: str) -> Sequence[Measured]:
        run, total = throughput(arena, world)
        line = measured_of(
            name, title, run, total, arena.topic_bytes("web-events", "touchpoints", *OUTPUTS, "snapshots")
        )
        return [msgspec.structs.replace(line, check=arena.check())]


def throughput(arena: Arena, world: World) -> tuple[Run, int]:
    """The run, ended when snapshots of all analyses contain everything; how many events there were."""
    arena.make_topics(everyday())
    total = arena.fill(world, "web-events", as_source_event)
    team = Team(arena, ROLES, arena.settings)
    with team.running():
        run = team.await_done(APPLIED, total)
        await_snapshots(arena, team, total)
    return run, total


def await_snapshots(arena: Arena, team: Team, total: int) -> None:
    """Until the snapshot of every analysis contains so many touchpoints."""
    names = {each.name for each in everyday().analyses}
    for snapshots in published_snapshots(arena.bootstrap, arena.settings):
        team.require_running()
        counts = [sum(offset + 1 for offset in each.applied.values()) for each in snapshots.values()]
        if snapshots.keys() == names and min(counts) >= total:
            return
