"""What goes wrong between a source and Kafka: late events, duplicates, corrections, withdrawals, bad records.

Delays: late events 60 % 1 h and more (6 h on average beyond it), 30 % days (3 d), 10 % weeks (14 d); duplicates 50 %
within a minute (a producer's retry), 35 % hours (4 h), 15 % days (2 d); corrections and withdrawals days (2 d).
An event has at most one fault. What waits for its delivery is kept as bytes: with the default shares and a window of a
year some 25 records for each 100,000 events.
"""

from heapq import heappop, heappush
from math import log
from operator import itemgetter
from random import Random

import msgspec

from generator.bad_records import KINDS, Fields, bad_record
from generator.ledger import UNKNOWN_WEB, Written
from generator.plan import GeneratorPlan, GroundTruth
from generator.rhythm import DAY_MS, HOUR_MS

Record = tuple[str, bytes]

_TOPICS = ("crm-events", "web-events", "web-events")  # by stream
_Delay = tuple[float, int, int]
# Share, least and mean further delay in milliseconds.
_LATE = ((0.6, HOUR_MS, 6 * HOUR_MS), (0.3, HOUR_MS, 3 * DAY_MS), (0.1, HOUR_MS, 14 * DAY_MS))
_AGAIN = ((0.5, 1, 20_000), (0.35, 60_000, 4 * HOUR_MS), (0.15, HOUR_MS, 2 * DAY_MS))
_AMENDED = ((1.0, 60_000, 2 * DAY_MS),)
_DELAY_MAX_MS = 60 * DAY_MS
_arrival_time = itemgetter(0)


class Delivery:
    """Brings the events of a plan to their topics, in the order of arrival."""

    def __init__(self, plan: GeneratorPlan, truth: GroundTruth, rng: Random) -> None:
        self._truth, self._rng, self._random = truth, rng, rng.random
        self._share, self._start_ms = plan.fault_share, plan.start_ms
        self._faults = (
            (plan.late, self._be_late),
            (plan.duplicates, self._repeat),
            (plan.corrections, self._correct),
            (plan.withdrawals, self._withdraw),
            (plan.bad, self._add_bad),
        )
        self._waiting: list[tuple[int, int, Written]] = []
        self._kept_back = 0
        self._until_fault = self._gap()

    def deliver(self, events: list[Written], until_ms: int) -> list[Record]:
        """The records that arrive before `until_ms`: `events`, which are in order of time, and what was waiting."""
        arrivals: list[Written] = []
        taken, fault = 0, self._until_fault
        while fault < len(events):
            arrivals += events[taken:fault]
            self._befall(events[fault], arrivals)
            taken, fault = fault + 1, fault + 1 + self._gap()
        self._until_fault = fault - len(events)
        arrivals += events[taken:]
        return self._with_due(arrivals, until_ms)

    def rest(self) -> list[Record]:
        """What still waits, in its order."""
        return self._with_due([], None)

    def _with_due(self, arrivals: list[Written], until_ms: int | None) -> list[Record]:
        due = len(arrivals)
        while self._waiting and (until_ms is None or self._waiting[0][0] < until_ms):
            arrival, _, (_, stream, payload) = heappop(self._waiting)
            arrivals.append((arrival, stream, payload))
        if len(arrivals) > due:
            arrivals.sort(key=_arrival_time)
        topics = _TOPICS
        return [(topics[stream], payload) for _, stream, payload in arrivals]

    def _gap(self) -> int:
        """How many events go well before the next fault; geometric, so that most events cost nothing here."""
        if self._share <= 0:
            return 2**62
        return int(log(1 - self._random()) / log(1 - self._share)) if self._share < 1 else 0

    def _befall(self, event: Written, arrivals: list[Written]) -> None:
        share = self._random() * self._share
        for own, fault in self._faults:
            if share < own:
                return fault(event, arrivals)
            share -= own
        arrivals.append(event)  # shares that do not quite add up, by rounding

    def _be_late(self, event: Written, _arrivals: list[Written]) -> None:
        self._truth.late += 1
        self._keep(event, event, _LATE)

    def _repeat(self, event: Written, arrivals: list[Written]) -> None:
        arrivals.append(event)
        if event[1] != UNKNOWN_WEB:
            self._truth.duplicates += 1
            self._keep(event, event, _AGAIN)

    def _correct(self, event: Written, arrivals: list[Written]) -> None:
        arrivals.append(event)
        if event[1] != UNKNOWN_WEB:
            self._truth.corrections += 1
            self._amend(event, self._corrected(msgspec.json.decode(event[2], type=Fields)))

    def _withdraw(self, event: Written, arrivals: list[Written]) -> None:
        arrivals.append(event)
        if event[1] != UNKNOWN_WEB:
            self._truth.withdrawals += 1
            self._amend(event, {**msgspec.json.decode(event[2], type=Fields), "operation": "withdraw"})

    def _add_bad(self, event: Written, arrivals: list[Written]) -> None:
        arrivals.append(event)
        kind = KINDS[int(self._random() * len(KINDS))]
        self._truth.bad_by_kind[kind] += 1
        arrivals.append((event[0], event[1], bad_record(kind, event[2])))

    def _corrected(self, fields: Fields) -> Fields:
        """Another value where there is one, else a time up to an hour earlier: what was counted must move."""
        if "value" in fields:
            return {**fields, "value": str(round(int(str(fields["value"])) * (0.8 + 0.4 * self._random())))}
        earlier_ms = 1 + int(self._random() * HOUR_MS)
        return {**fields, "event_time": max(self._start_ms, int(str(fields["event_time"])) - earlier_ms)}

    def _amend(self, event: Written, fields: Fields) -> None:
        self._keep(event, (event[0], event[1], msgspec.json.encode({**fields, "revision": 1})), _AMENDED)

    def _keep(self, event: Written, as_what: Written, delays: tuple[_Delay, ...]) -> None:
        """Lets `as_what` arrive some time after `event` happened."""
        _, least_ms, mean_ms = _pick(delays, self._random())
        delay_ms = least_ms + int(-log(1 - self._random()) * mean_ms)
        self._kept_back += 1
        heappush(self._waiting, (event[0] + min(delay_ms, _DELAY_MAX_MS), self._kept_back, as_what))


def _pick(delays: tuple[_Delay, ...], share: float) -> _Delay:
    """The delay below which `share` of all lies."""
    for delay in delays:
        if share < delay[0]:
            return delay
        share -= delay[0]
    return delays[-1]
