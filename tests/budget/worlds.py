"""The events that are counted: generated, always the same, in the form in which consumers give them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from operator import itemgetter
from typing import NamedTuple

from generator.plan import GeneratorPlan
from generator.rhythm import DAY_MS
from generator.stream import generate
from streams.ingest import Ingestion

END_MS = 20_454 * DAY_MS  # 2026-01-01
SOURCES = {"crm-events": "crm", "web-events": "web"}
TOUCHPOINTS = "touchpoints"


class Record(NamedTuple):
    """A record as a consumer gives it; here with its append time."""

    topic: str
    offset: int
    key: bytes | None
    value: bytes
    timestamp: int = END_MS


def plan(events: int = 6_000, accounts: int = 200, days: int = 365, late: float = 0.0) -> GeneratorPlan:
    """Thirty events an account within a year, as in `make bench`; in order of time but for those that are late."""
    return GeneratorPlan(
        events=events, accounts=accounts, seed=7, start_ms=END_MS - days * DAY_MS, end_ms=END_MS, late=late,
        no_account=0.0, duplicates=0.0, corrections=0.0, withdrawals=0.0, bad=0.0,
    )  # fmt: skip


def source_records(wanted: GeneratorPlan) -> list[Record]:
    """What the sources of a plan send, in order of arrival."""
    records = [record for batch in generate(wanted) for record in batch]
    return [Record(topic, offset, None, value) for offset, (topic, value) in enumerate(records)]


def new_ingestions() -> dict[str, Ingestion]:
    """By source topic; all accounts are in partition 0."""
    return {topic: Ingestion(topic, "id", stream, 1, 300_000) for topic, stream in SOURCES.items()}


@cache
def touchpoint_records(wanted: GeneratorPlan) -> list[Record]:
    """The touchpoints of a plan, in order of arrival."""
    ingestions = new_ingestions()
    found = [ingestions[each.topic].route(0, [each]).touchpoints[0][0] for each in source_records(wanted)]
    return [Record(TOUCHPOINTS, offset, key, value) for offset, (key, value) in enumerate(found)]


def rounds_of(records: Sequence[Record], rounds: int) -> list[Record]:
    """The first record of every account, then the second of every account, and so on: so a batch of live traffic has
    them. Of accounts with fewer than `rounds` all."""
    counts: Counter[bytes | None] = Counter()
    ranked: list[tuple[int, Record]] = []
    for record in records:
        if counts[record.key] < rounds:
            ranked.append((counts[record.key], record))
            counts[record.key] += 1
    in_rounds = (record for _, record in sorted(ranked, key=itemgetter(0)))
    return [record._replace(offset=offset) for offset, record in enumerate(in_rounds)]


def batches_of(records: Sequence[Record], size: int) -> Iterator[Sequence[Record]]:
    """As the transport delivers them."""
    return (records[place : place + size] for place in range(0, len(records), size))
