"""A B2B company's events as a stream of records, in order of arrival.

The law: everything follows from the plan (`generator.plan`). Memory grows with the accounts, not with the events: one
slice of time is in memory, besides the agenda and what is late.

Budget: 5 µs a record; measured by `tests/generator/test_stream.py` far more loosely, because machines differ.
"""

from bisect import bisect_left
from collections.abc import Iterator
from operator import itemgetter
from random import Random

from generator.agenda import Agenda
from generator.company import Company
from generator.engagement import Engagement
from generator.faults import Delivery, Record
from generator.journey import Journeys
from generator.ledger import Ledger, Written
from generator.plan import GeneratorPlan, GroundTruth
from generator.rhythm import Slice, slices, time_of_day

_event_time = itemgetter(0)


def generate(plan: GeneratorPlan, truth: GroundTruth | None = None) -> Iterator[list[Record]]:
    """Batches of (topic, JSON bytes) in order of arrival; topics are `crm-events` and `web-events`, without prefix.

    `truth`, when given, counts what was generated; it is complete when the last batch was taken.
    """
    truth = GroundTruth() if truth is None else truth
    delivery = Delivery(plan, truth, Random(f"{plan.seed} delivery"))
    for events, until_ms in _World(plan, truth).happen():
        if records := delivery.deliver(events, until_ms):
            yield records
    if records := delivery.rest():
        yield records


class _World:
    """The events as they happen; its random numbers are its own, so that faults change nothing here."""

    def __init__(self, plan: GeneratorPlan, truth: GroundTruth) -> None:
        rng = Random(f"{plan.seed} world")
        company = Company(plan.accounts, rng)
        self._plan, self._truth, self._random = plan, truth, rng.random
        self._ledger = Ledger(plan, truth, company, rng)
        self._agenda = Agenda(plan.end_ms)
        self._engagement = Engagement(company, self._ledger, self._agenda, plan.accounts, rng)
        self._journeys = Journeys(plan, truth, company, self._ledger, self._agenda, self._engagement, rng)

    def happen(self) -> Iterator[tuple[list[Written], int]]:
        """The events of each slice in order of time, and the slice's end (ms)."""
        ahead: list[Written] = []
        for part in slices(self._plan.events, self._plan.start_ms, self._plan.end_ms):
            self._agenda.run(part.end_ms)
            self._fill(part)
            events = ahead + self._ledger.take()
            events.sort(key=_event_time)
            cut = bisect_left(events, part.end_ms, key=_event_time)
            ahead = events[cut:]
            yield events[:cut], part.end_ms

    def _fill(self, part: Slice) -> None:
        """Day-to-day doings until the slice has its events; visits of unknown companies whenever they are too few."""
        random, truth, width = self._random, self._truth, part.high - part.low
        while truth.events < part.events_until:
            when_ms = part.day_ms + time_of_day(part.low + random() * width)
            if truth.no_account < truth.events * self._plan.no_account:
                self._engagement.unknown_visit(when_ms)
            else:
                self._engagement.something(when_ms)
