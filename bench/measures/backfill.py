"""The past counted into a definition that is new, by a worker with nothing else to do."""

from collections.abc import Sequence

import msgspec

from agents.defining import apply_definitions
from agents.live_snapshots import partial_sums
from agents.reading import read_definitions
from bench.arena import Arena
from bench.definitions import everyday, so_many
from bench.events import END_MS, World
from bench.measured import Measured
from bench.measures.stages import OUTPUTS, counted, measured_of
from bench.working import APPLIED, Look, Run, Team


class Backfill(msgspec.Struct, frozen=True):
    """added: definitions beside the everyday ones. From the moment that a commit knows them to that in which every
    partition has counted all accounts; then the check."""

    added: int = 1

    def run(self, arena: Arena, world: World, name: str, title: str) -> Sequence[Measured]:
        with counted(arena, world) as (team, total):
            before = arena.topic_bytes(*OUTPUTS)
            run = self._counted(arena, team, total)
        written = {topic: taken - before[topic] for topic, taken in arena.topic_bytes(*OUTPUTS).items()}
        line = measured_of(name, title, run, total, written)
        return [msgspec.structs.replace(line, step_us={}, check=arena.check())]

    def _counted(self, arena: Arena, team: Team, total: int) -> Run:
        file = so_many(len(everyday().analyses) + self.added)
        apply_definitions(file, arena.bootstrap, arena.settings, END_MS)
        definitions = read_definitions(arena.bootstrap, arena.settings)
        begun: Look | None = None
        for sums in partial_sums(arena.bootstrap, arena.settings, definitions.every, None):
            team.require_running()
            if begun is None and definitions.hash in {covers.definitions_hash for covers in sums.covers.values()}:
                begun = team.look(APPLIED)[0]._replace(done=0)
            if all(sums.is_complete(each.version) for each in definitions.definitions):
                assert begun is not None
                ended, metrics = team.look(APPLIED)
                return Run(begun, ended._replace(done=total), metrics, team.rss_bytes)
        raise AssertionError("reading the partials never ends by itself")
