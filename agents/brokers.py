"""How the brokers that the settings name are spoken to."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from agents.settings import Settings
from streams.bootstrap import Bootstrap, Security
from streams.errors import UnavailableError, UsageError

_PASSWORD_BYTES_MAX = 8_192
_OF_SASL = ("sasl_username", "sasl_password", "sasl_password_file")
_OF_TLS = ("ssl_cafile", "ssl_certfile", "ssl_keyfile", "ssl_key_password")


def named_brokers(settings: Settings) -> str | None:
    """The brokers that the settings name, with how to speak to them; None when they name none.

    Raises UsageError for settings of which one contradicts the other, or whose certificates are none, UnavailableError
    when a file can not be read.
    """
    protocol, servers = settings.security_protocol, settings.bootstrap_servers
    has_sasl, has_tls = protocol.startswith("SASL_"), protocol.endswith("SSL")
    if servers is None and protocol != "PLAINTEXT":
        _refuse(f"MILEPOST_SECURITY_PROTOCOL is {protocol}, but no brokers are named: set MILEPOST_BOOTSTRAP_SERVERS")
    for names, applies, wanted in ((_OF_SASL, has_sasl, "SASL_SSL"), (_OF_TLS, has_tls, "SSL or SASL_SSL")):
        idle = [f"MILEPOST_{name.upper()}" for name in names if getattr(settings, name) is not None]
        if idle and not applies:
            _refuse(
                f"{' and '.join(idle)} would do nothing, for MILEPOST_SECURITY_PROTOCOL is {protocol}; set that to"
                f" {wanted}"
            )
    if servers is None or protocol == "PLAINTEXT":
        return servers
    tls = _tls(settings) if has_tls else None
    if not has_sasl:
        return Bootstrap(servers, Security(protocol, tls, None, None, None))
    password = _password(settings)
    return Bootstrap(servers, Security(protocol, tls, settings.sasl_mechanism, settings.sasl_username, password))


def _password(settings: Settings) -> str:
    path, password = settings.sasl_password_file, settings.sasl_password
    if path is not None and password is not None:
        _refuse("MILEPOST_SASL_PASSWORD and MILEPOST_SASL_PASSWORD_FILE are both set; take one away")
    if settings.sasl_username is None or (path is None and password is None):
        _refuse(
            f"MILEPOST_SECURITY_PROTOCOL is {settings.security_protocol}: set MILEPOST_SASL_USERNAME, and"
            " MILEPOST_SASL_PASSWORD or MILEPOST_SASL_PASSWORD_FILE"
        )
    if path is None:
        assert password is not None, "one of the two is set"
        return password.get_secret_value()
    try:
        with path.open("rb") as file:
            return file.read(_PASSWORD_BYTES_MAX).decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UnavailableError(f"MILEPOST_SASL_PASSWORD_FILE {path} can not be read: {error}") from error


def _tls(settings: Settings) -> ssl.SSLContext:
    """Brokers must show a certificate of their host's name that somebody signed whom the settings trust."""
    cafile, certfile = settings.ssl_cafile, settings.ssl_certfile
    if certfile is None and (settings.ssl_keyfile is not None or settings.ssl_key_password is not None):
        _refuse("there is a key of a certificate, and no certificate: set MILEPOST_SSL_CERTFILE")
    with _told("MILEPOST_SSL_CAFILE", cafile):
        tls = ssl.create_default_context(cafile=None if cafile is None else str(cafile))
    if certfile is not None:
        secret = settings.ssl_key_password
        # Without a password OpenSSL would ask for one on the terminal.
        password = "" if secret is None else secret.get_secret_value()
        with _told("MILEPOST_SSL_CERTFILE or MILEPOST_SSL_KEYFILE", certfile):
            tls.load_cert_chain(certfile, settings.ssl_keyfile, lambda: password)
    return tls


@contextmanager
def _told(setting: str, path: Path | None) -> Iterator[None]:
    """What goes wrong with a file of certificates, as a message for the user."""
    try:
        yield
    except ssl.SSLError as error:
        raise UsageError(
            f"{setting} {path}: not certificates and keys (PEM) that fit each other, or another password ({error})"
        ) from error
    except OSError as error:
        raise UnavailableError(f"{setting} {path} can not be read: {error.strerror}") from error


def _refuse(why: str) -> NoReturn:
    raise UsageError(why)
