"""The sender of a destination, by its kind."""

from collections.abc import Callable
from typing import assert_never

from agents.delivery.email import EmailSender
from agents.delivery.folder import FolderSender
from agents.delivery.guard import Guard
from agents.delivery.http import HttpSender
from agents.delivery.kafka import KafkaSender
from agents.delivery.secrets import Secrets
from agents.delivery.sender import Sender
from agents.settings import Settings
from state.delivery.configuration import Destination, Email, Folder, KafkaTopic, Slack, Webhook

MakeSender = Callable[[str, Destination], Sender]


def senders_of(settings: Settings, bootstrap: str, partition: int, now_s: Callable[[], float]) -> MakeSender:
    """What makes the senders of a partition's owner, from a destination's name and definition. now_s: what time it is,
    in seconds UTC."""
    secrets = Secrets(settings.secrets_folder)
    folder = settings.delivery_folder or settings.folder / "deliveries"

    def make(name: str, destination: Destination) -> Sender:
        match destination:
            case Webhook() | Slack():
                return HttpSender(destination, secrets, Guard(settings.delivery_private_hosts), now_s)
            case Email():
                return EmailSender(destination, secrets, Guard(settings.delivery_private_hosts))
            case KafkaTopic():
                return KafkaSender(destination, bootstrap, settings.prefix)
            case Folder():
                return FolderSender(
                    destination, folder / destination.folder, f"{name}-{settings.generation}-{partition}"
                )
            case _ as never:
                assert_never(never)

    return make
