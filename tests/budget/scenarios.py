"""What is counted: the hot path on two batches of events, behind a world's earlier ones."""

import tempfile
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from agents.commands.demo import everyday_definitions
from agents.defining import load_definitions
from bench.definitions import so_many
from generator.plan import GeneratorPlan
from state.accounts_stage import OUTPUT_NAMES, AccountsStage
from state.audience_set import AudienceDefinition
from state.definition_set import Definition, DefinitionSet
from state.definitions import Audience, DefinitionFile, Milestone
from state.milestone_set import MilestoneDefinition
from state.render.snapshot import snapshot_of
from state.store import RocksStore
from state.sums import PartialSums
from streams.batch import some_batches
from streams.budget import Cost
from streams.commit import applied_of, prepared
from streams.ingest import RejectLimits, Routed
from streams.partials import Tag
from streams.protocol_rows import CommitRow, Input
from streams.snapshot import encode_snapshot
from streams.stage import Applied, Publication
from streams.store import Position, Row
from tests.budget.counting import Asked, Counter, CountingStore, size_of
from tests.budget.worlds import (
    END_MS,
    SOURCES,
    TOUCHPOINTS,
    Record,
    batches_of,
    new_ingestions,
    plan,
    rounds_of,
    source_records,
    touchpoint_records,
)

COUNTED = 2_000
MANY, FEW = 1_000, 100  # events in a batch: of a backlog, and of live traffic


class Counted(NamedTuple):
    """What `count` events or cells cost, per thousand; and by function, in all."""

    cost: Cost
    counter: Counter
    count: int


def _counted(
    counter: Counter, count: int, asked: Asked | None = None, written: Sequence[Row] = (), published: Sequence[Row] = ()
) -> Counted:
    asked, spent = asked or Asked(), counter.total()

    def per_thousand(found: int) -> int:
        return round(found * 1_000 / count)

    cost = Cost(
        calls=per_thousand(spent.calls + spent.c_calls),
        instructions=per_thousand(spent.instructions),
        asks=per_thousand(asked.asks),
        keys=per_thousand(asked.keys),
        rows_read=per_thousand(asked.rows),
        bytes_read=per_thousand(asked.bytes),
        rows_written=per_thousand(len(written)),
        bytes_written=per_thousand(size_of(written)),
        rows_published=per_thousand(len(published)),
        bytes_published=per_thousand(size_of(published)),
    )
    return Counted(cost, counter, count)


def ingest() -> Counted:
    """What `agents.ingest` does with events in order of time but for sending them; their accounts are known."""
    sources, ingestions, counter = source_records(plan()), new_ingestions(), Counter()
    limits = RejectLimits(0.5, MANY, 10 * MANY, counts_no_account=True)
    published: list[Row] = []
    counted = 0

    def process(records: Sequence[Record]) -> Routed:
        routed = ingestions[records[0].topic].route(0, records)
        limits.judge(len(records), routed.rejects, routed.example)
        for rows in routed.touchpoints.values():
            list(some_batches(rows))
        return routed

    for topic in SOURCES:
        records = [record for record in sources if record.topic == topic]
        known = len(records) * 3 // 4
        process(records[:known])
        for batch in batches_of(records[known:], MANY):
            published += counter.run(partial(process, batch)).touchpoints[0]
            counted += len(batch)
    return _counted(counter, counted, published=published)


# --- accounts


class Batch(NamedTuple):
    """What a batch writes, and what it publishes."""

    written: list[Row]
    published: Callable[[], list[Publication]]


class Partition:
    """The owner of a partition of accounts as far as its store; nothing is sent."""

    def __init__(self, definitions: DefinitionSet, folder: str) -> None:
        self.store = CountingStore(RocksStore(Path(folder) / "0"))
        self._stage = AccountsStage(lambda: (0, definitions), OUTPUT_NAMES, self.store)
        self._offset = 0
        self.write(self._stage.idle(END_MS).rows)

    def compute(self, records: Sequence[Record]) -> Batch:
        """The next batch, built for Kafka."""
        work = self._stage.compute(records, END_MS)
        inputs = {TOUCHPOINTS: Input(records[-1].offset, "id")}
        row = CommitRow(1, inputs, END_MS, self._stage.definitions_hash, work.pending)
        tag = Tag(0, self._offset)
        commit = prepared(self._stage, work, row, tag)
        return Batch(commit.rows, partial(work.publish, Applied(tag, applied_of(row), END_MS)))

    def write(self, rows: Sequence[Row]) -> None:
        """Commits a batch."""
        was = self.store.position()
        self._offset += len(rows)
        self.store.write(rows, Position(self._offset, 0, END_MS, "id", 0), was)


def accounts(
    definitions: DefinitionSet,
    wanted: GeneratorPlan,
    size: int = MANY,
    arrange: Callable[[list[Record]], list[Record]] = list,
) -> Counted:
    """Touchpoints before five sixths of a plan, in the order of arrival or as arranged, `size` in a batch."""
    touchpoints, counter = arrange(touchpoint_records(wanted)), Counter()
    until = len(touchpoints) * 5 // 6
    written: list[Row] = []
    published: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        partition = Partition(definitions, folder)
        for records in batches_of(touchpoints[: until - COUNTED], size):
            partition.write(partition.compute(records).written)
        asked = partition.store.asked = Asked()
        for records in batches_of(touchpoints[until - COUNTED : until], size):
            batch = counter.run(partial(partition.compute, records))
            partition.write(batch.written)
            written += batch.written
            published += [row for publication in batch.published() for row in publication.records]
        partition.store.close()
    return _counted(counter, COUNTED, asked, written, published)


# --- readers of partials


@cache
def _partials() -> list[Row]:
    """All that the partials of a plan say."""
    found: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        partition = Partition(THREE, folder)
        for records in batches_of(touchpoint_records(plan()), MANY):
            batch = partition.compute(records)
            partition.write(batch.written)
            found += [row for topic, rows, _ in batch.published() if topic == OUTPUT_NAMES.partials for row in rows]
        partition.store.close()
    return found


def partials() -> Counted:
    """Records of partials, summed."""
    records, counter = _partials(), Counter()
    sums = PartialSums(THREE.definitions)
    counter.run(lambda: sums.apply(0, records))
    return _counted(counter, len(records))


def render() -> Counted:
    """Snapshots, by the cells of the totals that they are made from."""
    sums, counter, cell_count = PartialSums(THREE.definitions), Counter(), 0
    sums.apply(0, _partials())
    for each in THREE.definitions:
        totals = sums.totals(each.version)
        cell_count += len(totals)
        made = counter.run(partial(snapshot_of, each, totals, sums.covers, touchpoints=TOUCHPOINTS, lateness_ms=0))
        counter.run(partial(encode_snapshot, made))
    return _counted(counter, cell_count)


# --- all


def _set_of(file: DefinitionFile, count: int) -> DefinitionSet:
    """The first `count` analyses, each with its name as version."""
    return DefinitionSet(tuple(Definition(a.name, file.zone, file.week_start, "", a) for a in file.analyses[:count]))


_EVERYDAY = load_definitions(everyday_definitions())
_ONE, THREE, _TWELVE = _set_of(_EVERYDAY, 1), _set_of(_EVERYDAY, 3), _set_of(so_many(12), 12)

_ADVANCED = load_definitions(everyday_definitions().with_name("advanced.yaml"))
_WITH_MILESTONES = DefinitionSet(
    THREE.definitions, (), tuple(MilestoneDefinition(each.name, 0, each) for each in _ADVANCED.milestones)
)
_QUIET = Milestone.model_validate(
    {"name": "quiet", "container": "account", "when": {"match": {"field": "type", "value": "Nothing"}}}
)
_WITH_QUIET_MILESTONES = DefinitionSet(
    THREE.definitions, (), tuple(MilestoneDefinition(f"quiet{n}", 0, _QUIET) for n in range(20))
)

_WITH_AUDIENCES = DefinitionSet(
    THREE.definitions, (), (), tuple(AudienceDefinition(each.name, "", each) for each in _ADVANCED.audiences)
)
_QUIET_AUDIENCE = Audience.model_validate(
    {"name": "quiet", "container": "account", "when": {"has": {"match": {"field": "type", "value": "Nothing"}}}}
)
_WITH_QUIET_AUDIENCES = DefinitionSet(
    THREE.definitions, (), (), tuple(AudienceDefinition(f"quiet{n}", "", _QUIET_AUDIENCE) for n in range(20))
)

SCENARIOS: dict[str, Callable[[], Counted]] = {
    "ingest": ingest,
    "in-order-1": lambda: accounts(_ONE, plan()),
    "in-order-3": lambda: accounts(THREE, plan()),
    "in-order-12": lambda: accounts(_TWELVE, plan()),
    "live": lambda: accounts(THREE, plan(30_000, 1_000), FEW, partial(rounds_of, rounds=10)),
    "milestones-quiet": lambda: accounts(_WITH_QUIET_MILESTONES, plan()),
    "milestones": lambda: accounts(_WITH_MILESTONES, plan()),
    "audiences-quiet": lambda: accounts(_WITH_QUIET_AUDIENCES, plan()),
    "audiences": lambda: accounts(_WITH_AUDIENCES, plan()),
    "late": lambda: accounts(THREE, plan(days=60, late=0.05), FEW),
    "big-account": lambda: accounts(THREE, plan(accounts=1, days=60, late=0.05), FEW),
    "partials": partials,
    "render": render,
}
