"""A partition of accounts whose definitions change, without a broker, and what must hold of it."""

import msgspec

from state.accounts_stage import OUTPUT_NAMES, AccountsStage
from state.definition_set import DefinitionSet
from state.journeys import Journey, decode_journey
from state.layers import LayerReader, Layers, LayersRow
from state.rows import LAYERS_KEY
from streams.alert import Alert, decode_alert
from streams.membership import MembershipChange, decode_change, membership_key
from streams.partials import COVERS_KEY, Covers, Tag, decode_cell, decode_covers, decode_partial, version_of
from streams.stage import Applied, Slice, Work
from streams.touchpoint import Touchpoint
from tests.state.memory_store import MemoryStore
from tests.state.small import assert_timelines_are_whole
from tests.state.test_accounts import assert_chunks_are_whole, brute, cells_of
from tests.state.worlds import Record


class CanNotError(Exception):
    """A move that can not be computed."""


class Partition:
    """A partition, and a reader of what it publishes. owner: without one it dies between any two commits."""

    owner: AccountsStage | None = None

    def __init__(self, definitions: DefinitionSet) -> None:
        self.definitions, self.offset = definitions, 0
        self.store = MemoryStore()
        self.cells: dict[bytes, int] = {}
        self.journeys: dict[str, Journey] = {}
        self.alerts: dict[str, Alert] = {}
        self.memberships: dict[bytes, MembershipChange] = {}
        self.members: dict[bytes, MembershipChange] = {}
        self.clock_ms = 0
        self.covers: Covers
        self._tag = 0
        self._commit(self._stage().idle(0))

    def _stage(self) -> AccountsStage:
        return AccountsStage(lambda: (self.offset, self.definitions), OUTPUT_NAMES, self.store)

    def take(self, touchpoints: list[Touchpoint]) -> None:
        """A batch."""
        records = [Record(each) for each in touchpoints]
        self._commit(self._stage().compute(records, self.clock_ms))  # type: ignore[arg-type]

    def slice(self, record: Touchpoint) -> Slice:
        """The next piece of a record that is cut."""
        found = self._stage().slice(Record(record), self.clock_ms)  # type: ignore[arg-type]
        assert found is not None
        self._commit(found.work)
        return found

    def define(self, definitions: DefinitionSet) -> None:
        """Another set is published."""
        self.definitions, self.offset = definitions, self.offset + 1

    def live(self) -> AccountsStage:
        """An owner comes that goes on living."""
        self.owner = self._stage()
        return self.owner

    def try_chore(self) -> bool:
        """As the writer does the next chore: False when there is none or it can not be computed."""
        stage = self.owner or self.live()
        try:
            return self.chore()
        except CanNotError:
            stage.chore_failed()
            return False

    def chore(self, parts: int = 1) -> bool:
        """The next chore; False when there is none."""
        stage = self.owner or self._stage()
        work = stage.chore(self.clock_ms, parts)
        if work is None:
            return False
        self._commit(work)
        assert self._stage().definitions_hash == stage.definitions_hash
        return True

    def rest(self) -> int:
        """All chores; how many."""
        count = 0
        while self.chore():
            count += 1
            assert count < 10_000
        return count

    def _commit(self, work: Work) -> None:
        self._tag += 1
        applied = Applied(Tag(0, self._tag), {"touchpoints": 0}, self.clock_ms)
        found = work.publish(applied)
        self.store.apply(work.rows)
        assert self._stage().again(work.pending)(applied) == found
        for topic, records, _ in found:
            for key, value in records:
                if topic == "journeys":
                    assert value is not None
                    self.journeys[key.decode()] = decode_journey(value)
                elif topic == "milestones":
                    self._hear(key.decode(), decode_alert(value or b""))
                elif topic == "audience-changes":
                    self._hear_of_members(key, decode_change(value or b""))
                elif topic == "audience-members":
                    self._hold(key, value)
                elif key == COVERS_KEY:
                    self.covers = decode_covers(value or b"")
                elif value is None:
                    self.cells.pop(key, None)
                else:
                    self.cells[key] = decode_partial(value)[1]

    def _hear(self, key: str, alert: Alert) -> None:
        """Reads an alert: the next revision, which says something else."""
        former = self.alerts.get(alert.id)
        assert (key, alert.known_ms) == (alert.id, self.clock_ms)
        assert alert.revision == (1 if former is None else former.revision + 1)
        if former is None:
            assert alert.state == "asserted"
        else:
            assert (alert.state, alert.happened_ms) != (former.state, former.happened_ms)
        self.alerts[key] = alert

    def _hear_of_members(self, key: bytes, change: MembershipChange) -> None:
        """Reads a change of an audience: the next revision, which says something else."""
        former = self.memberships.get(key)
        assert (key, change.known_ms) == (membership_key(change), self.clock_ms)
        assert change.revision == (1 if former is None else former.revision + 1)
        held = former.attributes if former is not None and former.change != "exited" else None
        assert (change.change == "entered") == (held is None)
        assert change.former_attributes == ([held] if held else [])
        assert change.change != "changed" or change.attributes != held
        if former is not None and change.change == "changed":
            assert change.since_ms == former.since_ms
        else:
            assert change.since_ms == change.happened_ms
        assert change.reason
        self.memberships[key] = change

    def _hold(self, key: bytes, value: bytes | None) -> None:
        """Reads who is in: what the change before it said."""
        change = self.memberships[key]
        assert (value is not None) == (change.change != "exited")
        if value is None:
            del self.members[key]
        else:
            self.members[key] = decode_change(value)
            assert self.members[key] == change

    def in_force(self) -> set[str]:
        """The versions that are complete."""
        return set(self.row().in_force) - set(self.covers.building)

    def row(self) -> LayersRow:
        """What it keeps about its definitions."""
        return msgspec.msgpack.decode(self.store.rows[LAYERS_KEY], type=LayersRow)

    def layers(self) -> Layers:
        """Which accounts are in which layer."""
        return LayerReader(self.store, lambda: (self.offset, self.definitions)).layers()

    def published(self) -> dict[tuple[str, str], int]:
        """The cells that a reader has, but for zeros."""
        found = ((decode_cell(key), count) for key, count in self.cells.items())
        return {(version, repr(cell)): count for (version, cell), count in found if count}


def assert_what_is_complete_is_exact(partition: Partition, taken: list[Touchpoint]) -> None:
    """What readers are told to be complete counts everything that was taken, at any time."""
    complete = [each for each in partition.definitions.every if each.version in partition.in_force()]
    expected = brute(DefinitionSet(tuple(complete)), taken)
    versions = {each.version for each in complete}
    assert {cell: count for cell, count in partition.published().items() if cell[0] in versions} == expected
    assert_progress_is_exact(partition)
    assert_timelines_are_whole(partition.store)


def assert_progress_is_exact(partition: Partition) -> None:
    """Of each version that is not complete readers hear how many accounts it counts, and how many there are."""
    alive = [name.encode() for name, journey in partition.journeys.items() if journey.touchpoint_count]
    versions = [partition.layers().plan_of(account).versions for account in alive]
    found = partition.covers.building
    assert found == {version: (sum(version in each for each in versions), len(alive)) for version in found}


def assert_equal_to_scratch(partition: Partition, arrived: list[Touchpoint]) -> None:
    """Everything is as in a partition that had the last set first, without what it replaces and was never live."""
    given, live = partition.definitions, partition.row().in_force
    last = DefinitionSet(given.definitions, tuple(each for each in given.replaced if each.version in live))
    expected = brute(DefinitionSet(last.every), arrived)
    assert cells_of(partition.store) == expected
    assert partition.published() == expected
    assert partition.covers.building == {}
    assert {version_of(key) for key in partition.cells} <= {each.version for each in last.every}
    scratch = Partition(last)
    if arrived:
        scratch.take(arrived)
    alive = {name: journey for name, journey in partition.journeys.items() if journey.touchpoint_count}
    assert alive == {name: with_tag(each, alive[name]) for name, each in scratch.journeys.items()}
    # Chunks are as the series grew, which has entries that interest only what keeps its place in the layout.
    kinds = {key[:1] for key, value in partition.store.rows.items() if (key[:1], value) != (b"c", b"0")} - {b"s"}
    assert kinds - {key[:1] for key in scratch.store.rows} == set()
    assert sum(key[:1] == b"y" for key in partition.store.rows) == sum(key[:1] == b"y" for key in scratch.store.rows)
    assert sum(key[:1] == b"L" for key in partition.store.rows) == 1
    counts, scratch_counts = ([count for _, count in each.store.scan(b"n")] for each in (partition, scratch))
    assert counts == scratch_counts
    assert_chunks_are_whole(partition.store)
    assert_timelines_are_whole(partition.store)


def with_tag(journey: Journey, like: Journey) -> Journey:
    """The journey under the other's tag."""
    return Journey(**{name: getattr(like if name == "tag" else journey, name) for name in journey.__struct_fields__})
