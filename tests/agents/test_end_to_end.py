"""The whole pipeline on a real Kafka: generated events in, snapshots out, each number that of the batch computation."""

import asyncio
import os
import random
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kafka import KafkaProducer

from agents.checking import run_check
from agents.commands.demo import everyday_definitions
from agents.completion import Completion
from agents.dead_letters import letters, set_aside
from agents.defining import apply_definitions, load_definitions
from agents.generating import generate_to_kafka
from agents.live_snapshots import published_snapshots
from agents.pipeline import WorkerError, Workers
from agents.reading import read_definitions, read_topic
from agents.settings import Settings
from generator.plan import GeneratorPlan
from state.definitions import Canvas, ContainerKind, DefinitionFile, Flow
from streams.admin import create_topics, end_offsets
from streams.broker import EmbeddedBroker, free_ports
from streams.errors import UsageError
from streams.partials import version_of
from streams.topics import topic_name

DAY_MS = 86_400_000
END_MS = 1_788_220_800_000
EVENTS = 12_000
PATIENCE_S = 120.0


@pytest.fixture
def settings(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> Settings:
    """Settings of a pipeline of the test's own, with its topics and the everyday definitions."""
    made = Settings(folder=tmp_path, prefix=prefix, bootstrap_servers=kafka.bootstrap_servers, session_timeout_s=6)
    create_topics(kafka.bootstrap_servers, prefix, made.generation, made.partitions, made.replication)
    apply_definitions(load_definitions(everyday_definitions()), kafka.bootstrap_servers, made, END_MS)
    return made


def generate(settings: Settings, seed: int = 5) -> Completion:
    """Sends a company's events with every kind of fault; gives what to wait for."""
    assert settings.bootstrap_servers is not None
    plan = GeneratorPlan(
        events=EVENTS, accounts=300, seed=seed, start_ms=END_MS - 365 * DAY_MS, end_ms=END_MS,
        late=0.1, duplicates=0.05, corrections=0.02, withdrawals=0.02,
    )  # fmt: skip
    report = asyncio.run(generate_to_kafka(plan, settings.bootstrap_servers, settings))
    completion = Completion(
        settings.bootstrap_servers, settings, read_definitions(settings.bootstrap_servers, settings)
    )
    completion.expect(report.end_offsets)
    return completion


@contextmanager
def workers(settings: Settings) -> Iterator[Workers]:
    """Worker processes, ended at the end."""
    assert settings.bootstrap_servers is not None
    running = Workers(settings, settings.bootstrap_servers)
    running.start()
    try:
        yield running
    finally:
        running.stop()


def wait(completion: Completion, settings: Settings, running: Workers) -> None:
    """Until the snapshots contain everything."""
    assert settings.bootstrap_servers is not None
    deadline = time.monotonic() + PATIENCE_S
    for snapshots in published_snapshots(settings.bootstrap_servers, settings):
        running.require_running()
        if completion.is_reached(snapshots):
            return
        assert time.monotonic() < deadline, f"not complete after {PATIENCE_S:.0f} s"


def people_also() -> DefinitionFile:
    """The everyday definitions, one of them changed, one gone, and one of people in addition."""
    everyday = load_definitions(everyday_definitions())
    first, _, flow = everyday.analyses
    assert isinstance(first, Canvas)
    assert isinstance(flow, Flow)
    people = first.model_copy(update={"name": "people", "container": ContainerKind.PERSON})
    return everyday.model_copy(update={"analyses": [first, flow.model_copy(update={"columns": 3}), people]})


def test_definitions_change_while_events_come_and_a_worker_dies(settings: Settings) -> None:
    """The past is counted into them behind a crash in the middle of it; what stays is never away, and what goes leaves
    nothing behind on the topics."""
    bootstrap = settings.bootstrap_servers
    assert bootstrap is not None
    wait_for = generate(settings)
    before = read_definitions(bootstrap, settings)
    with workers(settings) as running:
        wait(wait_for, settings, running)
    applied = apply_definitions(people_also(), bootstrap, settings, END_MS)
    assert (applied.published, applied.removed) == (["content-to-mql", "people"], ["created-to-won"])
    assert crashes(settings, "chore:3")
    wait_for = generate(settings, seed=6)
    with workers(settings) as running:
        wait(wait_for, settings, running)
        require_no_difference(settings)
        wait_until_swept(settings, {each.version for each in before.every})


def crashes(settings: Settings, at: str) -> bool:
    """Whether a worker that is to end at a point does so, and not in another way."""
    environment = {**settings.as_environment(), "MILEPOST_CRASH_AT": at}
    command = [sys.executable, "-m", "agents.main", "worker", "--roles", "accounts"]
    return subprocess.run(command, env=environment, timeout=PATIENCE_S, check=False).returncode == 137


def wait_until_swept(settings: Settings, former: set[str]) -> None:
    """Until no cell is left of versions that are not in force, also none that came to zero before."""
    assert settings.bootstrap_servers is not None
    gone = former - {each.version for each in read_definitions(settings.bootstrap_servers, settings).definitions}
    assert len(gone) == 2
    deadline = time.monotonic() + PATIENCE_S
    newest: dict[tuple[int, bytes], bytes | None] = {}
    while not newest or any(value is not None and version_of(key) in gone for (_, key), value in newest.items()):
        assert time.monotonic() < deadline
        partials = topic_name("partials", settings.prefix, settings.generation)
        records = read_topic(settings.bootstrap_servers, partials)
        newest = {(each.partition, each.key): each.value for each in records if b"\0" in each.key}
        time.sleep(0.5)


def require_no_difference(settings: Settings) -> None:
    """Every cell and every snapshot equals the batch computation."""
    assert settings.bootstrap_servers is not None
    report = run_check(settings.bootstrap_servers, settings)
    assert sum(each.cell_count for each in report.analyses) > 100
    assert all(each.has_snapshot for each in report.analyses)
    assert report.difference_count == 0, report


def test_the_live_numbers_are_those_of_a_batch_computation(settings: Settings) -> None:
    """Late, repeated, corrected, withdrawn and bad records among them; every rejected record is a dead letter."""
    completion = generate(settings)
    with workers(settings) as running:
        wait(completion, settings, running)
    require_no_difference(settings)
    assert settings.bootstrap_servers is not None
    names = ("crm-events", "web-events", "touchpoints", "dead-letters")
    counts = {
        name: sum(
            1 for _ in read_topic(settings.bootstrap_servers, topic_name(name, settings.prefix, settings.generation))
        )
        for name in names
    }
    assert counts["dead-letters"] > 0
    assert counts["touchpoints"] + counts["dead-letters"] == counts["crm-events"] + counts["web-events"]


def test_killing_workers_at_random_changes_no_number(settings: Settings) -> None:
    """kill -9 again and again, on the same disk; then let them finish."""
    random_ = random.Random(3)
    completion = generate(settings)
    for _ in range(4):
        with workers(settings) as running:
            time.sleep(random_.uniform(1.5, 5.0))
            for pid in running.pids:
                os.kill(pid, signal.SIGKILL)
    with workers(settings) as running:
        wait(completion, settings, running)
    require_no_difference(settings)


def test_a_standby_takes_over_and_changes_no_number(settings: Settings) -> None:
    """Two workers of the accounts follow each other; the one that was not killed has every number right."""
    assert settings.bootstrap_servers is not None
    completion = generate(settings)
    pair = [
        settings.model_copy(
            update={
                "folder": settings.folder / name,
                "worker_id": name,
                "standby": True,
                "metrics_port": free_ports(1)[0],
            }
        )
        for name in ("a", "b")
    ]
    killed, left = (Workers(each, settings.bootstrap_servers, [["accounts"]]) for each in pair)
    others = Workers(settings, settings.bootstrap_servers, [["ingest", "snapshots"]])
    try:
        for each in (killed, left, others):
            each.start()
        deadline = time.monotonic() + PATIENCE_S
        while followed_rows(pair[1]) == 0:
            assert time.monotonic() < deadline, "nothing was followed"
            left.require_running()
            time.sleep(0.2)
        os.kill(killed.pids[0], signal.SIGKILL)
        wait(completion, settings, left)
    finally:
        for each in (killed, left, others):
            each.stop()
    require_no_difference(settings)


def followed_rows(settings: Settings) -> float:
    """How many changelog rows a worker's standbys have read."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{settings.metrics_port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return 0.0
    found = re.search(r'^milepost_restored_rows_total\{by="standby"\} (.*)$', text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_a_restart_on_an_empty_disk_gives_the_same(settings: Settings) -> None:
    """What a worker knew is in the changelog: another one with nothing on disk goes on exactly."""
    completion = generate(settings)
    with workers(settings) as running:
        time.sleep(4)
        for pid in running.pids:
            os.kill(pid, signal.SIGKILL)
    elsewhere = settings.model_copy(update={"folder": settings.folder / "elsewhere"})
    with workers(elsewhere) as running:
        wait(completion, elsewhere, running)
    require_no_difference(elsewhere)


def test_a_worker_that_can_not_start_says_why(settings: Settings) -> None:
    """Topics with another number of partitions end it with a message and no traceback."""
    wrong = settings.model_copy(update={"partitions": 8})
    with workers(wrong) as running, pytest.raises(WorkerError, match="partition"):
        require_running_for(running, 30)


def require_running_for(running: Workers, seconds: float) -> None:
    """Raises what ends a worker within the time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        running.require_running()
        time.sleep(0.2)


def append_to_touchpoints(settings: Settings, partition: int, value: bytes) -> int:
    """What somebody else's producer might leave there; returns its offset."""
    assert settings.bootstrap_servers is not None
    topic = topic_name("touchpoints", settings.prefix, settings.generation)
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers)
    try:
        return int(producer.send(topic, value, b"an account", partition=partition).get(30).offset)
    finally:
        producer.close()


def test_a_record_that_can_not_be_computed_stops_its_partition_until_it_is_set_aside(settings: Settings) -> None:
    """Named by the workers that it ends; then the others go on, and the command line passes over it, on record."""
    settings = settings.model_copy(update={"poison_restarts_max": 1})
    assert settings.bootstrap_servers is not None
    bootstrap, partition = settings.bootstrap_servers, 2
    offset = append_to_touchpoints(settings, partition, b"no touchpoint")
    touchpoints = topic_name("touchpoints", settings.prefix, settings.generation)
    completion = generate(settings)
    for _ in range(2):
        with (
            workers(settings) as running,
            pytest.raises(WorkerError, match=f"{touchpoints}/{partition} offset {offset}"),
        ):
            require_running_for(running, 60)
    with workers(settings) as running:
        wait_for_the_others(settings, running, partition)
        with pytest.raises(UsageError, match="no computation fails on"):
            set_aside(bootstrap, settings, touchpoints, partition, offset + 1, "not this one", END_MS)
        place = ["--topic", touchpoints, "--partition", str(partition), "--offset", str(offset)]
        cli(settings, "dead-letters", "set-aside", *place, "--why", "a foreign record")
        wait(completion, settings, running)
    require_no_difference(settings)
    (letter,) = letters(bootstrap, settings, "set-aside")
    assert (letter.topic, letter.partition, letter.offset) == (touchpoints, partition, offset)
    assert (letter.key, letter.value, letter.detail) == (b"an account", b"no touchpoint", "a foreign record")
    assert "a foreign record" in cli(settings, "dead-letters", "list", "--reason", "set-aside")


def cli(settings: Settings, *arguments: str) -> str:
    """What a command prints; it must succeed."""
    command = [sys.executable, "-m", "agents.main", *arguments]
    return subprocess.run(command, env=settings.as_environment(), check=True, capture_output=True, text=True).stdout


def wait_for_the_others(settings: Settings, running: Workers, standing: int) -> None:
    """Until every other partition has applied all of its touchpoints."""
    assert settings.bootstrap_servers is not None
    bootstrap, deadline = settings.bootstrap_servers, time.monotonic() + PATIENCE_S
    touchpoints = topic_name("touchpoints", settings.prefix, settings.generation)
    for snapshots in published_snapshots(bootstrap, settings):
        running.require_running()
        ends = end_offsets(bootstrap, touchpoints)
        applied = [snapshot.applied for snapshot in snapshots.values()]
        if len(applied) == 3 and all(
            each.get(str(p), -1) == end - 1 for each in applied for p, end in ends.items() if p != standing
        ):
            assert sum(ends.values()) > 1000
            return
        assert time.monotonic() < deadline, "the other partitions stand as well"


def test_dead_letters_are_sent_again_and_counted_once(settings: Settings) -> None:
    """What was rejected goes back as it came; what is still wrong is a dead letter again, and no number moves."""
    completion = generate(settings)
    assert settings.bootstrap_servers is not None
    with workers(settings) as running:
        wait(completion, settings, running)
        before = list(letters(settings.bootstrap_servers, settings, "no-account"))
        assert before
        said = cli(settings, "dead-letters", "replay", "--reason", "no-account")
        assert f"{len(before)} to" in said or "," in said
        deadline = time.monotonic() + 30
        while len(list(letters(settings.bootstrap_servers, settings, "no-account"))) < 2 * len(before):
            assert time.monotonic() < deadline
            time.sleep(0.5)
    require_no_difference(settings)


@pytest.mark.parametrize("point", ["routed", "ack"])
def test_a_crash_of_ingest_loses_and_repeats_nothing(settings: Settings, point: str) -> None:
    """It ends when its outputs are written and when the batch is acknowledged; the next one reads what was not."""
    completion = generate(settings)
    environment = settings.as_environment() | {"MILEPOST_CRASH_AT": f"{point}:3", "MILEPOST_BATCH_RECORDS_MAX": "500"}
    command = [sys.executable, "-m", "agents.main", "worker", "--roles", "ingest"]
    assert subprocess.run(command, env=environment, timeout=60, check=False, capture_output=True).returncode == 137
    with workers(settings) as running:
        wait(completion, settings, running)
    require_no_difference(settings)


def test_two_workers_of_one_id_end_one_of_them_with_a_reason(settings: Settings, tmp_path: Path) -> None:
    """Each fences the other's partitions; nobody ends in silence, and no number is wrong for it."""
    completion = generate(settings)
    twin = settings.model_copy(update={"folder": tmp_path / "twin"})
    with workers(settings) as first, workers(twin) as second:
        deadline, said = time.monotonic() + 90, ""
        while not said and time.monotonic() < deadline:
            for each in (first, second):
                try:
                    each.require_running()
                except WorkerError as error:
                    said = str(error)
            time.sleep(0.2)
    assert said
    assert "ended with code" not in said, said
    with workers(settings) as running:
        wait(completion, settings, running)
    require_no_difference(settings)
