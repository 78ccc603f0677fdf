"""Mail by SMTP, in a thread: the standard library's client, at the address that was checked, with TLS for the name."""

import asyncio
import contextlib
import smtplib
import socket
import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO

from agents.delivery.guard import ForbiddenAddressError, Guard
from agents.delivery.secrets import MissingSecretError, Secrets
from agents.delivery.sender import ANSWER_BYTES_MAX
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
            left_out = await self._in_time(delivery, address, password)
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

    async def _in_time(self, delivery: Delivery, address: str, password: str | None) -> list[int]:
        """As `_mail`. Raises TimeoutError when the server takes longer, and ends what the thread waits for then."""
        seconds, loop, client = self._destination.timeout_s, asyncio.get_running_loop(), None
        try:
            async with asyncio.timeout(seconds):
                # In the thread too: it asks for this machine's name.
                client = await loop.run_in_executor(self._threads, _Client, self._destination, address)
                return await loop.run_in_executor(self._threads, self._mail, client, delivery, password)
        except TimeoutError as error:
            raise TimeoutError(str(error) or f"the mail was not taken within {seconds:g} s") from None
        finally:
            if client is not None:
                client.cut()

    def _mail(self, client: "_Client", delivery: Delivery, password: str | None) -> list[int]:
        """Returns the codes of recipients whom the server did not take while it took others."""
        destination = self._destination
        try:
            code, text = client.connect(destination.host, destination.port)
            if code != 220:
                raise smtplib.SMTPConnectError(code, text)
            if destination.tls == "starttls":
                client.starttls(context=ssl.create_default_context())
            if destination.user is not None and password is not None:
                client.login(destination.user, password)
            mail = mail_of(delivery, destination.sender, destination.to, destination.sender_name)
            refused = client.send_message(mail)
            # The mail was taken, whatever is said to the farewell, and however late.
            with contextlib.suppress(OSError):
                client.putcmd("QUIT")
        finally:
            client.close()
        return [code for code, _ in refused.values()]

    async def close(self) -> None:
        self._guard.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


class _Answers:
    """What a server says, up to ANSWER_BYTES_MAX."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = ANSWER_BYTES_MAX

    def readline(self, size: int) -> bytes:
        line = self._file.readline(size)
        self._left -= len(line)
        if self._left < 0:
            raise OSError(f"the server says more than {ANSWER_BYTES_MAX:,} bytes")
        return line

    def close(self) -> None:
        self._file.close()


class _Client(smtplib.SMTP):
    """Connects to the address that was checked, and can be ended from another thread; what TLS checks is the name."""

    def __init__(self, destination: Email, address: str) -> None:
        super().__init__(timeout=destination.timeout_s)
        self._host = destination.host  # for whom STARTTLS is
        self._is_wrapped = destination.tls == "tls"
        self._address = address
        self._is_cut = False

    def _get_socket(self, host: str, port: int, timeout: Any) -> socket.socket:
        plain = socket.create_connection((self._address, port), timeout)
        return ssl.create_default_context().wrap_socket(plain, server_hostname=host) if self._is_wrapped else plain

    def getreply(self) -> tuple[int, bytes]:
        if self._is_cut or self.sock is None:  # cut while the socket was being made, or wrapped
            raise smtplib.SMTPServerDisconnected("the connection was ended")
        if self.file is None:
            self.file = _Answers(self.sock.makefile("rb"))
        return super().getreply()

    def cut(self) -> None:
        """Ends what waits for the server; nothing when it is closed."""
        self._is_cut = True
        if (connected := self.sock) is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connected, socket.SHUT_RDWR)  # below TLS, which its own thread ends


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
