"""`milepost audiences`: what is in force, who is in, and who would be in a file's."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agents.audience_topics import read_all_members
from agents.commands.audiences import command as audiences
from agents.commands.definitions import command as definitions
from agents.settings import Settings
from check.audiences import Who
from streams.admin import create_topics
from streams.broker import EmbeddedBroker
from streams.membership import MembershipChange, encode_change, membership_key
from tests.agents.test_milestones_command import arrive, produce, run
from tests.state.worlds import touchpoint

FILE = """
version: 1
analyses:
  - {name: far, kind: canvas, container: account, nodes: [{id: a, match: {field: type, value: A}}]}
audiences:
  - {name: warm, title: "Warm [A]", container: account, from: {canvas: far, node: a}, attributes: {tier:
  attributes.tier}}
  - name: of-late
    container: person
    when: {has: {match: {field: type, value: A}, within: 2d}}
"""
DAY = 86_400_000


@pytest.fixture
def settings(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> Settings:
    """Settings of the test's own topics."""
    made = Settings(folder=tmp_path, prefix=prefix, bootstrap_servers=kafka.bootstrap_servers)
    create_topics(kafka.bootstrap_servers, prefix, made.generation, made.partitions, made.replication)
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with two audiences."""
    path = tmp_path / "audiences.yaml"
    path.write_text(FILE, encoding="utf-8")
    return path


def test_a_preview_says_who_would_be_in_and_who_came_and_went(settings: Settings, file: Path) -> None:
    """Over all partitions that there are, as of now, corrections netted; days by the time at which it happened."""
    now = int(time.time() * 1000)
    arrive(
        settings,
        touchpoint("1", now - 3 * DAY, "A", person="p", account="acme", attributes={"tier": "gold"}),
        touchpoint("2", now - DAY, "A", person="q", account="brit"),
        touchpoint("3", now - DAY, "A", account="cove"),
        touchpoint("3", now - DAY, "A", account="cove", withdrawn=True, revision=1),
    )
    found = run(audiences, settings, "preview", str(file), "--format", "json", "--partitions", "1")
    assert found.exit_code == 0, found.output
    report = json.loads(found.stdout)
    assert report["touchpoint_count"] == 4
    warm, late = report["audiences"]["warm"], report["audiences"]["of-late"]
    assert (warm["size"], late["size"]) == (2, 1)
    who = [(each["account"], each["kind"], each["container"], each["attributes"]) for each in warm["samples"]]
    assert sorted(who, key=str) == [
        ("acme", "account", None, {"tier": "gold"}), ("brit", "account", None, {}),
    ]  # fmt: skip
    assert (len(warm["entered"]), sum(warm["entered"].values()), sum(warm["exited"].values())) == (7, 2, 0)
    assert (sum(late["entered"].values()), sum(late["exited"].values())) == (2, 1)
    table = run(audiences, settings, "preview", str(file), "--name", "of-late", "--show", "1", "--days", "1")
    assert "of-late: 1 members would be in" in table.stdout
    assert "person q" in table.stdout
    assert "warm" not in table.stdout
    assert "person" not in run(audiences, settings, "preview", str(file), "--name", "of-late", "--show", "0").stdout


def test_a_file_without_that_audience_says_which_there_are(settings: Settings, file: Path) -> None:
    """And one without any that it has none."""
    missing = run(audiences, settings, "preview", str(file), "--name", "other")
    assert "no audience 'other'; there are: warm, of-late" in str(missing.exception)
    file.write_text(FILE[: FILE.index("audiences:")], encoding="utf-8")
    assert "has no audiences" in str(run(audiences, settings, "preview", str(file)).exception)


def change(account: str, revision: int, **options: Any) -> MembershipChange:
    """What was told of an account in the audience `warm`."""
    said: dict[str, Any] = {
        "format": 1, "id": f"{account}{revision}", "revision": revision, "audience": "warm", "version": "v",
        "change": "entered" if revision % 2 else "exited", "kind": "account", "account": account, "container": None,
        "reason": "r", "attributes": {"tier": "gold"}, "happened_ms": 5, "known_ms": 6,
    }  # fmt: skip
    return MembershipChange(**{**said, **options})


def test_audiences_are_published_and_listed_with_their_members(settings: Settings, file: Path) -> None:
    """What a crash made be told twice counts once."""
    assert "no audience is defined" in run(audiences, settings, "list").output
    assert "2 audiences, no mistakes" in run(definitions, settings, "apply", str(file), "--dry-run").output
    done = run(definitions, settings, "apply", str(file))
    assert "published: audience of-late, audience warm, far" in done.output
    assert "in force: 1 analyses, 2 audiences" in done.output
    told = [change("a", 1), change("a", 2), change("a", 2), change("b", 1, kind="person", container="p")]
    produce(settings, "audience-changes", [(membership_key(each), encode_change(each), 0) for each in told])
    members: list[Any] = [
        *((membership_key(each), encode_change(each), 0) for each in (told[0], told[3])),
        (membership_key(told[0]), None, 0),
        (b"other\0account\0a\0", encode_change(change("a", 1, audience="other")), 0),
    ]
    produce(settings, "audience-members", members)
    listed = run(audiences, settings, "list").output
    row = [cell.strip() for line in listed.splitlines() if "warm" in line for cell in line.split("│")[1:-1]]
    assert (row[:5], row[6]) == (["warm", "account", "1", "2", "1"], "Warm [A]")
    shown = run(audiences, settings, "members", "warm")
    assert "warm: 1 members" in shown.output
    assert "person p" in shown.output
    assert "tier: gold" in shown.output
    (only,) = json.loads(run(audiences, settings, "members", "warm", "--format", "json").stdout)
    assert (only["account"], only["container"]) == ("b", "p")
    missing = run(audiences, settings, "members", "other")
    assert "no audience 'other' is in force; there are: of-late, warm" in str(missing.exception)
    assert json.loads(run(definitions, settings, "show", "warm").output)["definition"]["from"]["node"] == "a"
    assert "and 2 audiences" in run(definitions, settings, "list").output


def test_kinds_of_containers_are_told_apart(settings: Settings) -> None:
    """A person who leaves takes no opportunity of the same id along."""
    person, opportunity = (change("a", 1, kind=kind, container="17") for kind in ("person", "opportunity"))
    told: list[Any] = [*((membership_key(each), encode_change(each), 0) for each in (person, opportunity))]
    produce(settings, "audience-members", [*told, (membership_key(person), None, 0)])
    (found,) = read_all_members(settings.bootstrap_servers or "", settings)["warm"].items()
    assert (found[0], found[1].attributes) == (Who(0, "a", "17"), {"tier": "gold"})


def test_audiences_have_a_command() -> None:
    """With help for each."""
    assert "preview" in CliRunner().invoke(audiences, ["--help"]).output
