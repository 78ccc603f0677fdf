"""Audiences on a real Kafka: events in, members out; a worker that dies around telling, a definition that is switched
on and changed while events go on, a preview that is right, and people who are erased."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agents.audience_preview import run_preview
from agents.audience_topics import read_counts, read_members
from agents.checking import run_check
from agents.defining import apply_definitions
from agents.erasing import touchpoints_of
from agents.main import cli
from agents.pipeline import Workers
from agents.reading import read_topic
from agents.settings import Settings
from state.audience_set import AudienceDefinition
from state.definitions import DefinitionFile
from streams.admin import create_topics
from streams.broker import EmbeddedBroker
from streams.errors import UsageError
from streams.membership import MembershipChange, decode_change, membership_key
from streams.topics import topic_name
from tests.agents.test_milestones_end_to_end import (
    PATIENCE_S,
    _running,
    crashes,
    is_,
    now_ms,
    send,
    wait_for_touchpoints,
)

CANVAS = {
    "name": "far", "kind": "canvas", "container": "account", "arrows": [{"from": "form", "to": "won"}],
    "nodes": [{"id": "form", "match": is_("Form")}, {"id": "won", "match": is_("Won")}],
}  # fmt: skip
WARM = {
    "name": "warm", "container": "account", "attributes": {"domain": "attributes.domain"},
    "when": {"canvas": "far", "arrow": "form>won", "followed": False},
    "consent": {"field": "attributes.consent", "op": "!=", "value": "withdrawn"},
}  # fmt: skip
BRIEF = {"name": "brief", "container": "person", "when": {"has": {"match": is_("Visit"), "within": "6s"}}}
VISITORS = {"name": "visitors", "container": "account", "when": {"has": {"match": is_("Visit"), "number": 2}}}


def file_of(*audiences: dict[str, Any]) -> DefinitionFile:
    """A definition file with them."""
    return DefinitionFile.model_validate({"version": 1, "analyses": [CANVAS], "audiences": [*audiences]})


@pytest.fixture
def settings(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> Settings:
    """Settings of a pipeline of the test's own, with its topics and definitions."""
    made = Settings(folder=tmp_path, prefix=prefix, bootstrap_servers=kafka.bootstrap_servers, session_timeout_s=6)
    create_topics(kafka.bootstrap_servers, prefix, made.generation, made.partitions, made.replication)
    apply_definitions(file_of(WARM, BRIEF), kafka.bootstrap_servers, made, now_ms())
    return made


@pytest.fixture
def ingest(settings: Settings) -> Iterator[Workers]:
    """What makes touchpoints."""
    yield from _running(settings, ["ingest"])


def changes_of(settings: Settings, audience: str) -> list[MembershipChange]:
    """By key and revision; what is there more than once is the same, byte for byte, and no revision is left out."""
    values: dict[tuple[bytes, int], bytes] = {}
    for record in read_topic(settings.bootstrap_servers or "", topic_name("audience-changes", settings.prefix, 0)):
        if not record.key.startswith(b"!"):
            assert record.value is not None
            change = decode_change(record.value)
            assert record.key == membership_key(change)
            assert values.setdefault((record.key, change.revision), record.value) == record.value
            assert change.revision == 1 or (record.key, change.revision - 1) in values
    found = [decode_change(value) for _, value in sorted(values.items())]
    return [each for each in found if each.audience == audience]


def wait_until(running: Workers, holds: Any) -> None:
    """Until something holds, while workers run."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        running.require_running()
        time.sleep(0.3)


def members(settings: Settings, audience: str) -> set[tuple[str, str | None]]:
    """Who is in for a reader of the compacted topic."""
    found = read_members(settings.bootstrap_servers or "", settings, audience)
    return {(each.account, each.container) for each in found.values()}


def _is_complete(settings: Settings) -> bool:
    report = run_check(settings.bootstrap_servers or "", settings)
    return all(each.is_complete for each in report.analyses)


def require_right(settings: Settings, *audiences: str) -> None:
    """Who is in is whom the batch computation finds."""
    report = run_check(settings.bootstrap_servers or "", settings)
    assert report.difference_count == 0, report
    assert {each.analysis for each in report.analyses if each.kind == "audience" and each.is_complete} == {*audiences}


@pytest.mark.parametrize("point", ["store", "publish"])
def test_members_survive_a_crash_and_leave_by_events_by_time_and_by_consent(
    settings: Settings, ingest: Workers, point: str
) -> None:
    """The first commit with events dies around telling: its entries are told all the same, each once or the same
    again; then an event, time on an idle partition, and a withdrawn consent end memberships, and other attributes are
    told."""
    begun = now_ms()
    domain = {"domain": "acme.example"}
    send(
        settings,
        {"event_id": "1", "event_time": begun - 5_000, "type": "Form", "attributes": domain},
        {"event_id": "2", "event_time": begun + 30_000, "type": "Visit", "person": "bob"},
    )
    wait_for_touchpoints(settings, 2)
    assert crashes(settings, f"{point}:{settings.partitions + 1}")
    for running in _running(settings, ["accounts"]):
        wait_until(running, lambda: members(settings, "warm") == {("acme", None)})
        (entered,) = changes_of(settings, "warm")
        assert (entered.change, entered.happened_ms) == ("entered", begun - 5_000)
        assert (entered.attributes, entered.reason) == (domain, "did not follow form > won of far")
        assert members(settings, "brief") == {("acme", "bob")}
        send(settings, {"event_id": "3", "event_time": begun, "type": "Note", "attributes": {"consent": "withdrawn"}})
        wait_until(running, lambda: not members(settings, "warm"))
        exited = changes_of(settings, "warm")[-1]
        assert (exited.revision, exited.reason, exited.happened_ms) == (2, "consent is withdrawn", begun)
        assert exited.attributes == domain
        wait_until(running, lambda: not members(settings, "brief"))
        assert changes_of(settings, "brief")[-1].happened_ms == begun + 36_001
        send(settings, {"event_id": "4", "event_time": begun + 1, "type": "Note", "attributes": {"consent": "yes"}})
        wait_until(running, lambda: members(settings, "warm") == {("acme", None)})
        moved = {"domain": "acme.de"}
        send(settings, {"event_id": "5", "event_time": begun + 2, "type": "Note", "attributes": moved})
        wait_until(running, lambda: changes_of(settings, "warm")[-1].change == "changed")
        changed = changes_of(settings, "warm")[-1]
        assert (changed.revision, changed.attributes, changed.former_attributes) == (4, moved, [domain])
        require_right(settings, "warm", "brief")
        send(settings, {"event_id": "6", "event_time": begun + 3, "type": "Won"})
        wait_until(running, lambda: not members(settings, "warm"))
        last = changes_of(settings, "warm")[-1]
        assert (last.revision, last.reason) == (5, "not: did not follow form > won of far")
        require_right(settings, "warm", "brief")


def test_an_audience_that_is_switched_on_has_the_members_that_its_preview_had(
    settings: Settings, ingest: Workers
) -> None:
    """It counts the past while events go on; another version carries over; removed, it is empty."""
    events = [
        {"event_id": f"{account}{n}", "event_time": now_ms() - n, "type": "Visit", "account": f"a{account}"}
        for account in range(9)
        for n in range(account % 4)
    ]
    send(settings, *events)
    wait_for_touchpoints(settings, len(events))
    bootstrap = settings.bootstrap_servers or ""
    wider = file_of(WARM, BRIEF, VISITORS)
    made = [AudienceDefinition("p", "", wider.audiences[-1])]
    preview = run_preview(made, bootstrap, settings, now_ms(), sample_count=100, day_count=1).audiences["visitors"]
    expected = {(each.account, each.container) for each in preview.samples}
    assert len(expected) == preview.size == 4
    for running in _running(settings, ["accounts"]):
        wait_until(running, lambda: (settings.folder / "workers").exists())
        apply_definitions(wider, bootstrap, settings, now_ms())
        wait_until(running, lambda: members(settings, "visitors") == expected)
        wait_until(running, lambda: _is_complete(settings))
        require_right(settings, "warm", "brief", "visitors")
        counts = read_counts(bootstrap, settings)["visitors"]
        assert (counts.size, counts.entered, counts.exited) == (4, 4, 0)
        narrower = json.loads(json.dumps(VISITORS))
        narrower["when"]["has"]["number"] = 3
        apply_definitions(file_of(WARM, BRIEF, narrower), bootstrap, settings, now_ms())
        wait_until(running, lambda: members(settings, "visitors") == {("a3", None), ("a7", None)})
        exits = [each for each in changes_of(settings, "visitors") if each.change == "exited"]
        assert {each.reason for each in exits} == {"the audience is defined otherwise"}
        assert read_counts(bootstrap, settings)["visitors"].entered == 4
        apply_definitions(file_of(WARM, BRIEF), bootstrap, settings, now_ms())
        wait_until(running, lambda: not members(settings, "visitors"))
        assert changes_of(settings, "visitors")[-1].reason == "the audience was removed"


def test_who_is_erased_leaves_audiences_and_numbers(settings: Settings, ingest: Workers) -> None:
    """In every account, or in one; what is somebody else's by now stays, and doing it again finds nothing."""
    events: list[dict[str, Any]] = [
        {"event_id": f"{account}{person}{n}", "event_time": now_ms() - n, "type": "Visit", "account": account,
         "person": person}
        for account, person in (("acme", "bob"), ("beta", "bob"), ("acme", "jo"))
        for n in range(3)
    ]  # fmt: skip
    events.append({"event_id": "acmebob0", "event_time": now_ms(), "type": "Visit", "person": "jo", "revision": 7})
    bootstrap = settings.bootstrap_servers or ""
    seen = {"name": "seen", "container": "person", "when": {"has": {"match": is_("Visit")}}}
    apply_definitions(file_of(seen), bootstrap, settings, now_ms())
    send(settings, *events)
    wait_for_touchpoints(settings, len(events))

    def erase(*arguments: str, answer: str = "") -> str:
        environment = settings.as_environment()
        return CliRunner().invoke(cli, ["erase", *arguments], answer, environment, catch_exceptions=False).output

    everybody = {("acme", "bob"), ("beta", "bob"), ("acme", "jo")}
    for running in _running(settings, ["accounts"]):
        wait_until(running, lambda: members(settings, "seen") == everybody)
        assert "Aborted" in erase("person", "bob", answer="n\n")
        assert "withdrawn: 3 touchpoints of the person bob" in erase("person", "bob", "--account", "beta", "--yes")
        wait_until(running, lambda: members(settings, "seen") == everybody - {("beta", "bob")})
        assert "Withdraw 2 touchpoints of the person bob" in erase("person", "bob", answer="y\n")
        wait_until(running, lambda: members(settings, "seen") == {("acme", "jo")})
        wait_until(running, lambda: _is_complete(settings))
        require_right(settings, "seen")
        with pytest.raises(UsageError, match="no touchpoint of the person bob"):
            erase("person", "bob")
        assert len(touchpoints_of(bootstrap, settings, "account", "acme", None)) == 4
        # What the source says next brings nobody back, and what it took back itself is erased as well.
        events = [
            {**events[1], "revision": 1},
            {**events[0], "event_id": "gone", "person": "kim", "operation": "withdraw"},
        ]
        send(settings, *events)
        wait_for_touchpoints(settings, 10 + 3 + 2 + len(events))
        wait_until(running, lambda: _is_complete(settings))
        assert members(settings, "seen") == {("acme", "jo")}
        assert touchpoints_of(bootstrap, settings, "person", "bob", None) == []
        assert "withdrawn: 1 touchpoints of the person kim" in erase("person", "kim", "--yes")
        wait_for_touchpoints(settings, 18)
        with pytest.raises(UsageError, match="no touchpoint of the person kim"):
            erase("person", "kim")
