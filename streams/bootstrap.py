"""Which Kafka, and as whom: what every client of aiokafka and kafka-python is made with.

The law: an address that came from the settings says itself how it is spoken to, so nobody between passes that along.
"""

import asyncio
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Self

from streams.errors import UnavailableError

_LOOK_MS = 3_000


class Security(NamedTuple):
    """How a client speaks to the brokers. protocol, mechanism: by Kafka's names; without a mechanism it gives no
    password, without tls nothing is encrypted."""

    protocol: str
    tls: ssl.SSLContext | None
    mechanism: str | None
    username: str | None
    password: str | None

    def __repr__(self) -> str:
        return f"Security({self.protocol}, {self.mechanism}, {self.username})"


class Bootstrap(str):
    """`host:port[,host:port]`, and how its brokers are spoken to. A string to whoever only passes it on or shows it."""

    security: Security

    def __new__(cls, servers: str, security: Security) -> Self:
        found = super().__new__(cls, servers)
        found.security = security
        return found


def security_of(bootstrap: str) -> Security | None:
    """None for brokers that are spoken to in the clear and without a password."""
    return bootstrap.security if isinstance(bootstrap, Bootstrap) else None


def client_options(bootstrap: str) -> dict[str, Any]:
    """What a client needs to reach the brokers, by the names that aiokafka and kafka-python share."""
    servers = bootstrap.split(",")
    security = security_of(bootstrap)
    if security is None:
        return {"bootstrap_servers": servers}
    options = {
        "bootstrap_servers": servers,
        "security_protocol": security.protocol,
        "ssl_context": security.tls,
    }
    if security.mechanism is not None:
        options |= {
            "sasl_mechanism": security.mechanism,
            "sasl_plain_username": security.username,
            "sasl_plain_password": security.password,
        }
    return options


def unreachable(bootstrap: str, error: Exception) -> UnavailableError:
    """What to tell the user where a client could not begin. Of brokers that let nobody in who does not show who he is,
    clients keep the reason for themselves, so the first one is asked again."""
    security = security_of(bootstrap)
    if security is not None and (refusal := _refusal(bootstrap, security)) is not None:
        return UnavailableError(f"Kafka at {bootstrap} does not let {security.username or 'milepost'} in: {refusal}")
    wanted = "" if security is not None else ", set MILEPOST_SECURITY_PROTOCOL when it wants TLS or a password"
    return UnavailableError(
        f"no Kafka answers at {bootstrap} ({error}). Start it, name another one with --bootstrap-servers"
        f" HOST:PORT{wanted}, or leave the option out to use the embedded one."
    )


def _refusal(bootstrap: str, security: Security) -> str | None:
    """Why the first broker does not; None where it does, or where none is there."""
    with ThreadPoolExecutor(1) as beside:  # for a loop may run in this thread
        return beside.submit(asyncio.run, _asked(bootstrap, security)).result()


async def _asked(bootstrap: str, security: Security) -> str | None:
    # Commands do without aiokafka, which takes them 0.1 s to import.
    from aiokafka.conn import create_conn
    from aiokafka.errors import KafkaConnectionError, KafkaError

    host, _, port = bootstrap.split(",")[0].rpartition(":")
    options = client_options(bootstrap)
    del options["bootstrap_servers"]
    try:
        (await create_conn(host, int(port), request_timeout_ms=_LOOK_MS, **options)).close()
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not trusted ({error.verify_message}); MILEPOST_SSL_CAFILE names whose are"
    except ssl.SSLError as error:
        return f"TLS with it fails ({error}); look at MILEPOST_SECURITY_PROTOCOL and MILEPOST_SSL_CERTFILE"
    except (KafkaConnectionError, ConnectionResetError, ConnectionAbortedError):
        wanted = "a certificate, MILEPOST_SSL_CERTFILE, or " if security.tls is not None else ""
        return f"it ends the connection, as one does that wants {wanted}another MILEPOST_SECURITY_PROTOCOL"
    except KafkaError as error:
        return (
            f"{error}; look at MILEPOST_SASL_USERNAME, its password and MILEPOST_SASL_MECHANISM ({security.mechanism})"
        )
    except OSError:
        pass  # nobody is there
    return None
