"""Mail by SMTP, in a thread: the standard library's client, at the address that was checked, with TLS for the name."""

import asyncio
import smtplib
import socket
import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from agents.delivery.guard import ForbiddenAddressError, Guard
from agents.delivery.secrets import MissingSecretError, Secrets
from state.delivery.configuration import Email
from state.delivery.formats.email import mail_of
from state.delivery.retries import Answer
from state.delivery.rows import Delivery


class EmailSender:
    """A connection and a mail per delivery."""

    takes_many = False

    def __init__(self, destination: Email, secrets: Secrets, guard: Guard) -> None:
        self._destination = destination
        self._secrets = secrets
        self._guard = guard
        # Of its own, so that a server that says nothing keeps no other destination waiting.
        self._threads = ThreadPoolExecutor(destination.at_once, "mail")

    async def send(self, deliveries: Sequence[Delivery]) -> Answer:
        (delivery,) = deliveries
        destination = self._destination
        try:
            password = None if destination.password is None else self._secrets.get(destination.password)
            address = await self._guard.address_of(destination.host, destination.port)
            loop = asyncio.get_running_loop()
            left_out = await loop.run_in_executor(self._threads, self._mail, delivery, address, password)
        except smtplib.SMTPException as error:
            return _answer_of(error)
        except MissingSecretError as error:
            return Answer("later", str(error))
        except OSError as error:
            return Answer("later", f"{type(error).__name__}: {error}")
        except ForbiddenAddressError as error:
            return Answer("refused", str(error))
        except ValueError:  # not its text, which may hold a part of the password
            return Answer("later", "the host is no name of the DNS, or user or password is not one line of ASCII")
        if left_out:
            # Not again by itself: each try would reach the others once more.
            return Answer("refused", f"SMTP {', '.join(map(str, left_out))} for {len(left_out)} of those it is for")
        return Answer("done")

    def _mail(self, delivery: Delivery, address: str, password: str | None) -> list[int]:
        """Returns the codes of recipients whom the server did not take while it took others."""
        destination = self._destination
        with _client(destination, address) as client:
            if destination.tls == "starttls":
                client.starttls(context=ssl.create_default_context())
            if destination.user is not None and password is not None:
                client.login(destination.user, password)
            refused = client.send_message(mail_of(delivery, destination.sender, destination.to))
        return [code for code, _ in refused.values()]

    async def close(self) -> None:
        self._guard.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


def _client(destination: Email, address: str) -> smtplib.SMTP:
    """Connected to the address; what TLS checks is the name."""
    timeout = destination.timeout_s

    class Plain(smtplib.SMTP):
        def _get_socket(self, host: str, port: int, timeout: Any) -> socket.socket:
            return socket.create_connection((address, port), timeout)

    class Wrapped(smtplib.SMTP_SSL):
        def _get_socket(self, host: str, port: int, timeout: Any) -> socket.socket:
            plain = socket.create_connection((address, port), timeout)
            return self.context.wrap_socket(plain, server_hostname=host)

    if destination.tls == "tls":
        return Wrapped(destination.host, destination.port, timeout=timeout, context=ssl.create_default_context())
    return Plain(destination.host, destination.port, timeout=timeout)


def _answer_of(error: smtplib.SMTPException) -> Answer:
    """A code of 500 and more is for good, unless it is about who we are: then the next try may have another password.
    The server's text is left out, for it may repeat what we said."""
    name = type(error).__name__
    match error:
        case smtplib.SMTPRecipientsRefused():
            codes = [code for code, _ in error.recipients.values()]
            why = f"{name}: {', '.join(map(str, codes))}"
            return Answer("refused" if all(code >= 500 for code in codes) else "later", why)
        case smtplib.SMTPAuthenticationError():
            return Answer("later", f"{name}: {error.smtp_code}")
        case smtplib.SMTPResponseException():
            return Answer("refused" if error.smtp_code >= 500 else "later", f"{name}: {error.smtp_code}")
    return Answer("later", name)
