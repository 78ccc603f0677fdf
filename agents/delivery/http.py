"""Requests to webhooks and to Slack: an address that was checked, no redirects, no proxies, bounded in time and
size."""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from aiohttp import (
    ClientError,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    InvalidURL,
    ServerDisconnectedError,
    TCPConnector,
)
from standardwebhooks.webhooks import EmptyWebhookSecretError
from standardwebhooks.webhooks import Webhook as Signing
from yarl import URL

from agents.delivery.guard import ForbiddenAddressError, Guard
from agents.delivery.secrets import MissingSecretError, Secrets
from agents.delivery.sender import ANSWER_BYTES_MAX
from state.delivery.configuration import Slack, Webhook
from state.delivery.formats.message import webhook_body, webhook_value
from state.delivery.formats.slack import slack_body
from state.delivery.formats.template import TemplateProblemError, rendered
from state.delivery.retries import Answer
from state.delivery.rows import Delivery

# Not of ClientResponseError: its text has the receiver's bytes, which may repeat what we said.
_TOLD = (ForbiddenAddressError, OSError, ServerDisconnectedError)
_LATER = frozenset((408, 425, 429))
_SCHEMES = ("http", "https")


class HttpSender:
    """A request per delivery."""

    takes_many = False

    def __init__(
        self, destination: Webhook | Slack, secrets: Secrets, guard: Guard, now_s: Callable[[], float]
    ) -> None:
        """now_s: what time it is, in seconds UTC."""
        self._destination = destination
        self._secrets = secrets
        self._guard = guard
        self._now_s = now_s
        self._session: ClientSession | None = None

    async def send(self, deliveries: Sequence[Delivery]) -> Answer:
        (delivery,) = deliveries
        try:
            async with asyncio.timeout(self._destination.timeout_s):
                return await self._request(delivery)
        except (ForbiddenAddressError, InvalidURL) as error:
            return Answer("refused", self._said(error))
        except (MissingSecretError, OSError, ClientError) as error:
            return Answer("later", self._said(error))  # a certificate that is not believed too, which is a ValueError
        except ValueError as error:
            return Answer("refused", self._said(error))

    def _said(self, error: Exception) -> str:
        """What is told of an error: its text only where no secret can be part of it."""
        name = type(error).__name__
        if isinstance(error, MissingSecretError | TemplateProblemError):
            return str(error)
        if self._destination.url_secret is None and isinstance(error, _TOLD):
            return f"{name}: {error}"
        return name

    async def _request(self, delivery: Delivery) -> Answer:
        url = self._url()
        assert url.host is not None, "a web address"
        assert url.port is not None, "a web address"
        address = await self._guard.address_of(url.host, url.port)
        headers, body = self._content(delivery)
        async with self._opened().request(
            self._method,
            url.with_host(address),
            headers={**headers, "Host": url.host_port_subcomponent or url.host},
            data=body,
            allow_redirects=False,
            server_hostname=url.raw_host,
        ) as response:
            size = 0
            async for chunk in response.content.iter_any():
                size += len(chunk)
                if size > ANSWER_BYTES_MAX:
                    break
        return answer_of(response.status, response.headers.get("Retry-After"), self._now_s())

    def _opened(self) -> ClientSession:
        """A session of its own: connections are kept by address, and must not be shared with another host there."""
        if self._session is None:
            self._session = ClientSession(
                connector=TCPConnector(ssl=ssl.create_default_context(), limit=self._destination.at_once),
                cookie_jar=DummyCookieJar(),
                headers={"User-Agent": "milepost"},
                timeout=ClientTimeout(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    def _url(self) -> URL:
        secret = self._destination.url_secret
        if secret is None:
            assert isinstance(self._destination, Webhook)
            assert self._destination.url is not None, "one of the two is given"
            return _parsed(self._destination.url)
        try:
            url = _parsed(self._secrets.get(secret))
            if url.scheme in _SCHEMES and url.host and url.port:
                return url
        except ValueError:  # its text has the secret
            pass
        raise MissingSecretError(f"the secret {secret!r} is to be the address, and is no web address")

    @property
    def _method(self) -> str:
        return self._destination.method if isinstance(self._destination, Webhook) else "POST"

    def _content(self, delivery: Delivery) -> tuple[dict[str, str], bytes]:
        """Headers and body. Raises MissingSecretError, and ValueError where a template does not fit the message."""
        destination = self._destination
        if isinstance(destination, Slack):
            return {"Content-Type": "application/json"}, slack_body(delivery)
        if destination.template is None:
            body = webhook_body(delivery)
        else:
            body = rendered(destination.template, webhook_value(delivery)).encode()
        headers = {
            **destination.headers,
            "Content-Type": destination.content_type,
            **signed(delivery.id, body, [self._secrets.get(name) for name in destination.signing], self._now_s()),
        }
        if destination.bearer is not None:
            token = self._secrets.get(destination.bearer)
            if not (token.isascii() and token.isprintable()):
                raise MissingSecretError(f"the secret {destination.bearer!r} is not one line of ASCII, as a token is")
            headers["Authorization"] = f"Bearer {token}"
        return headers, body

    async def close(self) -> None:
        self._guard.close()
        if self._session is not None:
            await self._session.close()


def _parsed(url: str) -> URL:
    """An address; one that can be sent as it stands is, for its query may be signed."""
    return URL(url, encoded=url.isascii() and url.isprintable() and " " not in url)


def signed(id_: str, body: bytes, keys: Sequence[str], now_s: float) -> dict[str, str]:
    """The headers of Standard Webhooks: the id always, so that a repeat is known; a signature per key, if any.

    Raises MissingSecretError for a key that is none.
    """
    headers = {"webhook-id": id_, "webhook-timestamp": str(int(now_s))}
    if keys:
        when = datetime.fromtimestamp(int(now_s), UTC)
        try:
            headers["webhook-signature"] = " ".join(Signing(key).sign(id_, when, body.decode()) for key in keys)
        except (ValueError, EmptyWebhookSecretError):
            # Not `from`: what the library says of a key may hold it.
            raise MissingSecretError("a key to sign with is not as Standard Webhooks has it: whsec_BASE64") from None
    return headers


def answer_of(status: int, retry_after: str | None, now_s: float) -> Answer:
    """What a status means."""
    why = f"HTTP {status}"
    if 200 <= status < 300:
        return Answer("done")
    if status == 410:
        return Answer("gone", f"{why}: nothing is wanted there any more")
    if status in _LATER or status >= 500:
        return Answer("later", why, _wait_ms(retry_after, now_s))
    if 300 <= status < 400:
        return Answer("refused", f"{why}: redirects are not followed")
    return Answer("refused", why)


def _wait_ms(retry_after: str | None, now_s: float) -> int:
    """What `Retry-After` asks for: seconds or a date, of UTC where it names no zone; 0 for what is neither."""
    if retry_after is None:
        return 0
    if retry_after.isascii() and retry_after.isdigit():
        return int(retry_after[:9]) * 1000
    try:
        when = parsedate_to_datetime(retry_after)
        at_s = (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return 0
    return max(0, int((at_s - now_s) * 1000))
