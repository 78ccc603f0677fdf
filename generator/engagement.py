"""What people do from day to day: visits, mailings, webinars, trade shows, calls and chats.

Shares of what begins (most events are those of visits, 4.4 each):
visit 70 % (60 % carry the site's session id, 55 % a person that the site knows), mailing 17 % (to 1-4 people at one
instant; 35 % open after 5 h on average, 18 % of those click and visit), webinar 4 % (42 % attend what they registered
for), trade show 2 % (60 % check in), call 4 %, chat 3 %.
"""

from math import log
from random import Random

from generator.agenda import Agenda
from generator.company import ROLES, TABLE_SIZE, Company, chances, next_trade_show, next_webinar
from generator.content import MAILINGS, VISIT_LENGTHS, WAYS, Interest
from generator.ledger import UNKNOWN_WEB, WEB, Ledger
from generator.rhythm import DAY_MS, HOUR_MS

_SESSION_ID_SHARE = 0.60
_KNOWN_PERSON_SHARE = 0.55
_OPEN_SHARE, _OPEN_AFTER_MS = 0.35, 5 * HOUR_MS
_CLICK_SHARE, _CLICK_AFTER_MS = 0.18, 40_000
_ATTEND_SHARE, _CHECK_IN_SHARE = 0.42, 0.60
_JOIN_MS = 6 * 60_000
_MINUTE_MS = 60_000

_MARKETING = '"source":"marketo"'
_SALES = '"source":"salesforce"'


class Engagement:
    """Writes what is not a step of a journey; knows what every account looks for and which product it is buying."""

    def __init__(self, company: Company, ledger: Ledger, agenda: Agenda, accounts: int, rng: Random) -> None:
        self._company, self._ledger, self._agenda = company, ledger, agenda
        self._random = rng.random
        self._sessions = 0
        self.interest = bytearray(accounts)
        self.buying = [""] * accounts
        """The buying group that is at work at an account, as a piece of JSON; empty where there is none."""
        self._deeds = chances(
            (70, self.visit),
            (17, self.mailing),
            (4, self.webinar),
            (2, self.trade_show),
            (4, self.call),
            (3, self.chat),
        )

    def something(self, when_ms: int) -> None:
        """Whatever happens next: the more active an account, the more often it is the one."""
        account = self._company.active_account(self._random())
        self._deeds[int(self._random() * TABLE_SIZE)](when_ms, account)

    def visit(self, when_ms: int, account: int) -> None:
        """A visit to the web site by anyone of the account."""
        random = self._random
        way, paid = WAYS[int(random() * TABLE_SIZE)]
        if random() < _KNOWN_PERSON_SHARE:
            who = f"{way},{self._company.who(account, self._person(account))}{self.buying[account]}"
        else:
            who = f'{way},"account":"{self._company.account_name(account)}"'
        if paid and self._ledger.write(when_ms, WEB, f'"source":"adserver","type":"Ad Clicked",{who}'):
            when_ms += 1_500
        self._browse(when_ms, account, who)

    def unknown_visit(self, when_ms: int) -> None:
        """A visit of which nobody knows the company."""
        way, _ = WAYS[int(self._random() * TABLE_SIZE)]
        length = VISIT_LENGTHS[int(self._random() * TABLE_SIZE)]
        self._ledger.write_visit(when_ms, length, Interest.AWARENESS, f"{way}{self._session()}", UNKNOWN_WEB)

    def mailing(self, when_ms: int, account: int) -> None:
        """One message to some people of the account, sent at one instant, opened and followed by some of them."""
        random = self._random
        campaign = MAILINGS[int(random() * len(MAILINGS))]
        people = self._company.people(account)
        first = int(random() * people)
        for place in range(1 + int(random() * min(4, people))):
            self._message(when_ms, account, (first + place) % people, campaign)

    def webinar(self, when_ms: int, account: int) -> None:
        """Someone registers for the next webinar and perhaps attends it."""
        name, starts_ms = next_webinar(when_ms)
        person = self._person(account)
        self._at(when_ms, "Webinar Registered", account, person, name, "webinar")
        if self._random() < _ATTEND_SHARE:
            # The platform reports whole minutes, so people of one account often join at one time.
            joined_ms = starts_ms + int(self._random() * _JOIN_MS) // _MINUTE_MS * _MINUTE_MS
            self._agenda.add(joined_ms, self._at, "Webinar Attended", account, person, name, "webinar")

    def trade_show(self, when_ms: int, account: int) -> None:
        """Someone registers for the next trade show and perhaps checks in on one of its two days."""
        name, opens_ms = next_trade_show(when_ms)
        person = self._person(account)
        self._at(when_ms, "Trade Show Registered", account, person, name, "event")
        if self._random() < _CHECK_IN_SHARE:
            come_ms = opens_ms + int(self._random() * 2) * DAY_MS + int(self._random() * 8 * HOUR_MS)
            self._agenda.add(come_ms, self._at, "Trade Show Checked In", account, person, name, "event")

    def call(self, when_ms: int, account: int) -> None:
        """Sales speaks to someone on the telephone."""
        self._sales_touch(when_ms, account, "Call Logged", "phone")

    def meeting(self, when_ms: int, account: int) -> None:
        """Sales meets someone."""
        self._sales_touch(when_ms, account, "Meeting Held", "meeting")

    def chat(self, when_ms: int, account: int) -> None:
        """Someone asks on the web site and looks around."""
        who = f'"channel":"chat",{self._company.who(account, self._person(account))}'
        self._ledger.write(when_ms, WEB, f'"source":"website","type":"Chat Started",{who}')
        self._browse(when_ms + _MINUTE_MS, account, who)

    def role_of(self, person: int) -> str:
        """A person's role, as a piece of JSON for attributes."""
        return f',"role":"{ROLES[person % len(ROLES)]}"'

    def _browse(self, when_ms: int, account: int, who: str) -> None:
        length = VISIT_LENGTHS[int(self._random() * TABLE_SIZE)]
        session = self._session()
        self._ledger.write_visit(when_ms, length, Interest(self.interest[account]), f"{who}{session}")

    def _session(self) -> str:
        if self._random() >= _SESSION_ID_SHARE:
            return ""
        self._sessions += 1
        return f',"session":"s{self._sessions}"'

    def _person(self, account: int) -> int:
        return int(self._random() * self._company.people(account))

    def _message(self, when_ms: int, account: int, person: int, campaign: str) -> None:
        random, ledger = self._random, self._ledger
        way = f'"channel":"email","campaign":"{campaign}","content":"/mail/{campaign}"'
        ledger.write_crm(when_ms, account, person, f'{_MARKETING},"type":"Email Sent",{way}')
        if random() >= _OPEN_SHARE:
            return
        when_ms += 30_000 + int(-log(1 - random()) * _OPEN_AFTER_MS)
        ledger.write_crm(when_ms, account, person, f'{_MARKETING},"type":"Email Opened",{way}')
        if random() >= _CLICK_SHARE:
            return
        when_ms += 2_000 + int(-log(1 - random()) * _CLICK_AFTER_MS)
        ledger.write_crm(when_ms, account, person, f'{_MARKETING},"type":"Email Clicked",{way}')
        who = f'"channel":"email","campaign":"{campaign}",{self._company.who(account, person)}'
        self._browse(when_ms + 1_000, account, who)

    def _at(self, when_ms: int, what: str, account: int, person: int, name: str, kind: str) -> None:
        body = (
            f'"source":"events","type":"{what}","channel":"{kind}","content":"{name}","content_type":"{kind}"'
            f',"marketing_event":"{name}"'
        )
        self._ledger.write_crm(when_ms, account, person, body, self.role_of(person))

    def _sales_touch(self, when_ms: int, account: int, what: str, channel: str) -> None:
        person = self._person(account)
        body = f'{_SALES},"type":"{what}","channel":"{channel}"{self.buying[account]}'
        self._ledger.write_crm(when_ms, account, person, body, self.role_of(person))
