"""A worker whose disk is gone: its rows come back from the changelog."""

import shutil
import time
from collections.abc import Sequence

import msgspec

from bench.arena import Arena
from bench.events import World
from bench.measured import Measured
from bench.measures.stages import counted, measured_of
from bench.working import LOOK_S, READY, Look, Run, Team, run_of

RESTORED = "milepost_restored_rows_total"
RESTORE_S_MAX = 900.0


class Restore(msgspec.Struct, frozen=True):
    """All partitions at once. Its events are rows."""

    def run(self, arena: Arena, world: World, name: str, title: str) -> Sequence[Measured]:
        with counted(arena, world) as (team, _):
            folder = team.settings[0].worker_folder("accounts")
        shutil.rmtree(folder)
        began_s = time.monotonic()
        run = _restored(Team(arena, [["accounts"]], arena.settings))
        line = measured_of(name, title, run, int(run.end.done), arena.topic_bytes("accounts-changelog"))
        return [
            msgspec.structs.replace(
                line, step_us={}, figures={"from the process' start to ready, s": run.end.at_s - began_s}
            )
        ]


def _restored(team: Team) -> Run:
    looks: list[Look] = []
    with team.running():
        deadline_s = time.monotonic() + RESTORE_S_MAX
        while time.monotonic() < deadline_s:
            look, metrics = team.look(RESTORED)
            looks.append(look)
            if look.done and metrics.get(f'{READY}{{role="accounts"}}'):
                return run_of(looks, look.done, metrics, team.rss_bytes)
            time.sleep(LOOK_S)
    raise RuntimeError(f"not restored within {RESTORE_S_MAX:g} s")
