"""The deliver agent on a real Kafka, with a real receiver: what is promised, under every fault."""

import base64
import hashlib
import hmac
from collections.abc import Iterator
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from agents.settings import Settings
from state.delivery.configuration import DeliveryFile
from streams.admin import create_topics
from streams.broker import EmbeddedBroker
from tests.agents.delivery.receiver import Received, Receiver, receiving
from tests.agents.delivery.worlds import World, alert, file_of, secrets_folder, wait_for, worker

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
