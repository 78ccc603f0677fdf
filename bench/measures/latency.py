"""From when an event was due to when a consumer sees it in `journeys`, and in a snapshot, at a share of the throughput
that is sustained.

Sender (`bench.sending`), consumer, broker and workers share the machine's processors, and an event that comes alone
costs more than one of a backlog. So what they sustain is looked for: the sustainable throughput of Karimov et al.,
"Benchmarking Distributed Stream Data Processing Systems" (ICDE 2018), the greatest rate at which nobody falls behind.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from statistics import median
from typing import NamedTuple

import msgspec

from bench.arena import Arena, arena
from bench.definitions import everyday
from bench.events import SourceEvent, World, event_id
from bench.measured import Measured
from bench.measures.pipeline import ROLES, await_snapshots, throughput
from bench.percentiles import percentile
from bench.schedule import Load, journey_waits, snapshot_waits
from bench.sending import Sent, send
from bench.watcher import Sightings, Watched, watching
from bench.working import READY, Team

LIVE = (("accounts",), *ROLES)
"""Two workers of accounts: on two cores they sustain more than one, and sooner."""
TYPES = ("Page View", "Page View", "Lead Form Step 1", "MQL Qualified", "Opportunity Created", "Closed-Won")
"""Each account has each of them once, or its numbers would stand still, and so would snapshots."""
PERCENTS = (50, 95, 99)
KEPT_UP_S = 1.0
"""Half of what comes in the end waits less; a twentieth too much in a trial is a second more."""
START_S_MAX, LOOK_S = 60.0, 0.005
READY_ROLES = ("accounts", "ingest", "snapshots")
_to_json = msgspec.json.Encoder().encode


class Latency(msgspec.Struct, frozen=True):
    """Finds the throughput, then a line per share of it and topic; each after a warm-up, in topics of its own.

    trials: by halving, so what is found is exact within the backlog's throughput / 2**trials.
    """

    shares: tuple[float, ...] = (0.1, 0.5, 0.8)
    trials: int = 4
    trial_s: float = 20.0
    warm_up_s: float = 10.0
    seconds: float = 60.0

    def run(self, arena: Arena, world: World, name: str, title: str) -> Sequence[Measured]:
        found, total = throughput(arena, world)
        sustained = self._sustained(arena, found.rate, name)
        lines = [
            Measured(
                scenario=name, title="throughput of a backlog", events=total, rate=found.rate, cpu_us=found.cpu_us
            ),
            Measured(scenario=f"{name}-sustained", title="throughput sustained live", rate=sustained),
        ]
        for share in self.shares:
            lines += self._at(arena, share, sustained, f"{name}-{share:.0%}".rstrip("%"))
        return lines

    def _sustained(self, outer: Arena, rate_max: float, name: str) -> float:
        """Raises RuntimeError where not even the least rate tried is kept up with."""
        kept_up, too_much = 0.0, rate_max
        for number in range(self.trials):
            rate = (kept_up + too_much) / 2
            trial = Trial(outer, f"{name}-trial-{number}", rate, 0.0, outer.shortened(self.trial_s))
            if trial.is_kept_up():
                kept_up = rate
            else:
                too_much = rate
        if not kept_up:
            raise RuntimeError(f"not even {too_much:,.0f} events/s were kept up with")
        return kept_up

    def _at(self, outer: Arena, share: float, throughput: float, name: str) -> Sequence[Measured]:
        trial = Trial(outer, name, share * throughput, *map(outer.shortened, (self.warm_up_s, self.seconds)))
        with trial.running() as (own, sent, sightings):
            partitions, check = own.settings.partitions, own.check()
        waits_by_name = {
            "journeys": journey_waits(sent.load, sightings.journeys),
            **{
                f"snapshot {analysis}": snapshot_waits(sent.load, partitions, seen)
                for analysis, seen in sorted(sightings.snapshots.items())
            },
        }
        return [
            Measured(
                scenario=f"{name}-{what.replace(' ', '-')}",
                title=f"{share:.0%} of it, to {what}",
                events=len(waits),
                rate=trial.rate,
                check=check,
                figures={
                    **percentiles_ms(waits, "", PERCENTS),
                    **percentiles_ms(sent.behind_s, "until sent, ", PERCENTS[-1:]),
                },
            )
            for what, waits in waits_by_name.items()
        ]


class Trial(NamedTuple):
    """A steady load behind a warm-up, in an arena of its own."""

    outer: Arena
    name: str
    rate: float
    warm_up_s: float
    seconds: float

    @contextmanager
    def running(self) -> Iterator[tuple[Arena, Sent, Sightings]]:
        """The arena, the load as it was sent, and what a consumer saw of it."""
        outer, events = self.outer, int(self.rate * (self.warm_up_s + self.seconds))
        load = Load(0.0, self.rate, events, -(-events // len(TYPES)), int(self.rate * self.warm_up_s))
        with arena(outer.broker, outer.broker_folder, outer.settings.folder, self.name, outer.scale) as own:
            sent, sightings = _under_load(own, load)
            yield own, sent, sightings

    def is_kept_up(self) -> bool:
        """Whether what comes in the last quarter does not wait much longer than it takes."""
        with self.running() as (_, sent, sightings):
            last = msgspec.structs.replace(sent.load, warm_up=sent.load.events * 3 // 4)
            return median(journey_waits(last, sightings.journeys)) < KEPT_UP_S


def percentiles_ms(seconds: list[float], what: str, percents: Sequence[int]) -> dict[str, float]:
    """By their names; seconds in any order."""
    ordered = sorted(seconds)
    return {f"{what}p{percent}, ms": 1e3 * percentile(ordered, percent) for percent in percents}


def _under_load(own: Arena, load: Load) -> tuple[Sent, Sightings]:
    """The load as it was sent, and what a consumer saw of it until snapshots contained all."""
    own.make_topics(everyday())
    team = Team(own, LIVE, own.settings)
    watched = Watched(own.bootstrap, own.topic("journeys"), own.topic("snapshots"), own.settings.partitions)
    with team.running(), watching(watched) as watcher:
        await_ready(team)
        sent = asyncio.run(send(own, load, partial(record, load)))
        await_snapshots(own, team, load.events)
        return sent, watcher.sightings()


def await_ready(team: Team) -> None:
    """Until all partitions are worked on. Raises RuntimeError where that takes too long."""
    deadline_s = time.monotonic() + START_S_MAX
    while time.monotonic() < deadline_s:
        team.require_running()
        metrics = team.metrics()
        if all(metrics.get(f'{READY}{{role="{role}"}}') for role in READY_ROLES):
            return
        time.sleep(LOOK_S)
    raise RuntimeError(f"the workers are not ready after {START_S_MAX:g} s")


def record(load: Load, number: int, now_ms: int) -> tuple[bytes, bytes]:
    """Key and value of an event. They are of one account after the other, so that one's events stay in their order."""
    account = load.account(number)
    turn, place = divmod(number, load.accounts)
    type_ = TYPES[(place + turn) % len(TYPES)]
    is_deal = type_ in ("Opportunity Created", "Closed-Won")
    event = SourceEvent(
        event_id=event_id(number),
        event_time=now_ms,
        source="bench",
        type=type_,
        account=account,
        person=f"{account}-p",
        content_type="blog" if type_ == "Page View" else None,
        opportunity=f"{account}-deal" if is_deal else None,
    )
    return account.encode(), b'{"version":1,' + _to_json(event)[1:]
