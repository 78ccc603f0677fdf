"""The snapshots agent: what is due when, on a real broker, and what `milepost snapshot` shows of it."""

import asyncio
import csv
import io
import json
from collections.abc import Iterator, Sequence

import msgspec
import pytest
from click.testing import CliRunner
from kafka import KafkaProducer
from msgspec.structs import replace

from agents.live_snapshots import Published, published_snapshots
from agents.main import cli
from agents.reading import read_definitions, read_topic
from agents.settings import Settings
from agents.snapshots import RETIRE_AFTER_S, UNCHANGED_FACTOR, Schedule, follow_partials
from state.definition_set import Definition, DefinitionSet, Retirement, publications
from state.definitions import DefinitionFile
from state.layers import Current
from state.render.ranges import range_of
from streams.admin import create_topics
from streams.broker import EmbeddedBroker
from streams.errors import UnavailableError, UsageError
from streams.partials import decode_covers, encode_covers
from streams.snapshot import Snapshot, SnapshotTag, decode_snapshot, encode_snapshot
from streams.store import Row
from streams.topics import topic_name
from tests.agents.snapshot_worlds import CELLS, CLOCK_MS, DEFINITIONS, TOUCHPOINTS, commit, snapshots
from tests.state.worlds import DAY, definition_set

Records = list[tuple[bytes, bytes]]


def schedule(
    claim_offset: int = 5,
    current: Current = lambda: (0, DEFINITIONS),
    interval_s: float = 1.0,
) -> Schedule:
    """A schedule."""
    return Schedule(
        current,
        touchpoints=TOUCHPOINTS,
        claim_offset=claim_offset,
        interval_s=interval_s,
        lateness_ms=3_600_000,
    )


def names(found: Iterator[Snapshot]) -> list[str]:
    """The analyses that are due."""
    return [snapshot.analysis for snapshot in found]


ALL = ["content", "months", "way"]


def test_nothing_is_due_before_covers() -> None:
    """A snapshot names its input, so there is none without; the first covers bring one of every analysis."""
    plan = schedule()
    assert names(plan.due(0.0)) == []
    plan.apply(0, list(commit(1, CELLS))[:-1], 0.0)
    assert names(plan.due(9.0)) == []
    plan.apply(0, list(commit(1, {}))[-1:], 9.0)
    assert sorted(names(plan.due(9.0))) == ALL


def test_a_moving_range_moves_in_the_snapshot() -> None:
    """It says its days; when the clock alone has left them behind, it is published anew."""
    flow = {"name": "content", "kind": "flow", "container": "account", "dimension": "type", "last": "2 days"}
    definitions = definition_set([flow])
    plan = schedule(current=lambda: (0, definitions))
    today = CLOCK_MS // DAY
    plan.apply(0, list(commit(1, {("content", ("o", today - 1, (), ("a",))): 5}, definitions)), 0.0)
    (first,) = plan.due(0.0)
    assert (first.range, first.body.total) == (("2026-03-19", "2026-03-20"), 5)
    key, value = commit(2, {}, definitions)[-1]
    plan.apply(0, [(key, encode_covers(replace(decode_covers(value), clock_ms=CLOCK_MS + DAY)))], 1.0)
    (second,) = plan.due(1.0)
    assert (second.range, second.body.total) == (("2026-03-20", "2026-03-21"), 0)


def test_changed_analysis_waits_for_its_interval() -> None:
    """A change is published as soon as a second has passed since the last snapshot, and only then."""
    plan = schedule()
    plan.apply(0, list(commit(1, {})), 0.0)
    assert len(names(plan.due(0.0))) == 3
    plan.apply(0, list(commit(2, {("way", ("t", 1)): 1})), 0.5)
    assert names(plan.due(0.9)) == []
    plan.apply(0, list(commit(3, {("way", ("t", 1)): 2})), 0.95)
    assert names(plan.due(1.0)) == ["way"]
    assert names(plan.due(1.1)) == []


def test_unchanged_analysis_follows_when_it_is_quiet() -> None:
    """Every snapshot comes to name all input: after a second without news, or at the latest after ten."""
    plan = schedule()
    plan.apply(0, list(commit(1, {})), 0.0)
    assert len(names(plan.due(0.0))) == 3
    for tick in range(1, UNCHANGED_FACTOR):
        plan.apply(0, list(commit(tick + 1, {("way", ("t", 1)): tick})), float(tick))
        assert names(plan.due(float(tick))) == ["way"]
    plan.apply(0, list(commit(50, {})), 9.9)
    assert sorted(names(plan.due(10.0))) == ["content", "months"]
    assert names(plan.due(10.8)) == []
    due = list(plan.due(11.0))
    assert sorted(each.analysis for each in due) == ["way"]
    plan.apply(0, list(commit(51, {})), 12.0)
    assert names(plan.due(12.9)) == []
    assert sorted(names(plan.due(13.0))) == ALL
    assert names(plan.due(99.0)) == []


def test_tags_grow_and_carry_the_claim() -> None:
    """A later writer's first snapshot is newer than an earlier writer's last."""
    first, second = schedule(5), schedule(9)
    tags = []
    for plan in (first, second):
        plan.apply(0, list(commit(1, CELLS)), 0.0)
        tags += [snapshot.tag for snapshot in plan.due(0.0)]
    assert tags[:3] == [SnapshotTag(5, 1), SnapshotTag(5, 2), SnapshotTag(5, 3)]
    assert max(tags[:3], key=lambda tag: (tag.claim_offset, tag.counter)) < tags[3]  # type: ignore[operator, union-attr]


class Changing:
    """Definitions that are changed while a schedule runs."""

    def __init__(self) -> None:
        self.now = DEFINITIONS

    def __call__(self) -> tuple[int, DefinitionSet]:
        return 0, self.now

    def change_way(self) -> Definition:
        """`way` is defined anew; what readers see of it until then goes along."""
        former = DEFINITIONS.named("way")
        assert former is not None
        changed = replace(former, version="way-2")
        others = [each for each in DEFINITIONS.definitions if each is not former]
        self.now = DefinitionSet((*others, changed), (former,))
        return changed


def test_the_former_version_is_shown_until_the_new_one_is_complete_everywhere() -> None:
    """It goes on being live, and says how far its successor is; then that one is shown, and the former retired."""
    definitions = Changing()
    plan = schedule(current=definitions)
    for partition in (0, 1):
        plan.apply(partition, list(commit(1, {("way", ("t", 1)): 5})), 0.0)
    assert len(names(plan.due(0.0))) == 3
    definitions.change_way()
    for partition, building in ((0, {"way-2": (30, 100)}), (1, {})):
        cells = {("way", ("t", 1)): 6, ("way-2", ("t", 1)): 2}
        plan.apply(partition, list(commit(2, cells, definitions.now, building)), 1.0)
    (way,) = [each for each in plan.due(2.0) if each.analysis == "way"]
    assert (way.version, way.backfill, way.body.total) == ("way", 65, 12)  # type: ignore[union-attr]
    plan.note_shown("way", 2.0)
    plan.apply(0, list(commit(3, {("way-2", ("t", 1)): 4}, definitions.now)), 3.0)
    (way,) = [each for each in plan.due(4.0) if each.analysis == "way"]
    assert (way.version, way.backfill, way.body.total) == ("way-2", None, 6)  # type: ignore[union-attr]
    plan.note_shown("way-2", 5.0)
    plan.note_shown("way-2", 60.0)
    assert plan.retired(4.0 + RETIRE_AFTER_S) == []
    assert plan.retired(5.0 + RETIRE_AFTER_S) == [Retirement("way", "way-2")]
    definitions.now = DefinitionSet(definitions.now.definitions)
    assert len(names(plan.due(5.0 + RETIRE_AFTER_S))) == 3
    assert plan.retired(5.0 + RETIRE_AFTER_S) == []


def test_what_is_defined_no_more_is_taken_from_the_topic_once() -> None:
    """Also what a former owner published."""
    definitions = Changing()
    plan = schedule(current=definitions)
    plan.note_published(["ancient"])
    assert (plan.gone(), plan.gone()) == (["ancient"], [])
    plan.apply(0, list(commit(1, {})), 0.0)
    assert len(names(plan.due(0.0))) == 3
    definitions.now = DefinitionSet(DEFINITIONS.definitions[:2])
    assert sorted(names(plan.due(99.0))) == sorted(each.analysis.name for each in definitions.now.definitions)
    assert plan.gone() == [DEFINITIONS.definitions[2].analysis.name]


@pytest.mark.parametrize("text", ["2026-01-01", "2026-02-01..2026-01-01", "2026-1-1..x", "1969-12-31..2026-01-01"])
def test_impossible_range_says_how_to_write_it(text: str) -> None:
    """Dates, in order, within what calendars hold."""
    with pytest.raises(UsageError, match="--range"):
        range_of(text)


@pytest.fixture
def world(kafka: EmbeddedBroker, prefix: str) -> Iterator[tuple[Settings, KafkaProducer]]:
    """Topics of our own and a producer."""
    settings = Settings(bootstrap_servers=kafka.bootstrap_servers, prefix=prefix, partitions=2)
    create_topics(kafka.bootstrap_servers, prefix, 0, 2, 1)
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap_servers, linger_ms=5)
    yield settings, producer
    producer.close()


def send(producer: KafkaProducer, topic: str, records: Records, partition: int = 0) -> None:
    """Appends the records and waits for them."""
    for key, value in records:
        producer.send(topic, key=key, value=value, partition=partition)
    producer.flush()


def apply_definitions(producer: KafkaProducer, settings: Settings) -> DefinitionSet:
    """Publishes the definitions of these tests; returns the set in force."""
    analyses = [definition.analysis for definition in DEFINITIONS.definitions]
    file = DefinitionFile(version=1, zone="UTC", week_start="monday", analyses=analyses)
    records, _ = publications(file, DefinitionSet(()), 0)
    made = [(name.encode(), value) for name, value in records.items() if value is not None]
    send(producer, topic_name("definitions", settings.prefix, 0), made)
    assert settings.bootstrap_servers is not None
    return read_definitions(settings.bootstrap_servers, settings)


@pytest.mark.broker
def test_reading_ends_at_the_ends_seen_at_the_start(world: tuple[Settings, KafkaProducer]) -> None:
    """All records that were there, per partition in order; also of one partition alone, and of an empty topic."""
    settings, producer = world
    topic = topic_name("journeys", settings.prefix, 0)
    bootstrap = settings.bootstrap_servers
    assert bootstrap is not None
    assert list(read_topic(bootstrap, topic)) == []
    for partition in (0, 1):
        send(producer, topic, [(b"%d" % n, b"v") for n in range(1_500)], partition)
    found = list(read_topic(bootstrap, topic))
    for partition in (0, 1):
        mine = [record for record in found if record.partition == partition]
        assert [record.key for record in mine] == [b"%d" % n for n in range(1_500)]
    assert {record.partition for record in read_topic(bootstrap, topic, [1])} == {1}
    with pytest.raises(UnavailableError, match="there is no topic"):
        list(read_topic(bootstrap, "nothing-of-ours"))


def test_no_broker_is_told_with_its_address() -> None:
    """Nothing listens on port 1: the message names the address and what else to try."""
    with pytest.raises(UnavailableError, match=r"no Kafka answers at 127\.0\.0\.1:1 .*--bootstrap-servers"):
        list(read_topic("127.0.0.1:1", "any"))


@pytest.mark.broker
def test_removed_definition_is_not_in_force(world: tuple[Settings, KafkaProducer]) -> None:
    """The newest record of a name counts; a deletion ends it."""
    settings, producer = world
    assert len(apply_definitions(producer, settings).definitions) == 3
    producer.send(topic_name("definitions", settings.prefix, 0), key=b"way", value=None, partition=0)
    producer.flush()
    assert settings.bootstrap_servers is not None
    kept = read_definitions(settings.bootstrap_servers, settings)
    assert [definition.analysis.name for definition in kept.definitions] == ["content", "months"]


@pytest.mark.broker
def test_agent_follows_partials(world: tuple[Settings, KafkaProducer]) -> None:
    """What was there before its start and what comes later both stand in the snapshots that it publishes."""
    settings, producer = world
    topic = topic_name("partials", settings.prefix, 0)
    half = {place: count for n, (place, count) in enumerate(CELLS.items()) if n % 2}
    rest = {place: count for place, count in CELLS.items() if place not in half}
    send(producer, topic, [(b"!fence", b""), *commit(7, half)], 0)
    published: list[Snapshot] = []

    async def publish(records: list[Row]) -> bool:
        published.extend(decode_snapshot(value or b"") for _, value in records)
        return True

    async def retire(retirements: Sequence[Retirement]) -> None:
        assert not retirements

    async def run() -> None:
        plan = schedule(3, interval_s=0.1)
        assert settings.bootstrap_servers is not None
        agent = asyncio.create_task(follow_partials(settings.bootstrap_servers, topic, 2, plan, publish, retire))
        async with asyncio.timeout(30):
            while len(published) < 3:
                await asyncio.sleep(0.02)
            send(producer, topic, commit(8, rest), 1)
            while not all(each.applied == {"0": 7, "1": 8} for each in published[-3:]):
                await asyncio.sleep(0.02)
        agent.cancel()
        with pytest.raises(asyncio.CancelledError):
            await agent

    asyncio.run(run())
    assert published[0].applied == {"0": 7}
    newest = {each.analysis: each.body for each in published}
    assert newest == {name: each.body for name, each in snapshots().items()}


def milepost(settings: Settings, *arguments: str) -> str:
    """What `milepost snapshot` prints."""
    options = ["--bootstrap-servers", settings.bootstrap_servers or "", "--prefix", settings.prefix]
    result = CliRunner().invoke(cli, ["snapshot", *arguments, *options], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


@pytest.mark.broker
def test_snapshot_command_shows_the_newest(world: tuple[Settings, KafkaProducer]) -> None:
    """The highest tag counts, not the last record; as picture, JSON and CSV."""
    settings, producer = world
    topic = topic_name("snapshots", settings.prefix, 0)
    with pytest.raises(UnavailableError, match="no analysis is defined"):
        milepost(settings)
    apply_definitions(producer, settings)
    with pytest.raises(UnavailableError, match="no snapshot is published yet"):
        milepost(settings)
    records = [(name.encode(), encode_snapshot(each)) for name, each in snapshots(counter=2).items()]
    old = [(name.encode(), encode_snapshot(each)) for name, each in snapshots(factor=9).items()]
    send(producer, topic, [(b"!claim", b""), *records, *old])
    picture = milepost(settings)
    assert all(part in picture for part in ("Lead form", "1,600", "2026-02", "What leads to MQL"))
    assert json.loads(milepost(settings, "way", "--format", "json"))["body"]["nodes"]["form"][0] == 1600
    assert [each["kind"] for each in json.loads(milepost(settings, "--format", "json"))] == ["flow", "cohort", "canvas"]
    (first, *_) = csv.DictReader(io.StringIO(milepost(settings, "months", "--format", "csv")))
    assert (first["period"], first["count"]) == ("2026-02", "240")
    with pytest.raises(UsageError, match="one table: name one of content, months, way"):
        milepost(settings, "--format", "csv")
    with pytest.raises(UsageError, match="there is no analysis 'ways'; there are content, months, way"):
        milepost(settings, "ways")
    with pytest.raises(UsageError, match="--watch"):
        milepost(settings, "way", "--watch", "--format", "json")


@pytest.mark.broker
def test_range_is_summed_from_partials(world: tuple[Settings, KafkaProducer]) -> None:
    """The days of the zone, both included, over all partitions; what an analysis can not give is refused."""
    settings, producer = world
    definitions = apply_definitions(producer, settings)
    version = {definition.analysis.name: definition.version for definition in definitions.definitions}
    with pytest.raises(UnavailableError, match="no result yet"):
        milepost(settings, "content", "--range", "2024-10-04..2024-10-04")
    cells = {(version[name], cell): count for (name, cell), count in CELLS.items()}
    topic = topic_name("partials", settings.prefix, 0)
    send(producer, topic, commit(7, cells, definitions), 0)
    send(producer, topic, commit(8, cells, definitions), 1)
    found = json.loads(milepost(settings, "content", "--range", "2024-10-04..2024-10-04", "--format", "json"))
    assert (found["body"]["total"], found["range"], found["tag"]) == (100, ["2024-10-04", "2024-10-04"], None)
    whole = json.loads(milepost(settings, "content", "--range", "2024-10-04..2024-10-05", "--format", "json"))
    assert whole["body"]["total"] == 190
    assert "2024-10-04 to 2024-10-05" in milepost(settings, "way", "--range", "2024-10-04..2024-10-05")
    moving = json.loads(milepost(settings, "content", "--range", "last 532 days", "--format", "json"))
    assert (moving["body"]["total"], moving["range"]) == (90, ["2024-10-05", "2026-03-20"])
    assert "2026-03-01 to 2026-03-31" in milepost(settings, "months", "--range", "last 1 month")
    with pytest.raises(UsageError, match="write it as 'last 6 months'"):
        milepost(settings, "months", "--range", "last 30 days")
    with pytest.raises(UsageError, match=r"but 2026-02-01\.\.2026-02-28"):
        milepost(settings, "months", "--range", "2026-02-02..2026-02-28")


@pytest.mark.broker
def test_the_published_days_of_a_moving_range(world: tuple[Settings, KafkaProducer]) -> None:
    """As the newest snapshot has them; one without a range, or none, has no such days."""
    settings, producer = world
    bootstrap, topic = settings.bootstrap_servers or "", topic_name("snapshots", settings.prefix, 0)
    made = snapshots()
    send(producer, topic, [(b"way", encode_snapshot(replace(made["way"], range=("2026-01-01", "2026-01-30"))))])
    send(producer, topic, [(b"months", encode_snapshot(made["months"]))])
    assert Published(bootstrap, settings, "way").range() == "2026-01-01..2026-01-30"
    for name in ("months", "content"):
        with pytest.raises(UnavailableError, match=f"no snapshot of {name}"):
            Published(bootstrap, settings, name).range()


@pytest.mark.broker
def test_paths_through_an_item_are_summed_from_partials(world: tuple[Settings, KafkaProducer]) -> None:
    """Of all days or of a range, as picture, JSON and CSV; what can not be given is refused."""
    settings, producer = world
    definitions = apply_definitions(producer, settings)
    version = {definition.analysis.name: definition.version for definition in definitions.definitions}
    cells = {(version[name], cell): count for (name, cell), count in CELLS.items()}
    topic = topic_name("partials", settings.prefix, 0)
    for partition in (0, 1):
        send(producer, topic, commit(7 + partition, cells, definitions), partition)
    found = json.loads(milepost(settings, "content", "--through", "-1=Blog", "--format", "json"))
    assert found["body"]["through"] == {"items": [[-1, "Blog"]], "all": 190, "share": 84.21}
    day = ("--range", "2024-10-05..2024-10-05", "--through", "-1=Blog")
    found = json.loads(milepost(settings, "content", *day, "--format", "json"))
    assert (found["body"]["total"], found["body"]["through"]["all"], found["range"]) == (60, 90, ["2024-10-05"] * 2)
    both = ("--through", "-1=Blog", "--through", "-2=Webinar")
    assert "100 of 190 paths of accounts, 52.6%, through Blog (1 before) and Webinar" in milepost(
        settings, "content", *both
    )
    rows = list(csv.DictReader(io.StringIO(milepost(settings, "content", *both, "--format", "csv"))))
    assert [(row["what"], row["step"], row["item"], row["count"]) for row in rows[-3:]] == [
        ("through", "-1", "Blog", "100"), ("through", "-2", "Webinar", "100"), ("all", "", "", "190"),
    ]  # fmt: skip
    for arguments, said in (
        (["--through", "1=Blog"], "name it"),
        (["months", "--through", "1=Blog"], "months is a cohort"),
        (["content", "--through", "1=Blog"], "has no column 1; its columns go from -2 to 0"),
    ):
        with pytest.raises(UsageError, match=said):
            milepost(settings, *arguments)


@pytest.mark.broker
def test_watching_goes_on_with_what_comes(world: tuple[Settings, KafkaProducer]) -> None:
    """A follower sees what is published later, and what was deleted no more."""
    settings, producer = world
    topic = topic_name("snapshots", settings.prefix, 0)
    assert settings.bootstrap_servers is not None
    following = published_snapshots(settings.bootstrap_servers, settings)
    assert next(following) == {}
    (made,) = [each for name, each in snapshots().items() if name == "way"]
    for counter in (1, 2):
        each = msgspec.structs.replace(made, tag=SnapshotTag(1, counter))
        send(producer, topic, [(b"way", encode_snapshot(each))])
        assert next(found for found in following if found and found["way"].tag == each.tag)
    producer.send(topic, key=b"way", value=None, partition=0)
    producer.flush()
    assert next(found for found in following if not found) == {}
    following.close()  # type: ignore[attr-defined]
