"""From when an event was due to when a webhook's receiver has the alert that it brought about, at a steady load."""

import asyncio
import time
from collections.abc import Sequence
from functools import partial

import msgspec

from agents.ordering import configure_of, give_orders
from bench.arena import Arena, arena
from bench.definitions import everyday
from bench.events import SourceEvent, World, event_id
from bench.measured import Measured
from bench.measures.latency import LIVE, PERCENTS, await_ready, percentiles_ms
from bench.receiver import Message, Receiver, receiving
from bench.schedule import Load
from bench.sending import send
from bench.working import Team
from state.definitions import DefinitionFile
from state.delivery.configuration import DeliveryFile

TOLD = "Demo Requested"
DUE_S_MAX = 120.0
_to_json = msgspec.json.Encoder().encode


class Alerts(msgspec.Struct, frozen=True):
    """A line per rate, each behind a warm-up and in topics of its own; of so many events a second one alert each."""

    rates: tuple[float, ...] = (1_000.0, 20_000.0)
    alerts_per_s: float = 20.0
    warm_up_s: float = 10.0
    seconds: float = 60.0

    def run(self, arena: Arena, world: World, name: str, title: str) -> Sequence[Measured]:
        return [self._at(arena, world, rate, f"{name}-{rate:.0f}") for rate in self.rates]

    def _at(self, outer: Arena, world: World, rate: float, name: str) -> Measured:
        warm_up_s, seconds = map(outer.shortened, (self.warm_up_s, self.seconds))
        every = max(1, round(rate / self.alerts_per_s))
        load = Load(0.0, rate, int(rate * (warm_up_s + seconds)), world.accounts, int(rate * warm_up_s))
        with arena(outer.broker, outer.broker_folder, outer.settings.folder, name, outer.scale) as own:
            load, behind_s, messages = _under_load(own, load, every)
            check = own.check()
        waits = _waits(load, every, messages)
        return Measured(
            scenario=name,
            title=f"{rate:,.0f} events/s, an alert of every {every:,}",
            events=len(waits),
            rate=rate,
            check=check,
            figures={
                **percentiles_ms(waits, "", PERCENTS),
                "at most, ms": 1e3 * max(waits),
                **percentiles_ms(behind_s, "until sent, ", PERCENTS[-1:]),
            },
        )


def with_milestone(file: DefinitionFile) -> DefinitionFile:
    """These definitions, and a milestone that is reached each time an event of the type TOLD comes."""
    plain = file.model_dump(mode="json", by_alias=True, exclude_unset=True)
    milestone = {
        "name": "demo",
        "title": "Demo requested",
        "container": "account",
        "each": True,
        "when": {"match": {"field": "type", "op": "=", "value": TOLD}},
    }
    return DefinitionFile.model_validate({**plain, "milestones": [milestone]})


def _under_load(own: Arena, load: Load, every: int) -> tuple[Load, list[float], list[Message]]:
    """The load as it was sent, by how much sending was behind, and what the receiver got."""
    own.make_topics(with_milestone(everyday()))
    team = Team(own, (*LIVE, ("deliver",)), own.settings.model_copy(update={"delivery_private_hosts": "127.0.0.1"}))
    with receiving() as receiver:
        give_orders(own.bootstrap, own.settings, configure_of(_file(receiver)))
        with team.running():
            await_ready(team)
            sent = asyncio.run(send(own, load, partial(_record, load, every)))
            _await_all(team, receiver, -(-load.events // every))
            return sent.load, sent.behind_s, receiver.messages()


def _file(receiver: Receiver) -> DeliveryFile:
    return DeliveryFile.model_validate(
        {
            "version": 1,
            "destinations": {"hook": {"kind": "webhook", "url": receiver.url, "rate_per_s": 10_000}},
            "routes": [{"name": "all", "to": ["hook"], "milestones": ["demo"]}],
        }
    )


def _await_all(team: Team, receiver: Receiver, count: int) -> None:
    deadline_s = time.monotonic() + DUE_S_MAX
    while (got := receiver.count()) < count:
        team.require_running()
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"{got} of {count} alerts were delivered within {DUE_S_MAX:g} s")
        time.sleep(0.1)


def _record(load: Load, every: int, number: int, now_ms: int) -> tuple[bytes, bytes]:
    account = load.account(number)
    event = SourceEvent(
        event_id=event_id(number),
        event_time=now_ms,
        source="bench",
        type="Page View" if number % every else TOLD,
        account=account,
        person=f"{account}-p",
        content_type="blog",
    )
    return account.encode(), b'{"version":1,' + _to_json(event)[1:]


def _waits(load: Load, every: int, messages: Sequence[Message]) -> list[float]:
    """Seconds from due to received for the first time, of every alert behind the warm-up. Raises RuntimeError where an
    event has none or several."""
    first_by_id: dict[str, Message] = {}
    for message in messages:
        first_by_id.setdefault(message.id, message)
    at_by_event = {message.event_id: message.at_s for message in first_by_id.values()}
    numbers = range(0, load.events, every)
    if len(first_by_id) != len(numbers) or any(event_id(number) not in at_by_event for number in numbers):
        raise RuntimeError(f"{len(numbers)} events bring about an alert, {len(first_by_id)} alerts came")
    return [at_by_event[event_id(number)] - load.due_s(number) for number in numbers if number >= load.warm_up]
