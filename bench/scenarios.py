"""Everything that `make bench` measures: a line per scenario."""

from functools import partial

import msgspec

from bench.definitions import by_page, so_many
from bench.events import DAY_MS, World
from bench.measures.alerts import Alerts
from bench.measures.backfill import Backfill
from bench.measures.big_account import BigAccount
from bench.measures.company import Company
from bench.measures.latency import Latency
from bench.measures.measure import Measure
from bench.measures.pipeline import Pipeline
from bench.measures.questions import Questions
from bench.measures.restoring import Restore
from bench.measures.scaling import SideBySide
from bench.measures.snapshots import Snapshots
from bench.measures.stages import Accounts, Ingest
from bench.measures.stock import Stock


class Scenario(msgspec.Struct, frozen=True):
    """section: of the report. name: letters, digits and dashes, the prefix of its topics. partitions: of each topic."""

    section: str
    name: str
    title: str
    world: World
    measure: Measure
    partitions: int = 4


KB_NOTE, FOUR_KB_NOTE = 790, 3_790
"""What makes an event of about 200 bytes one of 1 and of 4 KB."""
_COMPANY = World(late=0.03)
_MONTHS = World(days=60, late=0.01, late_ms_max=30 * DAY_MS)
_PAGES = World(content_count=200_000)
_UNCHECKED = Accounts(checks=False)  # the batch computation holds everything in memory
_STAGES, _ACCOUNTS, _GROWTH = "Ingest and all roles", "Accounts", "How cost grows"
_SCALING, _READING, _LATENCY = "Workers and partitions", "Snapshots, questions, restore, back-fill", "Latency"
_BIG, _GIANT = "One account of a million touchpoints", World(events=0, accounts=1_000, giant=1_000_000, days=700)

# fmt: off
SCENARIOS = (
    Scenario(_STAGES, "ingest", "ingest, events of 0.2 KB", World(), Ingest()),
    Scenario(_STAGES, "ingest-1kb", "ingest, events of 1 KB", World(events=300_000, note_bytes=KB_NOTE), Ingest()),
    Scenario(_STAGES, "ingest-4kb", "ingest, events of 4 KB", World(events=100_000, note_bytes=FOUR_KB_NOTE), Ingest()),
    Scenario(_STAGES, "company", "a generated company, 3 % late by up to weeks", _COMPANY, Company()),
    Scenario(_STAGES, "pipeline", "all roles, source to snapshots", World(), Pipeline()),
    Scenario(_STAGES, "stock", "stock Faust, one table write per event", World(), Stock()),
    Scenario(_ACCOUNTS, "accounts", "3 definitions, in order", World(), Accounts()),
    Scenario(_ACCOUNTS, "definitions-1", "1 definition", World(), Accounts(partial(so_many, 1))),
    Scenario(_ACCOUNTS, "definitions-12", "12 definitions", World(), Accounts(partial(so_many, 12))),
    Scenario(_ACCOUNTS, "late-5", "5 % late by up to an hour", World(late=0.05), Accounts()),
    Scenario(_ACCOUNTS, "late-20", "20 % late by up to an hour", World(late=0.2), Accounts()),
    Scenario(_ACCOUNTS, "late-30d", "1 % late by up to 30 days", _MONTHS, Accounts()),
    Scenario(_ACCOUNTS, "zipf", "accounts by Zipf's law, exponent 1", World(zipf=1.0), Accounts()),
    Scenario(_ACCOUNTS, "size-1kb", "events of 1 KB", World(events=300_000, note_bytes=KB_NOTE), Accounts()),
    Scenario(_ACCOUNTS, "size-4kb", "events of 4 KB", World(events=100_000, note_bytes=FOUR_KB_NOTE), Accounts()),
    Scenario(_GROWTH, "accounts-10k", "10,000 accounts, 60 touchpoints each", World(accounts=10_000), Accounts()),
    Scenario(_GROWTH, "accounts-100k", "100,000 accounts, 6 each", World(accounts=100_000), Accounts()),
    Scenario(_GROWTH, "accounts-1m", "1,000,000 accounts, 2 each", World(2_000_000, 1_000_000), Accounts()),
    Scenario(_GROWTH, "accounts-5m", "5,000,000 accounts, 2 each", World(10_000_000, 5_000_000), _UNCHECKED),
    Scenario(_GROWTH, "each-1", "1 touchpoint per account", World(accounts=600_000), Accounts()),
    Scenario(_GROWTH, "each-100", "100 per account", World(accounts=6_000), Accounts()),
    Scenario(_GROWTH, "each-1000", "1,000 per account", World(accounts=600), Accounts()),
    Scenario(_GROWTH, "each-10000", "10,000 per account", World(accounts=60), Accounts()),
    Scenario(_GROWTH, "cells-200", "an analysis with 200 cells", World(), Accounts(by_page)),
    Scenario(_GROWTH, "cells-10k", "with 10,000 cells", World(content_count=10_000), Accounts(by_page)),
    Scenario(_GROWTH, "cells-200k", "with 200,000 cells", _PAGES, Accounts(by_page)),
    Scenario(_SCALING, "workers-1", "1 worker", World(1_200_000), SideBySide(1)),
    Scenario(_SCALING, "workers-2", "2 workers", World(1_200_000), SideBySide(2)),
    Scenario(_SCALING, "workers-4", "4 workers", World(1_200_000), SideBySide(4)),
    Scenario(_SCALING, "partitions-16", "16 partitions, 1 worker", World(1_200_000), SideBySide(1), partitions=16),
    Scenario(_SCALING, "partitions-64", "64 partitions, 1 worker", World(1_200_000), SideBySide(1), partitions=64),
    Scenario(_READING, "snapshots", "snapshots, records of partials", World(), Snapshots()),
    Scenario(_READING, "snapshots-cells", "snapshots, records of 200,000 cells", _PAGES, Snapshots(by_page)),
    Scenario(_READING, "questions", "", World(events=100_000, giant=100_000), Questions()),
    Scenario(_READING, "restore", "restore of all partitions, rows", World(), Restore()),
    Scenario(_READING, "backfill", "back-fill of a new definition", World(5_000_000, 100_000), Backfill()),
    Scenario(_BIG, "big-account", "", _GIANT, BigAccount()),
    Scenario(_LATENCY, "latency", "", World(accounts=10_000), Latency()),
    Scenario(_LATENCY, "alerts", "", World(accounts=10_000), Alerts()),
)
# fmt: on
SCENARIO_BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
