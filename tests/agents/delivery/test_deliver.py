"""The deliver agent on a real Kafka, with a real receiver: what is promised, under every fault."""

import base64
import hashlib
import hmac
import shutil
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from standardwebhooks.webhooks import Webhook

from agents.dead_letters import letters, set_aside
from agents.ordering import delivery_states, give_orders, read_deliveries
from agents.reading import read_topic
from agents.settings import Settings
from state.delivery.configuration import DeliveryFile
from streams.admin import create_topics
from streams.alert import Alert
from streams.broker import EmbeddedBroker, free_ports
from streams.crash import CrashPoint
from streams.delivery import Acknowledge, DeliveryStatus, Pause, Resume, Retry
from streams.errors import UsageError
from streams.membership import MembershipChange
from streams.partitioning import partition_of
from streams.topics import topic_name
from tests.agents.delivery.receiver import Received, Receiver, Reply, receiving
from tests.agents.delivery.worlds import World, alert, change, file_of, make_topic, secrets_folder, wait_for, worker

pytestmark = pytest.mark.broker

OLD_KEY = "whsec_" + base64.b64encode(b"the key of before, 24 b.").decode()
NEW_KEY = "whsec_" + base64.b64encode(b"the key from today, 24b.").decode()


@pytest.fixture
def settings(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> Settings:
    made = Settings(
        folder=tmp_path, prefix=prefix, bootstrap_servers=kafka.bootstrap_servers, session_timeout_s=6, partitions=2,
        delivery_private_hosts="127.0.0.1", secrets_folder=secrets_folder(tmp_path / "s", old=OLD_KEY, new=NEW_KEY),
    )  # fmt: skip
    create_topics(kafka.bootstrap_servers, prefix, made.generation, made.partitions, made.replication)
    return made


@pytest.fixture
def world(settings: Settings) -> Iterator[World]:
    made = World(settings)
    yield made
    made.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def to_hook(receiver: Receiver, **options: object) -> DeliveryFile:
    hook = {"kind": "webhook", "url": receiver.url, "signing": ["new", "old"], "timeout_s": 2.0, **options}
    return file_of({"hook": hook}, [{"name": "all", "to": ["hook"], "milestones": ["*"], "audiences": ["*"]}])


def signature(received: Received, key: str) -> str:
    """As the specification has it, without the library."""
    signed = b".".join((received.id.encode(), received.headers["webhook-timestamp"].encode(), received.body))
    secret = base64.b64decode(key.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


def test_an_alert_arrives_signed_with_both_keys(settings: Settings, world: World, receiver: Receiver) -> None:
    """By the library's verifier and by the specification; a correction names the first message."""
    world.configure(to_hook(receiver))
    world.send(alert("Acme"), alert("Acme", revision=2))
    with worker(settings) as running:
        wait_for(lambda: len(receiver.accepted) == 2, [running])
    first, second = receiver.accepted
    for each in (first, second):
        assert each.headers["webhook-signature"] == f"{signature(each, NEW_KEY)} {signature(each, OLD_KEY)}"
        assert (
            Webhook(OLD_KEY).verify(each.body, each.headers)
            == each.message
            == Webhook(NEW_KEY).verify(each.body, each.headers)
        )
    assert (first.message["type"], first.message["corrects"]) == ("milestone.asserted", None)
    assert (second.message["type"], second.message["corrects"]) == ("milestone.revoked", first.id)
    assert first.message["data"]["who"]["owner"] == "Sam Owner"


def require_delivered(receiver: Receiver, messages: list[Alert | MembershipChange]) -> None:
    """Each message was accepted, under one id however often, and per container in the order of its topic."""
    ids: dict[tuple[str, int], set[str]] = {}
    order: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for each in receiver.accepted:
        what, account = said(each)
        ids.setdefault(what, set()).add(each.id)
        told = order.setdefault((account, each.message["type"].partition(".")[0]), [])
        if what not in told:
            told.append(what)
    wanted: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for message in messages:
        place = (message.who.account, "milestone") if isinstance(message, Alert) else (message.account, "audience")
        wanted.setdefault(place, []).append((message.id, message.revision))
    assert order == wanted
    assert all(len(each) == 1 for each in ids.values())


def said(received: Received) -> tuple[tuple[str, int], str]:
    """Which message it is, and of which account."""
    data = received.message["data"]
    return (data["id"], data["revision"]), data["account"] if "account" in data else data["who"]["account"]


def is_complete(receiver: Receiver, messages: list[Alert | MembershipChange]) -> bool:
    return {said(each)[0] for each in list(receiver.accepted)} == {(each.id, each.revision) for each in messages}


def story(accounts: int, rounds: int = 3, first: int = 1) -> list[Alert | MembershipChange]:
    """Of each account entries and exits, and alerts between them."""
    return [
        message
        for number in range(first, first + rounds)
        for account in (f"A{each}" for each in range(accounts))
        for message in (change(account, number), alert(account, number))
    ]


def test_whatever_the_receiver_does_all_arrives_in_order(settings: Settings, world: World, receiver: Receiver) -> None:
    """It is down at first, slow, resets before and in the middle of an answer, answers 500 and 429: each id once more,
    and after 429 not before it was asked to."""
    faults = [Reply(500), Reply(429, {"Retry-After": "2"}), Reply(0), Reply(cut=True), Reply(wait_s=2.5), Reply()]

    def answer(received: Received, before: int) -> Reply:
        return faults[int(received.id[-4:], 16) % len(faults)] if before == 0 else Reply()

    receiver.stop()
    receiver.answer = answer
    messages = story(6, 2)
    world.configure(to_hook(receiver))
    world.send(*messages)
    with worker(settings) as running:
        time.sleep(5)
        receiver.start()
        wait_for(lambda: is_complete(receiver, messages), [running], 120)
    require_delivered(receiver, messages)
    times: dict[str, list[float]] = {}
    for each in receiver.received:
        times.setdefault(each.id, []).append(each.at)
    limited = [at for id_, at in times.items() if faults[int(id_[-4:], 16) % len(faults)].status == 429]
    assert limited
    assert all(at[1] - at[0] >= 2 for at in limited)


POINTS: tuple[CrashPoint, ...] = ("ready", "read", "changelog", "store", "publish", "sending", "sent", "note", "again")


def test_a_worker_that_dies_at_any_step_loses_nothing(settings: Settings, world: World, receiver: Receiver) -> None:
    """At each crash point one after the other, on the same disk; then the disk is lost as well."""
    world.configure(to_hook(receiver, at_once=2))
    messages: list[Alert | MembershipChange] = []
    for number, point in enumerate(POINTS, 1):
        new = story(3, 1, number)
        messages += new
        world.send(*new)
        with worker(settings, MILEPOST_CRASH_AT=point) as dying:
            assert dying.process.wait(60) == 137, f"{point}\n{dying.log.read_text()[-2_000:]}"
    shutil.rmtree(settings.worker_folder("deliver"))
    with worker(settings) as running:
        wait_for(lambda: is_complete(receiver, messages), [running])
        assert running.stop() == 0
    require_delivered(receiver, messages)
    assert len(receiver.accepted) > len(messages), "no answer was lost, so nothing was tried"


def test_a_rebalance_loses_nothing(settings: Settings, world: World, receiver: Receiver) -> None:
    """A second worker comes, the first one is killed, and a third stops in order, while messages come."""
    world.configure(to_hook(receiver))
    messages: list[Alert | MembershipChange] = []

    def send(number: int) -> None:
        new = story(8, 2, number)
        messages.extend(new)
        world.send(*new)

    with worker(settings, "1") as first, worker(settings, "2") as second:
        send(1)
        wait_for(lambda: is_complete(receiver, messages), [first, second])
        send(3)
        first.kill()
        send(5)
        wait_for(lambda: is_complete(receiver, messages), [second])
        with worker(settings, "3") as third:
            send(7)
            wait_for(lambda: is_complete(receiver, messages), [second, third])
            send(9)
            assert second.stop() == 0
            wait_for(lambda: is_complete(receiver, messages), [third])
    require_delivered(receiver, messages)


def test_a_dead_destination_stops_no_other(settings: Settings, world: World, receiver: Receiver) -> None:
    """Nor does one that never answers; and what is refused for good is dead, until a person tries it anew."""
    closed, silent = free_ports(2)
    destinations = {
        "hook": {"kind": "webhook", "url": receiver.url},
        "down": {"kind": "webhook", "url": f"http://127.0.0.1:{closed}/"},
        "silent": {"kind": "webhook", "url": f"http://127.0.0.1:{silent}/", "timeout_s": 30.0},
        "picky": {"kind": "webhook", "url": f"{receiver.url}/picky"},
        "private": {"kind": "webhook", "url": "http://localhost:1/"},
    }
    route = {"name": "all", "to": list(destinations), "milestones": ["*"]}
    receiver.answer = lambda received, _: Reply(404 if received.path.endswith("picky") else 200)
    messages = [alert(f"A{number}") for number in range(20)]
    world.configure(file_of(destinations, [route]))
    world.send(*messages)

    def at(path: str) -> int:
        return sum(each.path.endswith(path) for each in list(receiver.received))

    with silent_server(silent), worker(settings) as running:
        wait_for(lambda: (at("hook"), at("picky")) == (20, 20), [running])
        wait_for(lambda: states(world).get(("private", "dead")) == 20, [running])
        found = states(world)
        assert found["hook", "delivered"] == found["picky", "dead"] == 20
        assert found["down", "waiting"] == found["silent", "waiting"] == 20
        by_destination = {each.destination: each for each in delivery_states(world.bootstrap, settings)}
        assert by_destination["picky"].why == "HTTP 404"
        assert "localhost is 127.0.0.1, which is no public address" in (by_destination["private"].why or "")
        receiver.answer = lambda *_: Reply()
        give_orders(world.bootstrap, settings, Retry(by_destination["picky"].id))
        wait_for(lambda: at("picky") == 21, [running])
        assert receiver.received[-1].id == by_destination["picky"].id
        assert running.stop() == 0


def test_a_message_that_can_not_be_computed_is_set_aside(settings: Settings, world: World, receiver: Receiver) -> None:
    """It is named by the workers that it ends; then its partition stands still, until somebody passes over it."""
    settings = settings.model_copy(update={"poison_restarts_max": 1})
    topic = topic_name("milestones", settings.prefix, settings.generation)
    partition = partition_of(b"Acme", settings.partitions)
    world.configure(to_hook(receiver))
    offset = world.append(topic, partition, b"no alert")
    world.send(alert("Acme"))
    for _ in range(2):
        with worker(settings) as ended:
            assert ended.process.wait(60) == 1
            assert f"{topic}/{partition} offset {offset}" in ended.log.read_text()
    with worker(settings) as running:
        for place, found in (
            ((topic, partition, offset + 1), f"stands at {topic} offset {offset}"),
            (("x", 0, 0), "x is"),
        ):
            with pytest.raises(UsageError, match=found):
                set_aside(world.bootstrap, settings, *place, "another one", 0)
        set_aside(world.bootstrap, settings, topic, partition, offset, "it is no alert", 0)
        wait_for(lambda: len(receiver.accepted) == 1, [running])
    (letter,) = letters(world.bootstrap, settings, "set-aside")
    assert (letter.topic, letter.value, letter.detail) == (topic, b"no alert", "it is no alert")


@pytest.mark.parametrize("wrong_by_s", [-864_000, 864_000])
def test_a_wall_clock_that_is_wrong_changes_nothing(
    settings: Settings, world: World, receiver: Receiver, tmp_path: Path, wrong_by_s: int
) -> None:
    """Ten days ahead what fails once were given up, or kept for later than anybody waits; ten days behind too."""
    clock = tmp_path / "clock"
    clock.write_text(str(wrong_by_s))
    receiver.answer = lambda _, before: Reply(500 if before == 0 else 200)
    world.configure(to_hook(receiver))
    messages = story(2, 2)
    world.send(*messages)
    with worker(settings, CHAOS_CLOCK=str(clock)) as running:
        wait_for(lambda: is_complete(receiver, messages), [running])
        assert running.stop() == 0
    require_delivered(receiver, messages)
    assert all(abs(int(each.headers["webhook-timestamp"]) - each.at) < 60 for each in receiver.received)


def test_a_destination_is_paused_and_disables_itself(settings: Settings, world: World, receiver: Receiver) -> None:
    """What comes meanwhile waits; a person lets it go on."""
    world.configure(to_hook(receiver))
    give_orders(world.bootstrap, settings, Pause("hook"))
    world.send(alert("Acme"), alert("Beta"))
    with worker(settings) as running:
        wait_for(lambda: states(world) == {("hook", "waiting"): 2}, [running])
        time.sleep(2)
        assert receiver.received == []
        receiver.answer = lambda *_: Reply(410)
        give_orders(world.bootstrap, settings, Resume("hook"))
        wait_for(lambda: ("hook", "dead") in states(world), [running])
        held = read_deliveries(world.bootstrap, settings).held["hook"]
        assert (held.is_paused, held.disabled) == (False, "HTTP 410: nothing is wanted there any more")
        world.send(alert("Gamma"))
        wait_for(lambda: ("hook", "waiting") in states(world), [running])
        asked = len(receiver.received)
        receiver.answer = lambda *_: Reply()
        give_orders(world.bootstrap, settings, Resume("hook"))
        wait_for(lambda: states(world)["hook", "delivered"] >= 1, [running])
    assert asked <= 2


def test_a_destination_changes_while_it_is_sent_to(settings: Settings, world: World, receiver: Receiver) -> None:
    """What is under way ends first; what waits goes where the destination is now; others do not wait for that."""
    (port,) = free_ports(1)
    route = {"name": "all", "to": ["hook"], "milestones": ["*"]}
    silent = {"kind": "webhook", "url": f"http://127.0.0.1:{port}/", "timeout_s": 8.0}
    world.configure(file_of({"hook": silent}, [route]))
    with silent_server(port), worker(settings) as running:
        world.send(alert("Acme", 1))
        wait_for(lambda: states(world) == {("hook", "waiting"): 1}, [running])
        time.sleep(1)
        hook = {"kind": "webhook", "url": receiver.url}
        both = {"hook": hook, "other": {"kind": "webhook", "url": f"{receiver.url}/other"}}
        world.configure(file_of(both, [route, {**route, "name": "more", "to": ["other"]}]))
        world.send(alert("Acme", 2))
        wait_for(lambda: [each.path for each in receiver.accepted] == ["/hook/other"], [running], 6)
        wait_for(lambda: len(receiver.accepted) == 3, [running])
    assert [said(each)[0][0] for each in receiver.accepted[1:]] == ["Acme-1", "Acme-2"]


def test_a_secret_stays_where_it_is(settings: Settings, world: World, receiver: Receiver) -> None:
    """A delivery waits for one that is missing or of no use, and goes when it is right; none is in a log, on a topic or
    in a row."""
    assert settings.secrets_folder is not None
    hook = {"kind": "webhook", "url_secret": "address", "bearer": "token", "signing": ["new"]}
    world.configure(file_of({"hook": hook}, [{"name": "all", "to": ["hook"], "milestones": ["*"]}]))
    world.send(alert("Acme"))
    secret = "s3cr3t-Tok3n"
    with worker(settings) as running:
        wait_for(lambda: any("no secret 'address'" in (each.why or "") for each in all_states(world)), [running])
        (settings.secrets_folder / "token").write_text(secret)
        (settings.secrets_folder / "address").write_text(f"http://127.0.0.1:1/{secret}")
        wait_for(lambda: any("ClientConnectorError" in (each.why or "") for each in all_states(world)), [running])
        (settings.secrets_folder / "token").write_text(f"{secret}\nX: y")
        (settings.secrets_folder / "address").write_text(f"{receiver.url}?key={secret}")
        wait_for(lambda: any("not one line of ASCII" in (each.why or "") for each in all_states(world)), [running])
        assert [each.state for each in all_states(world)] == ["waiting"]
        (settings.secrets_folder / "token").write_text(f"{secret}\n")
        wait_for(lambda: len(receiver.accepted) == 1, [running])
        log = running.log.read_text()
    assert receiver.accepted[0].headers["authorization"] == f"Bearer {secret}"
    topics = [f"{settings.prefix}.{name}.0" for name in ("deliveries", "deliver-changelog", "delivery-orders")]
    held = [(each.value or b"") + each.key for topic in topics for each in read_topic(world.bootstrap, topic)]
    key = base64.b64encode(b"the key from today, 24b.")
    assert secret not in log
    assert not any(secret.encode() in each or key in each for each in held)


def all_states(world: World) -> list[DeliveryStatus]:
    return list(delivery_states(world.bootstrap, world.settings))


def states(world: World) -> Counter[tuple[str, str]]:
    """How many deliveries of a destination are in a state."""
    return Counter((each.destination, each.state) for each in all_states(world))


@contextmanager
def silent_server(port: int) -> Iterator[None]:
    """Accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", port), backlog=64):
        yield


def test_many_at_once_and_what_is_deferred(settings: Settings, world: World, receiver: Receiver) -> None:
    """Files and a topic get what waits, in order; what nobody acknowledges is escalated once its time is over."""
    topic = f"out-{settings.prefix}"
    make_topic(world.bootstrap, topic)
    destinations = {
        "hook": {"kind": "webhook", "url": receiver.url},
        "boss": {"kind": "webhook", "url": f"{receiver.url}/boss"},
        "files": {"kind": "folder", "folder": "files", "every_s": 0.5},
        "topic": {"kind": "kafka", "topic": topic},
    }
    routes = [
        {"name": "all", "to": ["files", "topic"], "milestones": ["*"]},
        {"name": "hot", "to": ["hook"], "milestones": ["*"], "escalate": {"after_s": 4, "to": ["boss"]}},
    ]
    messages = [alert(f"A{number % 5}", number) for number in range(60)]
    world.configure(file_of(destinations, routes))
    with worker(settings) as running:
        world.send(*messages[:30])
        wait_for(lambda: len(receiver.accepted) >= 30, [running])
        give_orders(world.bootstrap, settings, *(Acknowledge(each.id) for each in messages[1:30]))
        world.send(*messages[30:])
        give_orders(world.bootstrap, settings, *(Acknowledge(each.id) for each in messages[30:]))
        done = {("files", "delivered"): 60, ("topic", "delivered"): 60, ("hook", "delivered"): 60}
        wait_for(lambda: states(world) >= Counter(done), [running])
        wait_for(lambda: states(world)["boss", "delivered"] >= 1, [running])
    escalated = [each for each in receiver.accepted if each.path.endswith("boss")]
    assert messages[0].id in {each.message["data"]["id"] for each in escalated}
    assert {each.message["type"] for each in escalated} == {"milestone.escalated"}
    lines = [
        msgspec.json.decode(line)["data"]
        for path in sorted((settings.folder / "deliveries" / "files").iterdir())
        for line in path.read_bytes().splitlines()
    ]
    events = [msgspec.json.decode(each.value or b"") for each in read_topic(world.bootstrap, topic)]
    for found in (lines, events):
        for account in {each.who.account for each in messages}:
            mine = [each["id"] for each in found if each["who"]["account"] == account]
            assert mine == [each.id for each in messages if each.who.account == account]
