"""What a scenario found, as values; `make bench` writes them as JSON."""

import msgspec


class Floor(msgspec.Struct, frozen=True):
    """The loop of `bench.floor` on the same input: events a second, microseconds of its processor an event, MiB."""

    rate: float
    cpu_us: float
    rss_mib: float


class Check(msgspec.Struct, frozen=True):
    """What `milepost check` said behind the run."""

    touchpoints: int
    cells: int
    differences: int


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the report. What was not measured is None or empty.

    rate: events a second. cpu_us, broker_us: microseconds of the workers' and of the broker's processor time an event.
    rss_mib: resident, of all workers together, at most. step_us: microseconds an event by step of the commits.
    topic_bytes: on disk, compressed, per event, by topic. figures: other numbers; their names end with their unit.
    """

    scenario: str
    title: str
    events: int = 0
    rate: float | None = None
    cpu_us: float | None = None
    broker_us: float | None = None
    rss_mib: float | None = None
    step_us: dict[str, float] = {}
    topic_bytes: dict[str, float] = {}
    floor: Floor | None = None
    check: Check | None = None
    figures: dict[str, float] = {}

    @property
    def times_floor(self) -> float | None:
        """Microseconds an event by the clock, as a multiple of the floor's."""
        return None if self.floor is None or self.rate is None else self.floor.rate / self.rate

    @property
    def times_floor_cpu(self) -> float | None:
        """The same of the processor's time, which other work on the machine changes little."""
        return None if self.floor is None or self.cpu_us is None else self.cpu_us / self.floor.cpu_us


class Report(msgspec.Struct, frozen=True):
    """A whole run. machine: in words. is_quick: sizes that say nothing about speed."""

    machine: str
    is_quick: bool
    lines: list[Measured]
    failed: list[str]
