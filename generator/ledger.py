"""What happened, written down: clean events as (event time, stream, JSON bytes), not yet in order.

Exactly `plan.events` are written, every one of them before `plan.end_ms`; what goes beyond is not written at all.
Budget: 2.5 µs an event, which is why a visit is one plain loop over pieces of text.
"""

from math import log
from random import Random

from generator.company import TABLE_SIZE, Company
from generator.content import PAGES, Interest
from generator.plan import GeneratorPlan, GroundTruth

CRM, WEB, UNKNOWN_WEB = 0, 1, 2
"""The streams; the last is the web events that name no account."""

Written = tuple[int, int, bytes]

_PAUSE_MEAN_MS = 45_000
_PAUSE_MIN_MS = 900


class Ledger:
    """Takes the events of one plan; `events` holds those that nobody has taken yet."""

    def __init__(self, plan: GeneratorPlan, truth: GroundTruth, company: Company, rng: Random) -> None:
        self.plan, self.truth, self.company = plan, truth, company
        self.events: list[Written] = []
        self._random = rng.random
        self._head = f'{{"event_id":"{plan.tag}-'

    def full(self) -> bool:
        """Whether all events of the plan are written."""
        return self.truth.events >= self.plan.events

    def take(self) -> list[Written]:
        """The events written since the last call, in the order of their writing."""
        taken, self.events = self.events, []
        return taken

    def write(self, event_time: int, stream: int, body: str) -> bool:
        """One event; `body` is the JSON of its fields from `source` on, without braces. Says whether it was written."""
        if event_time >= self.plan.end_ms or self.full():
            return False
        self.truth.events += 1
        text = f'{self._head}{self.truth.events}","event_time":{event_time},{body}}}'
        self.events.append((event_time, stream, text.encode()))
        return True

    def write_crm(self, event_time: int, account: int, person: int, body: str, attributes: str = "") -> bool:
        """One event of a person at an account, with the firmographics that a CRM knows.

        `body` and `attributes` are pieces of JSON; the latter begins with a comma or is empty.
        """
        firm = self.company.firmographics(account)
        who = self.company.who(account, person)
        return self.write(event_time, CRM, f'{body},{who},"attributes":{{{firm}{attributes}}}')

    def write_visit(self, event_time: int, length: int, interest: Interest, who: str, stream: int = WEB) -> int:
        """Up to `length` page events of one visit from `event_time` on; returns when the last one happened.

        `who` is the piece of JSON that all share: channel, account, person, session.
        """
        random, pages, end_ms, ties = self._random, PAGES[interest], self.plan.end_ms, self.plan.ties
        written, truth, head = self.events.append, self.truth, self._head
        first = number = truth.events
        for _ in range(min(length, self.plan.events - first)):
            if number > first:
                if random() < ties:
                    truth.ties += 1
                else:
                    event_time += _PAUSE_MIN_MS + int(-log(1 - random()) * _PAUSE_MEAN_MS)
            if event_time >= end_ms:
                break
            number += 1
            page = pages[int(random() * TABLE_SIZE)]
            written((event_time, stream, f'{head}{number}","event_time":{event_time},{page},{who}}}'.encode()))
        truth.events = number
        if stream == UNKNOWN_WEB:
            truth.no_account += number - first
        return event_time
