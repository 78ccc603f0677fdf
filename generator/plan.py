"""What to generate, and what was generated.

The law: a plan says everything. The same plan gives the same records, bit for bit; nothing reads a clock. The seed,
the numbers and the window make the world; the faults only change how it is delivered, so that plans which differ in
late events and duplicates alone tell of the same events.
"""

from collections import Counter
from dataclasses import dataclass, field
from zlib import crc32

from generator.rhythm import DAY_MS
from streams.errors import UsageError
from streams.touchpoint import EVENT_TIME_MAX_MS

EVENTS_PER_ACCOUNT_MIN = 5
"""With fewer events hardly an account would become a customer (`generator.journey`)."""
_WORLD_SHARES = ("ties", "no_account")
_FAULT_SHARES = ("late", "duplicates", "corrections", "withdrawals", "bad")


@dataclass(frozen=True, kw_only=True)
class GeneratorPlan:
    """The events of a B2B company's customers between two midnights UTC, and how badly they are delivered.

    events: how many happen; records are more by the duplicates, corrections, withdrawals and bad records.
    start_ms, end_ms: milliseconds, midnights UTC; every event time lies in between, end excluded.
    ties: share of a visit's events, but for its first, that take the very time of the event before. Mailings and what
        a CRM writes in one go are ties by nature and come on top.
    no_account: share of the events that name no account, visits of unknown companies.
    late: share of the events that arrive an hour to weeks after they happened.
    duplicates, corrections, withdrawals, bad: records added, each as a share of the events.
    Raises UsageError for what can not be generated.
    """

    events: int
    accounts: int
    seed: int
    start_ms: int
    end_ms: int
    ties: float = 0.02
    no_account: float = 0.01
    late: float = 0.03
    duplicates: float = 0.01
    corrections: float = 0.002
    withdrawals: float = 0.001
    bad: float = 0.001

    def __post_init__(self) -> None:
        self._check_window()
        self._check_shares()
        if self.accounts < 1 or self.events < self.accounts * EVENTS_PER_ACCOUNT_MIN:
            raise UsageError(
                f"{self.events} events for {self.accounts} accounts; there must be at least one account and"
                f" {EVENTS_PER_ACCOUNT_MIN} events for each. Ask for more events or fewer accounts."
            )

    def _check_window(self) -> None:
        if self.start_ms % DAY_MS or self.end_ms % DAY_MS or not 0 <= self.start_ms < self.end_ms <= EVENT_TIME_MAX_MS:
            raise UsageError(
                f"The window is {self.start_ms} to {self.end_ms} ms; it must be whole days in UTC, between 1970 and"
                " 2200, and not empty."
            )

    def _check_shares(self) -> None:
        for name in (*_WORLD_SHARES, *_FAULT_SHARES):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} is {getattr(self, name)}; it is a share from 0 to 1, for example 0.01.")
        if self.fault_share > 1:
            raise UsageError(
                f"{' + '.join(_FAULT_SHARES)} is {self.fault_share:g}; an event has at most one fault, so together"
                " they are at most 1."
            )

    @property
    def fault_share(self) -> float:
        """The share of the events at which something goes wrong on the way."""
        return self.late + self.duplicates + self.corrections + self.withdrawals + self.bad

    @property
    def tag(self) -> str:
        """What event ids begin with: eight hex digits, the same for the same world and hardly for another."""
        world = (self.events, self.accounts, self.seed, self.start_ms, self.end_ms, self.ties, self.no_account)
        return f"{crc32(repr(world).encode()):08x}"


@dataclass
class GroundTruth:
    """What was generated so far, to account for every record.

    records = events + duplicates + corrections + withdrawals + all of bad_by_kind. Records that ingest accepts are
    records - no_account - all of bad_by_kind. Only an event with an account is repeated, corrected or withdrawn, and
    at most one of all that befalls an event.
    """

    events: int = 0
    ties: int = 0
    no_account: int = 0
    late: int = 0
    duplicates: int = 0
    corrections: int = 0
    withdrawals: int = 0
    bad_by_kind: Counter[str] = field(default_factory=Counter)
    accounts_by_milestone: Counter[str] = field(default_factory=Counter)
    """How many accounts came to each step of the journey at least once, by the step's name."""

    @property
    def bad(self) -> int:
        """Records that are no events."""
        return self.bad_by_kind.total()

    @property
    def records(self) -> int:
        """All records."""
        return self.events + self.duplicates + self.corrections + self.withdrawals + self.bad

    @property
    def accepted(self) -> int:
        """The records that become touchpoints."""
        return self.records - self.no_account - self.bad
