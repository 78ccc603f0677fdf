"""`milepost milestones`: what is in force and was told, and what a file would have told; and how they are published."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from kafka import KafkaProducer
from msgspec.structs import replace

from agents.alerts import read_standing
from agents.commands.definitions import command as definitions
from agents.commands.milestones import command as milestones
from agents.defining import load_definitions
from agents.milestone_trial import run_trial
from agents.reading import read_definitions
from agents.settings import Settings
from check.milestones import Key
from state.milestone_set import MilestoneDefinition
from streams.admin import create_topics
from streams.alert import Alert, Involved, encode_alert
from streams.broker import EmbeddedBroker
from streams.partitioning import partition_of
from streams.topics import topic_name
from streams.touchpoint import Touchpoint, encode_touchpoint
from tests.state.worlds import START, touchpoint

FILE = """
version: 1
analyses:
  - {name: far, kind: canvas, container: account, nodes: [{id: a, match: {field: type, value: A}}]}
milestones:
  - {name: first-a, title: "The first [A]", container: account, when: {match: {field: type, value: A}}}
  - name: quiet
    container: person
    each: true
    when: {after: {field: type, value: A}, without: {field: type, value: B}, within: 1h}
"""
HOUR = 3_600_000


@pytest.fixture
def settings(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> Settings:
    """Settings of the test's own topics."""
    made = Settings(folder=tmp_path, prefix=prefix, bootstrap_servers=kafka.bootstrap_servers)
    create_topics(kafka.bootstrap_servers, prefix, made.generation, made.partitions, made.replication)
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with two milestones."""
    path = tmp_path / "milestones.yaml"
    path.write_text(FILE, encoding="utf-8")
    return path


def run(command: Any, settings: Settings, *arguments: str) -> Result:
    """What a command does."""
    return CliRunner().invoke(command, arguments, env=settings.as_environment())


def produce(settings: Settings, name: str, records: list[tuple[bytes, bytes, int]]) -> None:
    """Puts (key, value, partition) on a topic."""
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers)
    for key, value, partition in records:
        producer.send(topic_name(name, settings.prefix, settings.generation), value, key=key, partition=partition)
    producer.flush()
    producer.close()


def arrive(settings: Settings, *touchpoints: Touchpoint) -> None:
    """Puts touchpoints where ingest would."""
    accounts = [each.account.encode() for each in touchpoints]
    places = [partition_of(account, settings.partitions) for account in accounts]
    values = map(encode_touchpoint, touchpoints)
    produce(settings, "touchpoints", list(zip(accounts, values, places, strict=True)))


def test_what_a_file_would_have_told(settings: Settings, file: Path) -> None:
    """Over all partitions that there are, corrections netted, time by Kafka's clock; nothing is published for it."""
    arrive(
        settings,
        touchpoint("1", START, "A", person="p", account="acme"),
        touchpoint("2", START + HOUR, "B", person="p", account="acme"),
        touchpoint("3", START, "A", person="q", account="brit"),
        touchpoint("4", START + HOUR, "A", account="acme"),
        touchpoint("1", START, "A", person="p", account="acme", withdrawn=True, revision=1),
    )
    said = run(milestones, settings, "test", str(file), "--format", "json", "--partitions", "1")
    assert said.exit_code == 0, said.output
    report = json.loads(said.stdout)
    assert report["touchpoint_count"] == 5
    assert report["counts"]["first-a"]["asserted"] == 2
    found = [(each["milestone"], each["who"]["account"], each["happened_ms"]) for each in report["newest"]]
    assert sorted(found) == [
        ("first-a", "acme", START + HOUR), ("first-a", "brit", START), ("quiet", "brit", START + HOUR),
    ]  # fmt: skip
    table = run(milestones, settings, "test", str(file), "--name", "quiet", "--show", "1")
    assert "brit, person q" in table.stdout
    assert "first-a" not in table.stdout
    later = run(milestones, settings, "test", str(file), "--alert-since", "2100-01-01", "--format", "json")
    assert json.loads(later.stdout)["newest"] == []


def test_a_trial_tells_what_time_has_brought_about_since(settings: Settings, file: Path) -> None:
    """As an idle worker does: nothing has to come for it."""
    now = int(time.time() * 1000)
    arrive(settings, touchpoint("1", now, "A", person="p"))
    quiet = [MilestoneDefinition("v", 0, each) for each in load_definitions(file).milestones[1:]]
    counts = [
        run_trial(quiet, settings.bootstrap_servers or "", settings, moment, 5).counts["quiet"]["asserted"]
        for moment in (now, now + HOUR - 1, now + HOUR)
    ]
    assert counts == [0, 0, 1]


def test_a_file_without_that_milestone_says_which_there_are(settings: Settings, file: Path) -> None:
    """And one without any that it has none."""
    missing = run(milestones, settings, "test", str(file), "--name", "other")
    assert "no milestone 'other'; there are: first-a, quiet" in str(missing.exception)
    file.write_text(FILE[: FILE.index("milestones:")], encoding="utf-8")
    assert "has no milestones" in str(run(milestones, settings, "test", str(file)).exception)


def test_milestones_are_published_and_listed(settings: Settings, file: Path) -> None:
    """With what stands of each; a version is told from the moment of its publication, or from the one that is said."""
    assert "no milestone is defined" in run(milestones, settings, "list").output
    begun = int(time.time() * 1000)
    done = run(definitions, settings, "apply", str(file))
    assert "published: far, milestone first-a, milestone quiet" in done.output
    assert "in force: 1 analyses, 2 milestones" in done.output
    in_force = read_definitions(settings.bootstrap_servers or "", settings).milestones
    assert all(begun <= each.since_ms <= begun + 60_000 for each in in_force)
    again = run(definitions, settings, "apply", str(file))
    assert "unchanged: far, milestone first-a, milestone quiet" in again.output
    assert "--alert-since" not in again.output
    earlier = run(definitions, settings, "apply", str(file), "--alert-since", "2026-01-31")
    assert "new or changed, and first-a, quiet went on as before" in earlier.output
    file.write_text(FILE.replace("within: 1h", "within: 2h").replace("  - {name: first-a", "  # {"), encoding="utf-8")
    changed = run(definitions, settings, "apply", str(file), "--alert-since", "2026-01-31T01:00:00+01:00")
    assert tuple(changed.output.splitlines()[:2]) == ("published: milestone quiet", "removed: milestone first-a")
    assert "--alert-since" not in changed.output
    (quiet,) = read_definitions(settings.bootstrap_servers or "", settings).milestones
    assert quiet.since_ms == 1_769_817_600_000
    alerts = [alert(1, "asserted"), alert(2, "asserted"), alert(2, "revoked", revision=2)]
    produce(settings, "milestones", [(each.id.encode(), encode_alert(each), 0) for each in alerts])
    listed = run(milestones, settings, "list").output
    row = [cell.strip() for line in listed.splitlines() if "quiet" in line for cell in line.split("│")[1:-1]]
    assert row[:7] == ["quiet", "", "person", "each time", "1", "1", "2026-01-31 00:00:00"]
    told = run(milestones, settings, "alerts", "quiet", "--show", "1").output
    assert told.startswith("quiet: 2 alerts\n")
    (row,) = [[cell.strip() for cell in line.split("│")[1:-1]] for line in told.splitlines() if "acme" in line]
    assert row == ["2", "1970-01-01 00:00:00", "1970-01-01 00:00:00", "acme, person p2", "", "revoked (2)", ""]
    every = json.loads(run(milestones, settings, "alerts", "quiet", "--format", "json").output)
    assert [(each["id"], each["state"]) for each in every] == [("1", "asserted"), ("2", "revoked")]
    assert "no milestone 'other' is in force, or was" in str(run(milestones, settings, "alerts", "other").exception)
    shown = json.loads(run(definitions, settings, "show", "quiet").output)
    assert (shown["version"], shown["definition"]["when"]["within"]) == (quiet.version, "2h")
    assert "there are: far, quiet" in str(run(definitions, settings, "show", "other").exception)
    assert "and 1 milestones" in run(definitions, settings, "list").output


def test_kinds_of_containers_are_told_apart(settings: Settings) -> None:
    """A milestone that was of people and is of opportunities now may be told of both under one id."""
    person, opportunity = (
        replace(each, id=each.who.kind, who=replace(each.who, id="17"))
        for each in (alert(1, "asserted", revision=2), alert(2, "asserted", kind="opportunity"))
    )
    same = [replace(each, episode=None) for each in (person, opportunity)]
    produce(settings, "milestones", [(each.id.encode(), encode_alert(each), 0) for each in same])
    whose = Key(0, "acme", "17", None)
    assert read_standing(settings.bootstrap_servers or "", settings) == {
        ("quiet", "person", whose): same[0],
        ("quiet", "opportunity", whose): same[1],
    }


def alert(number: int, state: Any, revision: int = 1, kind: str = "person") -> Alert:
    """What was told of a person, or another container."""
    who = Involved("acme", kind, f"p{number}", None, [])
    return Alert(1, f"{number}", revision, state, "quiet", "v", "q", None, who, f"s/{number}", 5, 6, [], [], {})


def test_a_wrong_moment_is_told(settings: Settings, file: Path) -> None:
    """With what would be right."""
    assert "write 2026-01-31" in run(definitions, settings, "apply", str(file), "--alert-since", "soon").output
