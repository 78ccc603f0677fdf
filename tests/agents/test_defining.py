"""Definitions on their way from a file to the workers, without a broker: topics are lists here."""

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pytest

from agents import defining, definitions_follower, definitions_writer
from agents.defining import apply_definitions
from agents.definitions_follower import DefinitionsFollower
from agents.read_record import ReadRecord
from agents.reading import Definitions
from agents.settings import Settings
from agents.snapshots import RETIRE_AFTER_S
from state import definition_set
from state.definition_set import DefinitionSet, definition_set_of, encode_definition, publications
from state.definitions import DefinitionFile
from state.layers import layout_bytes
from streams.errors import MismatchError, UsageError
from streams.topics import MESSAGE_BYTES_MAX
from tests.state.partitions import Partition
from tests.state.worlds import definition_set as set_of

HERE = definition_set.installed_tzdata()
SETTINGS = Settings(bootstrap_servers="nowhere:1")


def file_of(*names: str) -> DefinitionFile:
    """A definition file with flows of these names."""
    flows = [{"name": name, "kind": "flow", "container": "account", "dimension": "type"} for name in names]
    return DefinitionFile.model_validate({"version": 1, "analyses": flows})


class Shown(NamedTuple):
    """As much of a snapshot as `apply` looks at."""

    version: str


class Topic:
    """The definitions topic."""

    def __init__(self) -> None:
        self.records: list[ReadRecord] = []

    def publish(self, records: Mapping[str, bytes | None]) -> None:
        """Appends records."""
        for key, value in records.items():
            self.records.append(ReadRecord(0, len(self.records), 0, key.encode(), value))

    def change(self, _: str, __: Settings, decide: Callable[[Definitions], Mapping[str, bytes | None]]) -> None:
        """Appends what is decided."""
        known = self.read()
        records = decide(known)
        definitions_writer.require_sizes("definitions", known, records)
        self.publish(records)

    def read(self, *_: Any) -> Definitions:
        """What stands there."""
        found = Definitions()
        for record in self.records:
            found.apply(record)
        return found


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Topic:
    """An empty topic in the place of the broker's; no snapshot is published."""
    made = Topic()
    monkeypatch.setattr(defining, "change_definitions", made.change)
    monkeypatch.setattr(defining, "read_definitions", lambda *_: made.read().in_force())
    monkeypatch.setattr(defining, "published_snapshots", lambda *_: iter([{}]))
    return made


def install(monkeypatch: pytest.MonkeyPatch, tzdata: str) -> None:
    """Has this machine another tzdata."""
    monkeypatch.setattr(definition_set, "installed_tzdata", lambda: tzdata)


def apply(*names: str, **options: bool) -> list[str]:
    """Applies flows of these names; gives those that were published."""
    return apply_definitions(file_of(*names), "nowhere:1", SETTINGS, 5, **options).published


def test_what_no_worker_could_begin_with_is_not_published(topic: Topic) -> None:
    """A defect of ours that no rule of a file finds would stop all partitions; here its rule does not hold."""
    cohort = {
        "name": "co", "kind": "cohort", "container": "account", "granularity": "month", "periods": 3,
        "inclusion": {"match": {"field": "type", "op": "=", "value": "A"}},
        "return": {"match": {"field": "type", "op": "=", "value": "B"}},
    }  # fmt: skip
    late = {"name": "late", "container": "account", "from": {"cohort": "co", "period": "2206-03"}}
    file = DefinitionFile.model_validate({"version": 1, "analyses": [cohort], "audiences": [late]})
    with pytest.raises(IndexError):
        apply_definitions(file, "nowhere:1", SETTINGS, 5)
    assert topic.records == []


def test_a_machine_with_other_midnights_publishes_nothing(topic: Topic, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also not what would be new or go; the words say what is here, what is in force, and what to do."""
    apply("a", "b")
    before = list(topic.records)
    install(monkeypatch, "1999.1")
    for names in (["a", "b"], ["a", "b", "c"], ["a"], ["other"]):
        with pytest.raises(MismatchError) as refused:
            apply(*names)
        for said in ("this machine has tzdata 1999.1", f"published with {HERE}", "Nothing was published",
                     f"Apply on a machine with tzdata {HERE}", "--new-tzdata"):  # fmt: skip
            assert said in str(refused.value)
    assert topic.records == before


def test_midnights_change_for_all_when_that_is_said(topic: Topic, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every analysis is another one then, that goes on with nothing; and behind it the option is not needed."""
    apply("a", "b")
    install(monkeypatch, "1999.1")
    assert apply("a", "b", new_tzdata=True) == ["a", "b"]
    in_force = topic.read().in_force()
    assert ({each.tzdata for each in in_force.definitions}, in_force.replaced) == ({"1999.1"}, ())
    assert apply("a", "b", "c") == ["c"]


def test_what_readers_still_see_has_the_same_midnights(topic: Topic, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replaced definition is computed as well, so one with another tzdata is refused like one in force."""
    records, _ = publications(file_of("a"), definition_set_of({}), 5)
    (made,) = definition_set_of({"a": records["a"] or b""}).definitions
    former = definition_set.Definition("former", made.zone, made.week_start, "1999.1", made.analysis)
    topic.publish({"a": encode_definition(made, 5, former)})
    assert [each.tzdata for each in topic.read().in_force().every] == ["1999.1", HERE]
    with pytest.raises(MismatchError, match=r"'a' was published with tzdata 1999\.1, this milepost has"):
        definition_set.require_tzdata(topic.read().in_force())
    with pytest.raises(MismatchError, match=r"was published with 1999\.1"):
        apply("a")


def test_definitions_that_are_too_large_together_are_refused(topic: Topic, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the size found and the limit; what readers still see of those that change counts as well."""
    apply("a", "b")
    in_force, before = topic.read().in_force(), list(topic.records)
    size = layout_bytes(in_force)
    monkeypatch.setattr(definitions_writer, "DEFINITIONS_BYTES_MAX", size)
    with pytest.raises(UsageError, match=rf"3 analyses, and 0 former .* take \d+ bytes .* keep {size} at most"):
        apply("a", "b", "c")
    shown = {each.analysis.name: Shown(each.version) for each in in_force.definitions}
    monkeypatch.setattr(defining, "published_snapshots", lambda *_: iter([shown]))
    changed = file_of("a", "b").model_copy(update={"zone": "Etc/GMT"})
    with pytest.raises(UsageError, match=r"2 analyses, and 2 former .* take \d+ bytes"):
        apply_definitions(changed, "nowhere:1", SETTINGS, 5)
    assert topic.records == before
    assert apply("a", "c") == ["c"]


def test_definitions_as_large_as_apply_takes_fit_a_commit() -> None:
    """They are one row, whose size is known before; without compression the commit that has it is small enough."""
    values = [f"V{number:050d}" for number in range(154_000)]
    anchor = {"match": {"field": "type", "op": "in", "value": values}}
    flow = {"name": "large", "kind": "flow", "container": "account", "dimension": "type", "starts_with": anchor}
    large = set_of([flow])
    size = layout_bytes(large)
    assert definitions_writer.DEFINITIONS_BYTES_MAX - 100_000 < size <= definitions_writer.DEFINITIONS_BYTES_MAX
    partition = Partition(DefinitionSet(()))
    partition.define(large)
    work = partition.live().chore(0, 1)
    assert work is not None
    assert size in {len(value or b"") for _, value in work.rows}
    assert sum(len(key) + len(value or b"") for key, value in work.rows) < MESSAGE_BYTES_MAX - 60_000


def test_a_retirement_is_said_later_than_any_apply_that_did_not_see_the_new_version_can_publish() -> None:
    """With some seconds between."""
    assert RETIRE_AFTER_S > definitions_writer.APPLY_S_MAX + definitions_writer.DELIVERY_S_MAX


Follow = Callable[..., Iterator[list[ReadRecord]]]


def follower_of(monkeypatch: pytest.MonkeyPatch, follow: Follow) -> DefinitionsFollower:
    """A follower that reads what `follow` gives."""
    monkeypatch.setattr(definitions_follower, "follow_topic", follow)
    return DefinitionsFollower("nowhere:1", SETTINGS)


def test_a_worker_ends_by_other_midnights_and_says_why(topic: Topic, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks it next is told, each time: a worker that went on would take over partitions of workers that have
    the other ones. It also does not start."""
    apply("a")
    install(monkeypatch, "1999.1")
    count = len(topic.records)
    apply("a", new_tzdata=True)
    install(monkeypatch, HERE)
    is_wrong = threading.Event()

    def follow(*_: Any) -> Iterator[list[ReadRecord]]:
        yield topic.records[:count]
        yield []
        is_wrong.wait()
        yield topic.records[count:]
        yield []

    follower = follower_of(monkeypatch, follow)
    assert follower.current()[1].named("a") is not None
    (thread,) = [each for each in threading.enumerate() if each.name == "definitions"]
    is_wrong.set()
    thread.join(10)
    for _ in range(2):
        with pytest.raises(MismatchError, match=rf"with tzdata 1999\.1, this milepost has {HERE}.*--new-tzdata"):
            follower.current()
    with pytest.raises(MismatchError, match="--new-tzdata"):
        follower_of(monkeypatch, lambda *_: iter([topic.records, []]))
