"""The peers' job: what SQL says of events is what the job makes of them, and each engine has the same list of steps."""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.peers.contenders import CONTENDERS
from bench.peers.expected import Result, expected_result
from bench.peers.job import STEPS, TYPES, Place, generated, state_behind
from bench.peers.run import RunError, require_equal
from streams.jars import KAFKA_VERSION

KAFKA_STREAMS = Path("bench/peers/kafka_streams")


def expected_of(events: Sequence[tuple[str, str]]) -> Result:
    """What SQL says of (account, type), in their order."""
    lines = [
        msgspec.json.encode({"account": account, "type": type_, "id": f"e{number:09d}"})
        for number, (account, type_) in enumerate(events)
    ]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "events.ndjson"
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        return expected_result(path)


def test_a_state_by_hand() -> None:
    """A step counts only in its turn; every neighbouring pair of types is a transition."""
    webinar, download, page = STEPS[2], STEPS[1], STEPS[0]
    types = [webinar, page, webinar, download, page, page]
    assert expected_of([("a", type_) for type_ in types]) == {
        "a": {
            "count": 6,
            "step": 2,
            "last": page,
            "transitions": {
                f"{webinar}>{page}": 1,
                f"{page}>{webinar}": 1,
                f"{webinar}>{download}": 1,
                f"{download}>{page}": 1,
                f"{page}>{page}": 1,
            },
        }
    }


@settings(max_examples=25)  # each is a database
@given(events=st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(TYPES)), min_size=1, max_size=40))
def test_the_job_makes_what_sql_says(events: list[tuple[str, str]]) -> None:
    """Event by event, and all of an account at once."""
    by_event: dict[str, bytes] = {}
    pieces: defaultdict[str, list[bytes]] = defaultdict(list)
    for account, type_ in events:
        event = msgspec.json.encode({"type": type_, "more": 1})
        by_event[account] = state_behind(by_event.get(account), [event])
        pieces[account].append(event)
    at_once = {account: state_behind(None, some) for account, some in pieces.items()}
    assert by_event == at_once
    require_equal(expected_of(events), {key.encode(): state for key, state in by_event.items()}, "the job")


def test_every_step_can_be_reached() -> None:
    """Who takes the steps in their order has taken all of them, and then no other."""
    assert expected_of([("a", type_) for type_ in (*STEPS, STEPS[0])])["a"]["step"] == len(STEPS)


def test_a_wrong_result_is_named() -> None:
    """A rate does not count when a state differs, is missing, or is too many."""
    expected = expected_of([("a", STEPS[0]), ("b", STEPS[1])])
    right = {key.encode(): msgspec.json.encode({"tag": [0, 1], **state}) for key, state in expected.items()}
    require_equal(expected, right, "one")
    for wrong in (right | {b"b": right[b"a"]}, {b"a": right[b"a"]}, right | {b"c": right[b"a"]}):
        with pytest.raises(RunError, match="one: 1 of 2 accounts are not as expected"):
            require_equal(expected, wrong, "one")


def test_events_are_the_same_each_time() -> None:
    """As many as asked for, of about 160 bytes, with their account as key."""
    events = list(generated(300, 20))
    assert events == list(generated(300, 20))
    assert len(events) == 300
    assert {msgspec.json.decode(event)["account"].encode() for _, event in events} == {key for key, _ in events}
    assert 150 < sum(len(event) for _, event in events) / 300 < 170


def test_the_java_job_has_the_same_steps() -> None:
    """In their order; and Kafka Streams has the broker's version."""
    source = (KAFKA_STREAMS / "src/main/java/JourneysJob.java").read_text()
    (steps,) = re.findall(r"STEPS =\s+List\.of\((.*?)\);", source, re.DOTALL)
    assert tuple(re.findall(r'"([^"]+)"', steps)) == STEPS
    assert f"<kafka.version>{KAFKA_VERSION}</kafka.version>" in (KAFKA_STREAMS / "pom.xml").read_text()


def test_a_place_travels_as_arguments() -> None:
    """Every contender's program is told the place, and may be told more behind it."""
    place = Place("localhost:1", "events", "output", "run-1", "folder")
    assert Place.of([*place.arguments(), "more"]) == place
    for contender in CONTENDERS:
        command = contender.command(place)
        assert any(command[number:][:5] == place.arguments() for number in range(len(command)))
