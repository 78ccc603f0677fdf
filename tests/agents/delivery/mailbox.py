"""A small real SMTP server that keeps what is mailed."""

import email
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from streams.broker import free_ports

PASSWORD = "pass-word"


class Mailbox:
    """Keeps what is mailed, with when (time.time), and refuses whom it is told to."""

    def __init__(self) -> None:
        self.mails: list[Message] = []
        self.times: list[float] = []
        self.refusal: str | None = None
        self.refused = "@"

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, _: Any) -> str:
        if self.refusal is not None and self.refused in address:
            return self.refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.times.append(time.time())
        self.mails.append(email.message_from_bytes(envelope.content, policy=default))
        return "250 OK"


@contextmanager
def mailing() -> Iterator[tuple[Mailbox, int]]:
    """The mailbox of a server that wants PASSWORD, and its port on 127.0.0.1."""
    box, (port,) = Mailbox(), free_ports(1)
    controller = Controller(
        box, hostname="127.0.0.1", port=port, authenticator=_knows, auth_required=True, auth_require_tls=False
    )
    controller.start()
    try:
        yield box, port
    finally:
        controller.stop()


def _knows(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    return AuthResult(success=data.password == PASSWORD.encode())
