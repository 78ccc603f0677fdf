"""One analysis put in the place of another: what is published, what is refused, and that of several at once one is the
first."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents import definitions_writer
from agents.defining import OutdatedError, apply_definitions, one_definition, put_definition
from agents.definitions_writer import change_definitions
from agents.reading import read_definition_records, read_definitions
from agents.settings import Settings
from state.definition_set import DefinitionSet, definition_set_of, publications
from state.definitions import ANALYSIS_COUNT_MAX, DefinitionFile
from streams.admin import create_topics
from streams.broker import EmbeddedBroker
from streams.errors import MismatchError, UnavailableError, UsageError
from streams.fence import FencedProducer
from streams.json_value import json_value
from streams.yaml_file import DEPTH_MAX, FILE_BYTES_MAX, VALUE_COUNT_MAX
from tests.agents.answers.asking import asked_of, queries_of
from tests.agents.snapshot_worlds import DEFINITIONS
from tests.agents.test_defining import SETTINGS, Topic, file_of, install, topic
from tests.state.worlds import analyses

__all__ = ["topic"]  # the fixture


def flow_of(name: str = "a", zone: str = "UTC", **changes: Any) -> dict[str, Any]:
    """A definition file with one flow, as JSON's values."""
    flow = {"name": name, "kind": "flow", "container": "account", "dimension": "type", **changes}
    return {"version": 1, "zone": zone, "analyses": [flow]}


def body_of(**changes: Any) -> bytes:
    """The same as JSON."""
    return msgspec.json.encode(flow_of(**changes))


def put(replaces: str | None = None, **changes: Any) -> tuple[str, str | None, bool]:
    """Puts a flow; gives its version, that which it replaced, and whether anything changed."""
    done = put_definition(one_definition(body_of(**changes)), replaces, "nowhere:1", SETTINGS, 5)
    return done.version, done.replaced, done.is_changed


def test_an_analysis_is_put_beside_the_others(topic: Topic) -> None:
    """A new name, and a version in the place of another; the others stay as they are, with their own zone."""
    apply_definitions(file_of("b", "c"), "nowhere:1", SETTINGS, 5)
    others = topic.read().in_force().definitions
    first, replaced, is_changed = put(zone="Europe/Berlin")
    assert (replaced, is_changed) == (None, True)
    second, replaced, is_changed = put(first, columns=3)
    assert (replaced, is_changed) == (first, True)
    (a, *rest) = topic.read().in_force().definitions
    assert tuple(rest) == others
    assert (a.version, a.zone, a.analysis.model_dump()["columns"]) == (second, "UTC", 3)


def test_who_has_not_seen_the_newest_version_is_refused(topic: Topic) -> None:
    """With the one that is in force; nothing is published."""
    first, _, _ = put()
    second, _, _ = put(first, columns=3)
    count = len(topic.records)
    for replaces, said in ((first, f"{first} was to be replaced"), (None, "no version"), ("x" * 90, "xxx")):
        with pytest.raises(OutdatedError, match=f"{said}.*but {second} is in force") as refused:
            put(replaces, columns=4)
        assert refused.value.version == second
    with pytest.raises(OutdatedError, match="but there is none of that name") as refused:
        put(second, name="other")
    assert (refused.value.version, len(topic.records)) == (None, count)


def test_what_is_in_force_is_not_published_again(topic: Topic) -> None:
    """So the same may be put again by who does not know what came of it."""
    first, _, _ = put()
    count = len(topic.records)
    assert put() == put(first) == put("another") == (first, None, False)
    assert len(topic.records) == count


def test_there_are_no_more_than_a_file_may_have(topic: Topic) -> None:
    """A new name is refused then; one that is there may still change."""
    names = [f"f{number}" for number in range(ANALYSIS_COUNT_MAX)]
    apply_definitions(file_of(*names), "nowhere:1", SETTINGS, 5)
    with pytest.raises(UsageError, match="500 analyses are in force"):
        put()
    newest = topic.read().in_force().named("f7")
    assert newest is not None
    assert put(newest.version, name="f7", columns=2)[2]


def test_a_worker_with_other_midnights_publishes_nothing(topic: Topic, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the command does not."""
    put(name="b")
    install(monkeypatch, "1999.1")
    with pytest.raises(MismatchError, match="Nothing was published"):
        put()


@given(st.lists(analyses(), min_size=1, max_size=4), st.data())
def test_put_one_by_one_is_applied_at_once(drawn: list[dict[str, Any]], data: st.DataObject) -> None:
    """In any order, the same analyses are in force."""
    named = [{**each, "name": f"n{number}"} for number, each in enumerate(drawn)]
    whole = DefinitionFile.model_validate({"version": 1, "analyses": named})
    in_force = DefinitionSet(())
    records: dict[str, bytes | None] = {}
    for each in data.draw(st.permutations(named)):
        file = one_definition(msgspec.json.encode({"version": 1, "analyses": [each]}))
        made, _ = publications(file, in_force, 5, keeps_others=True)
        records |= made
        in_force = set_of(records)
    at_once, _ = publications(whole, DefinitionSet(()), 5)
    assert [each.analysis for each in in_force.definitions] == [each.analysis for each in set_of(at_once).definitions]


def set_of(records: dict[str, bytes | None]) -> DefinitionSet:
    """The set that records make."""
    read = Topic()
    read.publish(records)
    return read.read().in_force()


# --- over HTTP

ask = asked_of(queries_of(lambda: (0, DEFINITIONS), lambda: {}))


@pytest.mark.parametrize(
    ("body", "query", "said"),
    [
        (b"", {}, "this is no JSON"),
        (b"{\xff}", {}, "this is no JSON"),
        (b"[" * 100_000, {}, "this is no JSON"),
        (b"[" * 200 + b"]" * 200, {}, "100 levels"),
        (b"[]", {}, "file: should be a mapping"),
        (body_of(name="b"), {}, "analyses[0].name is 'b', and the address says 'a'"),
        (body_of(columms=3), {}, "analyses[0].columms: this key is not known here; did you mean columns?"),
        (body_of(zone="Berlin"), {}, "zone: 'Berlin' is no IANA time zone"),
        (b'{"version": 1}', {}, "analyses: this key is missing"),
        (msgspec.json.encode({"version": 1, "analyses": 2 * flow_of()["analyses"]}), {}, "more than once"),
        (body_of(filter={"segment": "none"}), {}, "none"),
        (body_of(), {"replace": "x"}, "no parameter replace"),
    ],
)
def test_what_is_no_definition_is_a_problem(body: bytes, query: dict[str, str], said: str) -> None:
    """By the path in it, in the words that the command has."""
    status, problem = ask("/v1/definitions/a", "PUT", body, **query)
    assert status == 400
    assert said in problem["detail"]


def test_two_definitions_are_not_one() -> None:
    """Each has its own address."""
    two = {"version": 1, "analyses": [flow_of(name)["analyses"][0] for name in "ab"]}
    assert "there are 2; one is right" in ask("/v1/definitions/a", "PUT", msgspec.json.encode(two))[1]["detail"]


@pytest.mark.parametrize(
    ("environ", "status"),
    [
        ({"CONTENT_TYPE": "text/plain"}, 415),
        ({"CONTENT_TYPE": ""}, 415),
        ({"CONTENT_LENGTH": ""}, 411),
        ({"CONTENT_LENGTH": "-1"}, 411),
        ({"CONTENT_LENGTH": str(FILE_BYTES_MAX + 1)}, 413),
        ({"CONTENT_LENGTH": "9" * 4_000}, 413),
        ({"REQUEST_METHOD": "POST"}, 405),
        ({"REQUEST_METHOD": "DELETE"}, 405),
    ],
)
def test_a_body_says_what_it_is_and_how_long(environ: dict[str, str], status: int) -> None:
    """Or it is not read. A page in a browser can not say that it is JSON without asking first."""
    assert ask("/v1/definitions/a", "PUT", body_of(), environ=environ)[0] == status


def test_bounds_are_those_of_a_file() -> None:
    """As deep and as large as YAML may be, and no further."""
    deepest: Any = 1
    for _ in range(DEPTH_MAX):
        deepest = [deepest]
    assert json_value(msgspec.json.encode(deepest)) == deepest
    with pytest.raises(UsageError, match="levels"):
        json_value(msgspec.json.encode([deepest]))
    assert len(json_value(b"[" + b"1," * (VALUE_COUNT_MAX - 2) + b"1]")) == VALUE_COUNT_MAX - 1
    with pytest.raises(UsageError, match="values"):
        json_value(b"[" + b"1," * (VALUE_COUNT_MAX - 1) + b"1]")
    with pytest.raises(UsageError, match="bytes"):
        json_value(b" " * FILE_BYTES_MAX + b"1")


# --- on a real broker


@pytest.fixture
def settings(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> Settings:
    """Settings with topics."""
    made = Settings(folder=tmp_path, prefix=prefix, bootstrap_servers=kafka.bootstrap_servers)
    create_topics(kafka.bootstrap_servers, prefix, made.generation, made.partitions, made.replication)
    return made


@pytest.mark.broker
def test_of_several_at_once_one_is_the_first(settings: Settings) -> None:
    """Whatever the others have seen, each version that is in force was put by who named the one before."""
    assert settings.bootstrap_servers is not None
    bootstrap = settings.bootstrap_servers
    version = put_definition(one_definition(body_of()), None, bootstrap, settings, 5).version
    together = threading.Barrier(4)

    def one(number: int) -> str | None:
        together.wait()
        try:
            file = one_definition(body_of(columns=number + 11))
            return put_definition(file, version, bootstrap, settings, 5).version
        except (OutdatedError, UnavailableError):
            return None

    with ThreadPoolExecutor(4) as pool:
        done = [each for each in pool.map(one, range(4)) if each is not None]
    (newest,) = read_definitions(bootstrap, settings).definitions
    assert done == [newest.version]


@pytest.mark.broker
def test_what_came_in_between_is_seen(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that another one overtakes behind its reading publishes nothing, reads again, and is refused."""
    assert settings.bootstrap_servers is not None
    bootstrap = settings.bootstrap_servers
    version = put_definition(one_definition(body_of()), None, bootstrap, settings, 5).version
    start = FencedProducer.start
    starts: list[str] = []

    async def started(*arguments: Any) -> FencedProducer:
        starts.append("")
        return await start(*arguments)

    read, other = read_definition_records, one_definition(body_of(columns=2))

    def overtaken(*arguments: Any) -> Any:
        found = read(*arguments)
        if len(starts) == 1:  # behind the first fence, and before what follows from the reading
            starts.append("the other one")
            with monkeypatch.context() as undone:
                undone.setattr(definitions_writer, "read_definition_records", read)
                put_definition(other, version, bootstrap, settings, 5)
        return found

    monkeypatch.setattr(FencedProducer, "start", started)
    monkeypatch.setattr(definitions_writer, "read_definition_records", overtaken)
    with ThreadPoolExecutor(1) as pool, pytest.raises(OutdatedError):
        pool.submit(put_definition, one_definition(body_of(columns=3)), version, bootstrap, settings, 5).result()
    (newest,) = read_definitions(bootstrap, settings).definitions
    assert newest.analysis == other.analyses[0]


@pytest.mark.broker
def test_who_took_too_long_publishes_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it saw on the screens may be retired by the time it would take that along."""
    assert settings.bootstrap_servers is not None
    monkeypatch.setattr(definitions_writer, "APPLY_S_MAX", 0.0)
    with pytest.raises(UnavailableError, match=r"took longer than 0 s.*Nothing was published; try again"):
        put_definition(one_definition(body_of()), None, settings.bootstrap_servers, settings, 5)
    assert not read_definition_records(settings.bootstrap_servers, settings).newest


@pytest.mark.broker
def test_who_never_comes_first_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """After some tries; what it would have published stands nowhere."""
    assert settings.bootstrap_servers is not None
    bootstrap = settings.bootstrap_servers
    monkeypatch.setattr(definitions_writer, "_WAIT_S", 0.001)
    tries = []

    def made(name: str, columns: int) -> dict[str, bytes | None]:
        return publications(one_definition(body_of(name=name, columns=columns)), definition_set_of({}), 5)[0]

    def decide(known: Any) -> dict[str, bytes | None]:
        tries.append(known.end)
        if len(tries) % 2 == 0:  # behind the fence
            with ThreadPoolExecutor(1) as pool:
                pool.submit(change_definitions, bootstrap, settings, lambda _: made("b", 2 + len(tries) % 3)).result()
        return made("a", 2)

    with pytest.raises(UnavailableError, match=r"others publish definitions at the same moment.*another owner"):
        change_definitions(bootstrap, settings, decide)
    assert len(tries) == 2 * definitions_writer.TRIES_MAX
    assert set(read_definition_records(bootstrap, settings).newest) == {"b"}
    tries.clear()
    monkeypatch.setattr(definitions_writer, "TRYING_S_MAX", 0.0)
    with pytest.raises(UnavailableError, match="ask again in a moment"):
        change_definitions(bootstrap, settings, decide)
    assert len(tries) == 2
