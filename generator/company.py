"""The company's market: who its customers are and what it offers them.

Every account is a few numbers in arrays, some 20 bytes, and its names are made when they are needed. Activity has a
long tail: weights are log-normal (sigma 1.3), so that a tenth of the accounts makes about half of the activity.
"""

from array import array
from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate
from random import Random
from typing import TypeVar

from generator.rhythm import DAY_MS, HOUR_MS, weekday_of

Choice = TypeVar("Choice")

TABLE_SIZE = 1_024


def chances(*weighted: tuple[float, Choice]) -> tuple[Choice, ...]:
    """1,024 choices in proportion to their weights; `table[int(random() * 1024)]` draws one."""
    sums = list(accumulate(weight for weight, _ in weighted))
    return tuple(weighted[bisect(sums, sums[-1] * step / TABLE_SIZE)][1] for step in range(TABLE_SIZE))


# Word for an account's name, and share among the accounts.
INDUSTRIES = {
    "software": ("cloud", 22), "manufacturing": ("works", 16), "financial services": ("capital", 13),
    "healthcare": ("health", 11), "retail": ("stores", 10), "logistics": ("freight", 8), "energy": ("power", 7),
    "education": ("academy", 6), "media": ("media", 4), "public sector": ("council", 3),
}  # fmt: skip
# Share, people that the company knows there, and what a deal is worth compared with the middle size.
SIZES = {
    "1-50": (30, 3, 0.25), "51-200": (28, 5, 0.55), "201-1000": (22, 8, 1.0), "1001-5000": (13, 14, 2.4),
    "5001+": (7, 24, 6.0),
}  # fmt: skip
REGIONS = {"emea": 45, "americas": 38, "apac": 17}
ROLES = ("champion", "decision maker", "economic buyer", "technical evaluator", "end user", "influencer")
PRODUCTS = ("platform", "analytics", "integration", "services")
_NAMES = (
    "alder", "beacon", "cedar", "delta", "ember", "fjord", "granite", "harbour", "iris", "juniper", "keystone",
    "lumen", "meridian", "nordic", "onyx", "pioneer", "quarry", "ridge", "summit", "tidal", "umbra", "vertex",
    "willow", "zenith",
)  # fmt: skip

DEAL_VALUE_MEDIAN = 24_000
WEIGHT_SIGMA = 1.3
_TRADE_SHOW_DAYS = 75
_TRADE_SHOWS = ("expo-europe", "summit-americas", "industry-days", "partner-forum")


class Company:
    """The accounts of one seed, numbered from 0."""

    def __init__(self, accounts: int, rng: Random) -> None:
        industries = chances(*((share, name) for name, (_, share) in INDUSTRIES.items()))
        sizes = chances(*((share, name) for name, (share, _, _) in SIZES.items()))
        regions = chances(*((share, name) for name, share in REGIONS.items()))
        self._firms = [(i, s, r) for i in INDUSTRIES for s in SIZES for r in REGIONS]
        place_by_firm = {firm: place for place, firm in enumerate(self._firms)}
        self._firmographics = [f'"industry":"{i}","size":"{s}","region":"{r}"' for i, s, r in self._firms]
        draw = rng.random
        self._firm = bytearray(
            place_by_firm[_drawn(industries, draw()), _drawn(sizes, draw()), _drawn(regions, draw())]
            for _ in range(accounts)
        )
        self._people = [SIZES[size][1] for _, size, _ in self._firms]
        self._weight_sums = array("d", accumulate(rng.lognormvariate(0, WEIGHT_SIGMA) for _ in range(accounts)))

    def active_account(self, share: float) -> int:
        """The account below which `share` (0 to 1) of all activity lies."""
        return min(bisect(self._weight_sums, share * self._weight_sums[-1]), len(self._firm) - 1)

    def account_name(self, account: int) -> str:
        """The account's id, as a person reads it."""
        industry = self._firms[self._firm[account]][0]
        return f"{_NAMES[account % len(_NAMES)]}-{INDUSTRIES[industry][0]}-{account}"

    def who(self, account: int, person: int) -> str:
        """The piece of JSON that names an account and one of its people."""
        name = self.account_name(account)
        return f'"account":"{name}","person":"{name}.p{person}"'

    def firmographics(self, account: int) -> str:
        """The piece of JSON with an account's industry, size and region."""
        return self._firmographics[self._firm[account]]

    def people(self, account: int) -> int:
        """How many people of the account are known."""
        return self._people[self._firm[account]]

    def deal_value(self, account: int, rng: Random) -> int:
        """What a new opportunity is worth, in whole units of the currency."""
        factor = SIZES[self._firms[self._firm[account]][1]][2]
        return 500 + 100 * round(DEAL_VALUE_MEDIAN / 100 * factor * rng.lognormvariate(0, 0.6))


def _drawn(table: Sequence[Choice], share: float) -> Choice:
    return table[int(share * TABLE_SIZE)]


def next_webinar(after_ms: int) -> tuple[str, int]:
    """Name and time of the first webinar that begins at least a day later: Tuesdays at 15:00 UTC."""
    day = after_ms // DAY_MS + 2
    day += (1 - weekday_of(day)) % 7
    return f"webinar-{day // 7}", day * DAY_MS + 15 * HOUR_MS


def next_trade_show(after_ms: int) -> tuple[str, int]:
    """Name and first day (ms, 08:00 UTC) of the next trade show; one every 75 days, of two days."""
    number = after_ms // DAY_MS // _TRADE_SHOW_DAYS + 1
    return f"{_TRADE_SHOWS[number % 4]}-{number}", number * _TRADE_SHOW_DAYS * DAY_MS + 8 * HOUR_MS
