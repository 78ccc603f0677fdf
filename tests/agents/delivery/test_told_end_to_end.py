"""From a source's event to a seller: all roles on a real Kafka, a real HTTP receiver and a real mail server."""

import json
import time
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from kafka import KafkaProducer

from agents.defining import apply_definitions
from agents.ordering import configure_of, give_orders
from agents.pipeline import Workers
from agents.settings import Settings
from state.definitions import DefinitionFile
from streams.admin import create_topics
from streams.broker import EmbeddedBroker
from streams.topics import topic_name
from tests.agents.delivery.mailbox import PASSWORD, mailing
from tests.agents.delivery.receiver import receiving
from tests.agents.delivery.worlds import file_of, secrets_folder, wait_for

pytestmark = [pytest.mark.broker, pytest.mark.filterwarnings("ignore:Requiring AUTH")]  # there is no TLS here
ROLES = [["accounts"], ["ingest", "snapshots", "deliver"]]
ACCOUNTS, EVERY_S = 40, 0.05
DEMO = {"field": "type", "op": "=", "value": "Demo"}
DEFINITIONS = DefinitionFile.model_validate(
    {
        "version": 1,
        "analyses": [
            {"name": "demos", "kind": "canvas", "container": "account", "nodes": [{"id": "demo", "match": DEMO}]}
        ],
        "milestones": [{"name": "demo", "title": "Demo requested", "container": "account", "when": {"match": DEMO}}],
    }
)


def test_a_seller_is_told_of_an_event_within_a_second(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> None:
    """By request and by mail, once of each account; what is withdrawn is corrected in both, under the first message's
    id. Half of what is told takes less than a second; `make bench` finds the 99th percentile under load."""
    secrets = secrets_folder(tmp_path / "secrets", mail=PASSWORD)
    settings = Settings(
        folder=tmp_path, prefix=prefix, bootstrap_servers=kafka.bootstrap_servers, session_timeout_s=6, partitions=2,
        delivery_private_hosts="127.0.0.1", secrets_folder=secrets,
    )  # fmt: skip
    bootstrap = kafka.bootstrap_servers
    create_topics(bootstrap, prefix, settings.generation, settings.partitions, settings.replication)
    apply_definitions(DEFINITIONS, bootstrap, settings, int(time.time() * 1000) - 60_000)
    with receiving() as receiver, mailing() as (box, port):
        mail = {
            "kind": "email", "host": "127.0.0.1", "port": port, "tls": "none", "sender": "m@example.com",
            "to": ["sam@example.com"], "user": "milepost", "password": "mail",
        }  # fmt: skip
        to = {"hook": {"kind": "webhook", "url": receiver.url}, "mail": mail}
        give_orders(bootstrap, settings, configure_of(file_of(to, [{"name": "all", "to": [*to], "milestones": ["*"]}])))
        workers, crm = Workers(settings, bootstrap, ROLES), Crm(settings)
        workers.start()

        def wait_for_messages(count: int) -> None:
            wait_for(lambda: len(receiver.accepted) >= count and len(box.mails) >= count)

        try:
            crm.send("first")
            wait_for_messages(1)
            sent_at = []
            for number in range(ACCOUNTS):
                sent_at.append(crm.send(f"a{number}"))
                time.sleep(EVERY_S)
            wait_for_messages(1 + ACCOUNTS)
            crm.send("a0", operation="withdraw", revision=1)
            wait_for_messages(2 + ACCOUNTS)
            workers.require_running()
        finally:
            workers.stop()
            crm.close()
    _, *alerts, correction = receiver.accepted
    _, *mails, reply = box.mails
    by_account = {each.message["data"]["who"]["account"]: each for each in alerts}
    assert (len(alerts), by_account.keys()) == (ACCOUNTS, {f"a{number}" for number in range(ACCOUNTS)})
    assert {each["Subject"] for each in mails} == {f"Demo requested · a{number}" for number in range(ACCOUNTS)}
    assert (correction.message["type"], correction.message["corrects"]) == ("milestone.revoked", by_account["a0"].id)
    (first,) = [each for each in mails if each["Subject"].endswith(" a0")]
    assert reply["In-Reply-To"] == first["Message-ID"]
    waits = [by_account[f"a{number}"].at - at for number, at in enumerate(sent_at)]
    assert median(waits) < 1.0
    mailed_at = {each["Subject"].rpartition(" ")[2]: at for each, at in zip(mails, box.times[1:-1], strict=True)}
    assert median(mailed_at[f"a{number}"] - at for number, at in enumerate(sent_at)) < 1.0


class Crm:
    """Sends events of accounts, each known by its account's name."""

    def __init__(self, settings: Settings) -> None:
        self._topic = topic_name("crm-events", settings.prefix, settings.generation)
        self._producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers)

    def send(self, account: str, **more: Any) -> float:
        """When (time.time) it was sent."""
        at = time.time()
        event = {
            "version": 1, "source": "crm", "event_id": account, "event_time": int(at * 1000), "account": account,
            "type": "Demo", **more,
        }  # fmt: skip
        self._producer.send(self._topic, json.dumps(event).encode())
        return at

    def close(self) -> None:
        self._producer.close()
