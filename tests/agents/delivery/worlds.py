"""Alerts and changes to deliver, and workers of the role deliver as processes."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

from agents.ordering import configure_of, give_orders
from agents.settings import Settings
from state.delivery.configuration import DeliveryFile
from streams.alert import Alert, Involved, LedBy, encode_alert
from streams.membership import MembershipChange, encode_change
from streams.partitioning import partition_of
from streams.topics import topic_name

AT_MS = 1_788_220_800_000


def alert(account: str, number: int = 0, revision: int = 1, **changed: Any) -> Alert:
    """The alert of a milestone of an account; asserted by odd revisions and revoked by even ones."""
    plain: dict[str, Any] = {
        "format": 1, "id": f"{account}-{number}", "revision": revision,
        "state": "asserted" if revision % 2 else "revoked",
        "milestone": "opportunity-created", "version": "v1", "title": "Opportunity created", "tier": "a",
        "who": Involved(account, "account", None, "Sam Owner", ["jo@acme.example"]), "episode": None,
        "happened_ms": AT_MS, "known_ms": AT_MS + 1_000,
        "touchpoints": [LedBy(AT_MS - 60_000, "Page Viewed", "website", "e1", "jo@acme.example", content="/pricing")],
        "path": ["lead-form"], "links": {"Story": f"https://milepost.example/account/{account}"},
    }  # fmt: skip
    return Alert(**{**plain, **changed})


def change(account: str, revision: int = 1, **changed: Any) -> MembershipChange:
    """An entry into an audience by odd revisions, an exit by even ones."""
    plain: dict[str, Any] = {
        "format": 1, "id": f"change-{account}-{revision}", "revision": revision,
        "change": "entered" if revision % 2 else "exited", "audience": "warm", "version": "v1",
        "kind": "account", "account": account, "container": None, "reason": "score above 10",
        "attributes": {"email": "Jo.Doe@Gmail.com", "domain": "www.acme.example"},
        "happened_ms": AT_MS, "known_ms": AT_MS,
    }  # fmt: skip
    return MembershipChange(**{**plain, **changed})


def make_topic(bootstrap: str, topic: str) -> None:
    """Makes a topic of one partition; returns when the broker names it, which may be later than it is made."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([NewTopic(name=topic, num_partitions=1, replication_factor=1)])
    admin.wait_for_topics([topic])
    admin.close()


class World:
    """Topics of one test, to which alerts and changes are sent, each to its account's partition."""

    def __init__(self, settings: Settings) -> None:
        assert settings.bootstrap_servers is not None
        self.settings = settings
        self.bootstrap = settings.bootstrap_servers
        self._producer = KafkaProducer(bootstrap_servers=self.bootstrap, acks="all")

    def configure(self, file: DeliveryFile) -> None:
        give_orders(self.bootstrap, self.settings, configure_of(file))

    def send(self, *messages: Alert | MembershipChange) -> None:
        for each in messages:
            is_alert = isinstance(each, Alert)
            account = each.who.account if isinstance(each, Alert) else each.account
            key = each.id if isinstance(each, Alert) else f"{each.audience}\0{each.kind}\0{account}\0"
            self._producer.send(
                topic_name("milestones" if is_alert else "audience-changes", self.settings.prefix, 0),
                encode_alert(each) if isinstance(each, Alert) else encode_change(each),
                key.encode(),
                partition=partition_of(account.encode(), self.settings.partitions),
            )
        self._producer.flush()

    def append(self, topic: str, partition: int, value: bytes) -> int:
        """Puts anything there; at which offset."""
        return int(self._producer.send(topic, value, b"any", partition=partition).get(30).offset)

    def close(self) -> None:
        self._producer.close()


class DeliverWorker:
    """A worker process of the role deliver."""

    def __init__(self, settings: Settings, worker_id: str = "0", **environment: str) -> None:
        self.log = settings.folder / f"deliver-{worker_id}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        program = "chaos.worker" if "CHAOS_CLOCK" in environment else "agents.main"
        command = [sys.executable, "-m", program, "worker", "--roles", "deliver", "--worker-id", worker_id]
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                command, stdout=out, stderr=subprocess.STDOUT, env={**settings.as_environment(), **environment}
            )

    def kill(self) -> None:
        """As kill -9."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """In order."""
        self.process.terminate()
        return self.process.wait(40)


@contextmanager
def worker(settings: Settings, worker_id: str = "0", **environment: str) -> Iterator[DeliverWorker]:
    """A worker that is killed in the end, if it lives."""
    running = DeliverWorker(settings, worker_id, **environment)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.kill()


def wait_for(condition: Callable[[], bool], workers: Sequence[DeliverWorker] = (), patience_s: float = 60) -> None:
    """Until it holds; workers must live meanwhile."""
    deadline = time.monotonic() + patience_s
    while not condition():
        for each in workers:
            assert each.process.poll() is None, each.log.read_text()[-3_000:]
        log = workers[0].log.read_text()[-3_000:] if workers else ""
        assert time.monotonic() < deadline, f"not within {patience_s} s\n{log}"
        time.sleep(0.02)


def file_of(destinations: dict[str, Any], routes: Sequence[dict[str, Any]]) -> DeliveryFile:
    return DeliveryFile.model_validate({"version": 1, "destinations": destinations, "routes": list(routes)})


def secrets_folder(folder: Path, **secrets: str) -> Path:
    """A folder with a file per secret; _ in a name stands for -."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in secrets.items():
        (folder / name.replace("_", "-")).write_text(value)
    os.chmod(folder, 0o700)
    return folder
