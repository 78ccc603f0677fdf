"""`milepost check` on a real broker: live numbers that are right, and each way in which they may be wrong."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from kafka import KafkaProducer

from agents.checking import run_check
from agents.commands.check import command
from agents.defining import apply_definitions
from agents.plausibility import implausible
from agents.reading import read_definitions
from agents.settings import Settings
from state.definition_set import DefinitionSet
from state.definitions import DefinitionFile
from state.render import render
from state.render.snapshot import snapshot_of
from streams.admin import create_topics
from streams.broker import EmbeddedBroker
from streams.errors import MilepostError, UnavailableError
from streams.partials import COVERS_KEY, Covers, Tag, encode_cell, encode_covers, encode_partial
from streams.snapshot import SnapshotTag, encode_snapshot
from streams.topics import topic_name
from streams.touchpoint import Touchpoint, encode_touchpoint
from tests.check.batches import cells_of_oracle
from tests.state.worlds import DAY, START, touchpoint

pytestmark = pytest.mark.broker

IS_A, IS_B = ({"field": "type", "op": "=", "value": value} for value in "AB")
ANALYSES = [
    {
        "name": "steps", "kind": "canvas", "container": "account",
        "nodes": [{"id": "a", "match": IS_A}, {"id": "b", "match": IS_B}], "arrows": [{"from": "a", "to": "b"}],
    },
    {
        "name": "back", "kind": "cohort", "container": "account", "granularity": "day",
        "inclusion": {"match": IS_A}, "return": {"match": IS_B},
    },
    {"name": "ways", "kind": "flow", "container": "person", "dimension": "type", "last": "30 days"},
]  # fmt: skip
ACME = [touchpoint(str(n), START + n * DAY, each, person="p") for n, each in enumerate("ABAB")]
BRIT = [touchpoint(str(n), START + n * DAY, each, account="brit", person="q") for n, each in enumerate("ACB")]
WORLD = {0: ACME, 1: BRIT}
LATELY = ("2023-11-05", "2023-12-04")


class Live:
    """Publishes by hand what workers would."""

    def __init__(self, bootstrap: str, settings: Settings) -> None:
        self.settings = settings
        self._bootstrap = bootstrap
        self._producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")

    @cached_property
    def definitions(self) -> DefinitionSet:
        """The definitions in force."""
        return read_definitions(self._bootstrap, self.settings)

    def close(self) -> None:
        """Nothing more is published."""
        self._producer.close()

    def send(self, topic: str, partition: int, key: bytes, value: bytes) -> None:
        """One record."""
        name = topic_name(topic, self.settings.prefix, self.settings.generation)
        self._producer.send(name, partition=partition, key=key, value=value).get(timeout=30)

    def send_touchpoints(self, world: Mapping[int, list[Touchpoint]]) -> None:
        """Touchpoints by partition."""
        for partition, arrived in world.items():
            for each in arrived:
                self.send("touchpoints", partition, each.account.encode(), encode_touchpoint(each))

    def send_cells(self, world: Mapping[int, list[Touchpoint]], tag: int = 1, **covered: Any) -> None:
        """The true cells of these touchpoints, and what covers them."""
        for partition, arrived in world.items():
            for definition in self.definitions.definitions:
                for cell, count in cells_of_oracle(arrived, definition).items():
                    self.send_cell(partition, encode_cell(definition.version, cell), count, tag)
            self.send("partials", partition, COVERS_KEY, encode_covers(self.covers(len(arrived), tag, **covered)))

    def send_cell(self, partition: int, key: bytes, count: int, tag: int) -> None:
        """One cell, covered by nothing yet."""
        self.send("partials", partition, key, encode_partial(Tag(0, tag), count))

    def covers(self, count: int, tag: int = 1, incomplete: Sequence[str] = ()) -> Covers:
        """Covers of so many touchpoints."""
        touchpoints = topic_name("touchpoints", self.settings.prefix, self.settings.generation)
        complete = [each.version for each in self.definitions.definitions if each.analysis.name not in incomplete]
        covered = {touchpoints: count - 1}
        return Covers(Tag(0, tag), covered, START + 20 * DAY, START, self.definitions.hash, complete=complete)

    def send_snapshots(
        self,
        world: Mapping[int, list[Touchpoint]],
        shown: Mapping[int, list[Touchpoint]],
        lately: tuple[str, str] = LATELY,
    ) -> None:
        """Snapshots that say they contain `world` and show the numbers of `shown`; of a moving range these dates."""
        touchpoints = topic_name("touchpoints", self.settings.prefix, self.settings.generation)
        everything = [each for arrived in shown.values() for each in arrived]
        for definition in self.definitions.definitions:
            covers = {partition: self.covers(len(arrived)) for partition, arrived in world.items()}
            cells, tag = cells_of_oracle(everything, definition), SnapshotTag(0, 1)
            empty = snapshot_of(definition, {}, covers, touchpoints=touchpoints, lateness_ms=0, tag=tag,
                                range_dates=None if definition.analysis.last is None else lately)  # fmt: skip
            made = msgspec.structs.replace(empty, body=render(definition, cells, None, empty.clock_ms))
            self.send("snapshots", 0, definition.analysis.name.encode(), encode_snapshot(made))


@pytest.fixture
def live(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> Iterator[Live]:
    """Topics of two partitions with three definitions, and the touchpoints of two accounts."""
    bootstrap = kafka.bootstrap_servers
    settings = Settings(folder=tmp_path, prefix=prefix, bootstrap_servers=bootstrap, partitions=2)
    create_topics(bootstrap, prefix, settings.generation, settings.partitions, settings.replication)
    file = DefinitionFile.model_validate({"version": 1, "analyses": ANALYSES})
    apply_definitions(file, bootstrap, settings, START)
    made = Live(bootstrap, settings)
    made.send_touchpoints(WORLD)
    yield made
    made.close()


def check(live: Live) -> list[tuple[str, str, int | None]]:
    """What differs: analysis, what, partition."""
    assert live.settings.bootstrap_servers is not None
    report = run_check(live.settings.bootstrap_servers, live.settings)
    assert report.cell_count > 10
    return [(each.analysis, found.what, found.partition) for each in report.analyses for found in each.differences]


def test_right_numbers_have_no_difference(live: Live) -> None:
    """Also while workers go on: touchpoints and cells behind the covers are not looked at."""
    live.send_cells(WORLD)
    live.send_snapshots(WORLD, WORLD)
    live.send_touchpoints({0: [touchpoint("9", START, "A", person="new")]})
    live.send_cell(1, encode_cell(live.definitions.definitions[0].version, ("i", 1)), 7, 2)
    assert check(live) == []


def test_a_wrong_cell_is_named_with_its_partition(live: Live) -> None:
    """Even where the sums over partitions agree."""
    live.send_cells(WORLD)
    version = next(each.version for each in live.definitions.definitions if each.analysis.name == "steps")
    day = START // DAY
    live.send_cell(0, encode_cell(version, ("t", day)), 2, 2)
    live.send_cell(1, encode_cell(version, ("t", day)), 0, 2)
    for partition, arrived in WORLD.items():
        live.send("partials", partition, COVERS_KEY, encode_covers(live.covers(len(arrived), 2)))
    assert check(live) == [("steps", "containers in all, started 2023-11-14", partition) for partition in (0, 1)]


def test_cells_that_miss_a_touchpoint_are_found(live: Live) -> None:
    """Covers that say more than the cells contain."""
    less = {0: ACME[:3], 1: BRIT}
    live.send_cells(less)
    live.send("partials", 0, COVERS_KEY, encode_covers(live.covers(len(ACME), 2)))
    assert {name for name, _, partition in check(live) if partition == 0} == {"back", "ways"}


def test_a_snapshot_is_compared_at_its_own_offsets(live: Live) -> None:
    """An older one is right when it is right for what it contains."""
    older = {0: ACME[:2], 1: BRIT[:1]}
    live.send_cells(WORLD)
    live.send_snapshots(older, older)
    assert check(live) == []


def test_wrong_days_of_a_moving_range_are_found(live: Live) -> None:
    """The numbers are right, and said of other days."""
    live.send_cells(WORLD)
    live.send_snapshots(WORLD, WORLD, ("2023-11-04", "2023-12-04"))
    assert check(live) == [("ways", "snapshot.range[0]", None)]


def test_a_wrong_snapshot_is_found(live: Live) -> None:
    """The cells are right, and what users read is not."""
    live.send_cells(WORLD)
    live.send_snapshots(WORLD, {0: ACME[:3], 1: BRIT})
    found = check(live)
    assert {name for name, _, _ in found} == {"back", "ways"}
    assert all(what.startswith("snapshot.") and partition is None for _, what, partition in found)


def test_what_does_not_count_the_past_yet_is_told_and_not_compared(live: Live) -> None:
    """Its numbers are no wrong ones, they are not there yet."""
    live.send_cells(WORLD, incomplete=["back"])
    live.send_cell(0, encode_cell(live.definitions.definitions[0].version, ("i", 1)), 7, 2)
    live.send("partials", 0, COVERS_KEY, encode_covers(live.covers(len(ACME), 2, ["back"])))
    assert check(live) == []
    assert "being counted" in run(live, as_json=False).stdout


def test_names_that_nothing_has_are_warned_of(live: Live) -> None:
    """Types, attributes and anchors, with what they may have been meant to be; nothing is said of what has come."""
    said = {"field": "person", "op": "in", "value": ["p", "pp", "q"]}
    unknown = {"any": [IS_A, said, {"not": {"field": "attributes.tier", "op": ">", "value": 3}}]}
    file = DefinitionFile.model_validate(
        {
            "version": 1,
            "analyses": [
                *ANALYSES,
                {**ANALYSES[0], "name": "new", "nodes": [{"id": "a", "match": unknown}], "arrows": []},
                {
                    "name": "flow",
                    "kind": "flow",
                    "container": "person",
                    "dimension": "type",
                    "starts_with": "AA",
                    "stages": ["A", "Won"],
                },
            ],
        }
    )
    assert live.settings.bootstrap_servers is not None
    assert implausible(file.analyses, live.settings.bootstrap_servers, live.settings) == [
        "new: nothing has person 'pp' (there is 'p') among the newest 7 touchpoints",
        "new: nothing has 'attributes.tier' among the newest 7 touchpoints",
        "flow: nothing has type 'AA' (there is 'A') among the newest 7 touchpoints",
        "flow: nothing has type 'Won' among the newest 7 touchpoints",
    ]


def test_fields_that_nothing_has_are_warned_of_where_no_condition_names_them(live: Live) -> None:
    """A milestone that asks how long a field keeps its value, and what members of an audience bring along."""
    stuck = {"field": "attributes.stage", "for": "1d"}
    open_ = {"field": "type", "for": "1d", "only": ["A", "Won"]}
    file = DefinitionFile.model_validate(
        {
            "version": 1,
            "analyses": ANALYSES,
            "milestones": [
                {"name": name, "container": "account", "when": when}
                for name, when in (("stuck", stuck), ("open", open_))
            ],
            "audiences": [
                {
                    "name": "long",
                    "container": "account",
                    "when": {"milestone": "stuck"},
                    "attributes": {"mail": "attributes.mail", "who": "person"},
                }
            ],
        }
    )
    told = implausible([*file.milestones, *file.audiences], live.settings.bootstrap_servers or "", live.settings)
    assert [each.removesuffix(" among the newest 7 touchpoints") for each in told] == [
        "stuck: nothing has 'attributes.stage'",
        "open: nothing has type 'Won'",
        "long: nothing has 'attributes.stage'",
        "long: nothing has 'attributes.mail'",
    ]


def test_nothing_computed_yet_is_said(live: Live) -> None:
    """With what to do."""
    with pytest.raises(UnavailableError, match="milepost worker"):
        check(live)


@pytest.mark.parametrize("as_json", [False, True])
def test_command_fails_when_a_number_differs(live: Live, as_json: bool) -> None:
    """It prints a verdict for each analysis, and ends with an error."""
    live.send_cells(WORLD)
    right = run(live, as_json)
    assert right.exception is None
    live.send_cell(0, encode_cell(live.definitions.definitions[0].version, ("i", 1)), 7, 2)
    live.send("partials", 0, COVERS_KEY, encode_covers(live.covers(len(ACME), 2)))
    wrong = run(live, as_json)
    assert isinstance(wrong.exception, MilepostError)
    if as_json:
        report = msgspec.json.decode(wrong.stdout)
        assert [each["analysis"] for each in report["analyses"] if each["differences"]] == ["back"]
    else:
        assert "DIFFERENT" in wrong.stdout
        assert "DIFFERENT" not in right.stdout


def run(live: Live, as_json: bool) -> Any:
    """The command's result."""
    options = ["--bootstrap-servers", str(live.settings.bootstrap_servers), "--prefix", live.settings.prefix]
    return CliRunner().invoke(command, [*options, *(["--json"] if as_json else [])])
