"""Several workers of the role accounts on one topic: how the rate and the processor's time per event go with them.

Starting and sharing partitions out is not in it: the workers start on empty topics, are stopped where they are until
every one of them has partitions and the topic is full, and then go on all at once.
"""

import time
from collections.abc import Sequence

import msgspec
import psutil

from agents.directory import read_directory
from bench.arena import Arena
from bench.definitions import everyday
from bench.events import World, as_touchpoint
from bench.measured import Measured
from bench.measures.stages import OUTPUTS, measured_of
from bench.working import APPLIED, LOOK_S, READY, Team

SHARE_OUT_S_MAX = 180.0
SESSION_S, SESSION_S_MIN = 60.0, 12.0


class SideBySide(msgspec.Struct, frozen=True):
    """workers: at most as many as there are partitions."""

    workers: int

    def run(self, arena: Arena, world: World, name: str, title: str) -> Sequence[Measured]:
        arena.make_topics(everyday())
        # Nobody may be missed while they are stopped, which takes as long as filling the topic.
        session_s = max(SESSION_S_MIN, SESSION_S / arena.scale)
        settings = arena.settings.model_copy(update={"session_timeout_s": session_s})
        team = Team(arena, [["accounts"]] * self.workers, settings)
        with team.running():
            _await_shared_out(arena, team)
            idle, _ = team.look(APPLIED)
            with team.suspended():
                total = arena.fill(world, "touchpoints", as_touchpoint)
            begin = idle._replace(at_s=time.monotonic(), broker_cpu_s=arena.broker_cpu_s)
            run = team.await_done(APPLIED, total, begin)
        line = measured_of(name, title, run, total, arena.topic_bytes(*OUTPUTS))
        spent_s = run.end.at_s - run.begin.at_s
        taken = run.end.cpu_s - run.begin.cpu_s + run.end.broker_cpu_s - run.begin.broker_cpu_s
        figures = {
            "events a second of a worker's processor": 1e6 / run.cpu_us,
            "of the machine's processors, %": 100 * taken / (spent_s * (psutil.cpu_count() or 1)),
        }
        return [msgspec.structs.replace(line, figures=figures, check=arena.check())]


def _await_shared_out(arena: Arena, team: Team) -> None:
    """Until every worker has said which partitions are its own, and all of them are somebody's."""
    deadline_s = time.monotonic() + SHARE_OUT_S_MAX
    while time.monotonic() < deadline_s:
        team.require_running()
        owned = read_directory(arena.bootstrap, arena.settings).urls(arena.settings.partitions)
        ready = team.metrics().get(f'{READY}{{role="accounts"}}', 0.0)
        all_owned = sum(map(len, owned.values())) == arena.settings.partitions
        if len(owned) == len(team.settings) == ready and all_owned:
            return
        time.sleep(LOOK_S)
    raise RuntimeError(f"the partitions were not shared out within {SHARE_OUT_S_MAX:g} s")
