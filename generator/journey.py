"""How an account becomes a customer: a table of steps, with what follows each, how often and after how many days.

Shares of all accounts in a window of a year (what begins late is still under way at its end): lead form 45 %, form
submitted 38 %, MQL 28 %, SQL 23 %, opportunity 19 %, won 6 %; in proportion less below 18 events an account.
Delays are exponential, and people work in office hours. Before a step that sales or marketing make, someone of the
account reads up on it; what is read comes from `generator.content`, by what the account looks for.
"""

from array import array
from math import log
from random import Random
from typing import NamedTuple

from generator.agenda import Agenda
from generator.company import PRODUCTS, Company
from generator.content import Interest
from generator.engagement import Engagement
from generator.ledger import CRM, WEB, Ledger
from generator.plan import GeneratorPlan, GroundTruth
from generator.rhythm import DAY_MS, office_time

STARTING_SHARE = 0.45
# The journey of an account that starts takes 20 events on average, the visits before its steps included; all journeys
# together may take half of the events, and where those are few, fewer accounts start.
_EVENTS_PER_JOURNEY = 20
_JOURNEYS_SHARE = 0.5
_RESEARCH_DAYS = 3.0
_BATCHED_SHARE = 0.3


class Deal(NamedTuple):
    """An opportunity: its id, its value in whole units, and its product."""

    opportunity: str
    value: int
    product: str


class Turn(NamedTuple):
    """What follows a step in `share` of the cases, `days` later on average."""

    share: float
    step: str
    days: float


class Step(NamedTuple):
    """One step: the event it writes, the visits that lead up to it, the meetings and calls behind it, what follows.

    The shares of `turns` add up to at most 1; in the rest of the cases the journey ends here.
    """

    type: str
    source: str
    stream: int = CRM
    stage: str = ""
    research: int = 0
    touches: int = 0
    interest: Interest | None = None
    turns: tuple[Turn, ...] = ()


STEPS = {
    "form": Step(
        "Lead Form Step 1", "website", stream=WEB, research=1,
        turns=(Turn(0.76, "submitted", 0.001), Turn(0.12, "form", 25)),
    ),
    "submitted": Step(
        "Lead Form Submitted", "website", stream=WEB,
        turns=(Turn(0.72, "mql", 9), Turn(0.10, "form", 60)),
    ),
    "mql": Step(
        "MQL Qualified", "marketo", research=2, interest=Interest.EVALUATION,
        turns=(Turn(0.76, "sql", 3), Turn(0.12, "mql", 45)),
    ),
    "sql": Step(
        "SQL Accepted", "salesforce", touches=1,
        turns=(Turn(0.84, "opportunity", 7),),
    ),
    "opportunity": Step(
        "Opportunity Created", "salesforce", stage="qualification", research=1, touches=1,
        interest=Interest.EVALUATION,
        turns=(Turn(0.92, "discovery", 10), Turn(0.08, "lost", 12)),
    ),
    "discovery": Step(
        "Opportunity Stage Changed", "salesforce", stage="discovery", touches=2,
        turns=(Turn(0.80, "proposal", 14), Turn(0.20, "lost", 14)),
    ),
    "proposal": Step(
        "Opportunity Stage Changed", "salesforce", stage="proposal", research=1, touches=1,
        turns=(Turn(0.76, "negotiation", 12), Turn(0.24, "lost", 16)),
    ),
    "negotiation": Step(
        "Opportunity Stage Changed", "salesforce", stage="negotiation", touches=1,
        turns=(Turn(0.70, "won", 9), Turn(0.30, "lost", 12)),
    ),
    "won": Step(
        "Closed-Won", "salesforce", stage="closed-won", interest=Interest.CUSTOMER,
        turns=(Turn(0.30, "opportunity", 110),),
    ),
    "lost": Step(
        "Closed-Lost", "salesforce", stage="closed-lost", interest=Interest.AWARENESS,
        turns=(Turn(0.10, "opportunity", 100), Turn(0.12, "form", 90)),
    ),
}  # fmt: skip
_BIT_BY_STEP = {name: 1 << place for place, name in enumerate(STEPS)}
_OPENING, _CLOSING = "opportunity", ("won", "lost")


class Journeys:
    """Lets the accounts take their steps."""

    def __init__(
        self,
        plan: GeneratorPlan,
        truth: GroundTruth,
        company: Company,
        ledger: Ledger,
        agenda: Agenda,
        engagement: Engagement,
        rng: Random,
    ) -> None:
        self._plan, self._truth, self._company = plan, truth, company
        self._ledger, self._agenda, self._engagement = ledger, agenda, engagement
        self._rng, self._random = rng, rng.random
        self._opportunities = 0
        self._reached = array("H", bytes(2 * plan.accounts))
        self._begin()

    def _begin(self) -> None:
        random, days = self._random, (self._plan.end_ms - self._plan.start_ms) // DAY_MS
        affordable = self._plan.events * _JOURNEYS_SHARE / _EVENTS_PER_JOURNEY / self._plan.accounts
        for account in range(self._plan.accounts):
            if random() < min(STARTING_SHARE, affordable):
                day_ms = self._plan.start_ms + int(random() * days) * DAY_MS
                self._appoint("form", office_time(day_ms, random()), day_ms, account, None)

    def _step(self, when_ms: int, name: str, account: int, deal: Deal | None) -> None:
        step = STEPS[name]
        if name == _OPENING:
            deal = self._new_deal(account)
        if not self._write(when_ms, name, step, account, deal):
            return
        if step.interest is not None:
            self._engagement.interest[account] = step.interest
        if name in _CLOSING:
            deal, self._engagement.buying[account] = None, ""
        for _ in range(step.touches):
            self._touch(when_ms, account)
        self._follow(when_ms, step, account, deal)

    def _follow(self, when_ms: int, step: Step, account: int, deal: Deal | None) -> None:
        share = self._random()
        for turn in step.turns:
            if share < turn.share:
                delay_ms = int(-log(1 - self._random()) * turn.days * DAY_MS) + 1_000
                next_ms = when_ms + delay_ms
                if turn.days > 1:
                    next_ms = office_time(next_ms, self._random())
                return self._appoint(turn.step, next_ms, when_ms, account, deal)
            share -= turn.share

    def _appoint(self, name: str, when_ms: int, now_ms: int, account: int, deal: Deal | None) -> None:
        """Puts a step on the agenda, and the visits before it."""
        self._agenda.add(when_ms, self._step, name, account, deal)
        lead_up_ms = min(when_ms - now_ms, int(_RESEARCH_DAYS * DAY_MS))
        for _ in range(STEPS[name].research):
            self._agenda.add(when_ms - int(self._random() * lead_up_ms), self._engagement.visit, account)

    def _touch(self, when_ms: int, account: int) -> None:
        deed = self._engagement.meeting if self._random() < 0.5 else self._engagement.call
        later_ms = when_ms + int(-log(1 - self._random()) * 4 * DAY_MS)
        self._agenda.add(office_time(later_ms, self._random()), deed, account)

    def _new_deal(self, account: int) -> Deal:
        self._opportunities += 1
        product = PRODUCTS[int(self._random() * len(PRODUCTS))]
        name = self._company.account_name(account)
        self._engagement.buying[account] = f',"buying_group":"{name}.{product}"'
        return Deal(f"{name}.opp{self._opportunities}", self._company.deal_value(account, self._rng), product)

    def _write(self, when_ms: int, name: str, step: Step, account: int, deal: Deal | None) -> bool:
        person = int(self._random() * self._company.people(account))
        what = f'"source":"{step.source}","type":"{step.type}"'
        if step.stream == WEB:
            who = f'"channel":"form",{self._company.who(account, person)}'
            body = f'{what},"content":"/form/0","content_type":"form",{who}'
            written = self._ledger.write(when_ms, WEB, body)
        elif deal is None:
            written = self._ledger.write_crm(when_ms, account, person, what, self._engagement.role_of(person))
        else:
            written = self._write_deal(when_ms, step, account, person, deal)
        if written:
            self._count(name, account)
        return written

    def _write_deal(self, when_ms: int, step: Step, account: int, person: int, deal: Deal) -> bool:
        """The event of an opportunity; a CRM often writes the change of stage with it, at the same time."""
        person %= 3  # the champion or one of those who decide
        group = self._engagement.buying[account]
        about = f'"opportunity":"{deal.opportunity}"{group},"value":"{deal.value}"'
        attributes = f'{self._engagement.role_of(person)},"stage":"{step.stage}","product":"{deal.product}"'
        first = f'"source":"{step.source}","type":"{step.type}","source_sequence":1,{about}'
        written = self._ledger.write_crm(when_ms, account, person, first, attributes)
        if step.type != "Opportunity Stage Changed" and self._random() < _BATCHED_SHARE:
            second = f'"source":"{step.source}","type":"Opportunity Stage Changed","source_sequence":2,{about}'
            self._ledger.write_crm(when_ms, account, person, second, attributes)
        return written

    def _count(self, name: str, account: int) -> None:
        if not self._reached[account] & _BIT_BY_STEP[name]:
            self._reached[account] |= _BIT_BY_STEP[name]
            self._truth.accounts_by_milestone[name] += 1
