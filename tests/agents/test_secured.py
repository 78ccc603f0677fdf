"""Brokers that want TLS, a password or a certificate, and allow a user only what docs/security.md lists."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from click.testing import CliRunner

from agents.brokers import named_brokers
from agents.checking import run_check
from agents.commands.demo import everyday_definitions
from agents.completion import Completion
from agents.connection import connect, settings_of
from agents.defining import apply_definitions, load_definitions
from agents.generating import generate_to_kafka
from agents.live_snapshots import published_snapshots
from agents.main import cli
from agents.pipeline import Workers
from agents.reading import read_definitions
from agents.settings import Settings
from generator.plan import GeneratorPlan
from streams.admin import create_topics
from streams.bootstrap import security_of
from streams.ending import cut_connections
from streams.errors import MilepostError, UnavailableError, UsageError
from streams.restore import reader_of
from tests.agents.secured import KEY_PASSWORD, PASSWORD, USER, Secured, secured_broker

DAY_MS, END_MS = 86_400_000, 1_788_220_800_000
PATIENCE_S = 120.0
PREFIX = "secured"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, jars: Path) -> Iterator[Secured]:
    """One broker for all of them."""
    with secured_broker(tmp_path_factory.mktemp("secured"), jars, PREFIX) as found:
        yield found


@pytest.fixture
def settings_with(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> "SettingsWith":
    """Settings as the environment gives them."""
    return SettingsWith(monkeypatch, tmp_path)


class SettingsWith:
    """Sets what a user sets."""

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path) -> None:
        self._patch = patch
        self._folder = folder

    def __call__(self, environment: dict[str, str], prefix: str = PREFIX) -> Settings:
        for name, value in environment.items():
            self._patch.setenv(name, value)
        return settings_of(folder=self._folder, prefix=prefix, session_timeout_s=6)


@pytest.mark.broker
def test_all_roles_work_with_a_password_over_tls(secured: Secured, settings_with: SettingsWith) -> None:
    """From events to a comparison of all numbers; the worker's log does not have the password."""
    settings = settings_with(secured.environment("scram"))
    with connect(settings) as bootstrap:
        create_topics(bootstrap, PREFIX, settings.generation, settings.partitions, settings.replication)
        apply_definitions(load_definitions(everyday_definitions()), bootstrap, settings, END_MS)
        plan = GeneratorPlan(events=3_000, accounts=100, seed=5, start_ms=END_MS - 90 * DAY_MS, end_ms=END_MS)
        report = asyncio.run(generate_to_kafka(plan, bootstrap, settings))
        completion = Completion(bootstrap, settings, read_definitions(bootstrap, settings))
        completion.expect(report.end_offsets)
        workers = Workers(settings, bootstrap, [["ingest", "accounts", "snapshots", "deliver"]])
        workers.start()
        try:
            deadline = time.monotonic() + PATIENCE_S
            for snapshots in published_snapshots(bootstrap, settings):
                workers.require_running()
                if completion.is_reached(snapshots) and "event=ready" in logged(settings):
                    break
                assert time.monotonic() < deadline, f"not complete after {PATIENCE_S:.0f} s"
            checked = run_check(bootstrap, settings)
        finally:
            workers.stop()
    assert checked.difference_count == 0, checked
    assert sum(each.cell_count for each in checked.analyses) > 100
    assert "prefix secured" in logged(settings)
    assert PASSWORD not in logged(settings)


def logged(settings: Settings) -> str:
    return "".join(path.read_text() for path in (settings.folder / "logs").glob("*.log"))


@pytest.mark.broker
def test_a_connection_over_tls_is_closed_at_once(secured: Secured, settings_with: SettingsWith) -> None:
    """Although the broker holds a fetch back, and says nothing meanwhile."""
    settings = settings_with(secured.environment("scram"))

    async def stop_in_a_fetch(bootstrap: str) -> None:
        place = TopicPartition(f"{PREFIX}.workers.0", 0)
        consumer = reader_of(bootstrap, wait_ms=20_000)
        await consumer.start()
        consumer.assign([place])
        consumer.seek(place, (await consumer.end_offsets([place]))[place])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(consumer.getone(), 1)
        async with asyncio.timeout(5):
            await consumer.stop()

    cut_connections()
    with connect(settings) as bootstrap:
        create_topics(bootstrap, PREFIX, settings.generation, settings.partitions, settings.replication)
        asyncio.run(stop_in_a_fetch(bootstrap))


@pytest.mark.broker
@pytest.mark.parametrize("listener", ["scram", "plain", "tls"])
def test_each_way_to_be_let_in(secured: Secured, settings_with: SettingsWith, tmp_path: Path, listener: str) -> None:
    """A password from the variable or from a file, or a certificate whose key has a password; kafka-python's client
    and aiokafka's."""
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    of_file = {"sasl_password": None, "sasl_password_file": tmp_path / "password"} if listener == "plain" else {}
    settings_with(secured.environment(listener, **of_file))
    for command in (["topics", "create"], ["topics", "check"], ["generate", "--events", "20", "--accounts", "3"]):
        result = CliRunner().invoke(cli, [*command, "--prefix", PREFIX])
        assert result.exit_code == 0, result.output


WRONG = {
    "a password": ("scram", {"sasl_password": "wrong"}, "does not let milepost in: .*SaslAuthenticationFailed"),
    "a mechanism": ("scram", {"sasl_mechanism": "PLAIN"}, r"MILEPOST_SASL_MECHANISM \(PLAIN\)"),
    "no authority": ("scram", {"ssl_cafile": None}, "certificate is not trusted .*MILEPOST_SSL_CAFILE"),
    "TLS where there is none": ("plain", {"security_protocol": "SASL_SSL"}, "another MILEPOST_SECURITY_PROTOCOL"),
    "no TLS where there is": (
        "scram",
        {"security_protocol": "SASL_PLAINTEXT", "ssl_cafile": None},
        "ends the connection, as one does that wants another MILEPOST_SECURITY_PROTOCOL",
    ),
    "no certificate": (
        "tls",
        {"ssl_certfile": None, "ssl_keyfile": None, "ssl_key_password": None},
        "wants a certificate, MILEPOST_SSL_CERTFILE",
    ),
    "nothing at all": (
        "scram",
        dict.fromkeys(("security_protocol", "sasl_username", "sasl_password", "sasl_mechanism", "ssl_cafile")),
        "no Kafka answers .*set MILEPOST_SECURITY_PROTOCOL when it wants TLS or a password",
    ),
    "not allowed": ("scram", {"prefix": "other"}, r"make the topic other\..*Authorization failed"),
}  # fmt: skip


@pytest.mark.broker
@pytest.mark.parametrize("wrong", WRONG)
def test_who_is_not_let_in_hears_why(
    secured: Secured, settings_with: SettingsWith, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what to look at, from whoever asks first."""
    monkeypatch.setattr("streams.admin.CONNECT_MS", 1_000)
    listener, others, why = WRONG[wrong]
    settings = settings_with(secured.environment(listener, **others), prefix=str(others.get("prefix", PREFIX)))
    with connect(settings) as bootstrap, pytest.raises(MilepostError, match=f"(?s){why}"):
        create_topics(bootstrap, settings.prefix, 0, 4, 1)


def environment(**settings: object) -> dict[str, str]:
    return {f"MILEPOST_{name.upper()}": str(value) for name, value in settings.items()}


SASL = {"bootstrap_servers": "k:1", "security_protocol": "SASL_PLAINTEXT", "sasl_username": USER}
TLS = {"bootstrap_servers": "k:1", "security_protocol": "SSL"}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"security_protocol": "SSL"}, "no brokers are named: set MILEPOST_BOOTSTRAP_SERVERS"),
        ({"bootstrap_servers": "k:1", "security_protocol": "TLS"}, "MILEPOST_SECURITY_PROTOCOL is 'TLS'"),
        ({"bootstrap_servers": "k:1", "sasl_password": PASSWORD}, "MILEPOST_SASL_PASSWORD would do nothing"),
        ({**SASL, "sasl_password": PASSWORD, "ssl_cafile": "c"}, "MILEPOST_SSL_CAFILE would do nothing"),
        (SASL, "MILEPOST_SASL_PASSWORD or MILEPOST_SASL_PASSWORD_FILE"),
        ({**SASL, "sasl_password": PASSWORD, "sasl_password_file": "p"}, "are both set"),
        ({**SASL, "sasl_password_file": "/nowhere/p"}, "MILEPOST_SASL_PASSWORD_FILE /nowhere/p can not be read"),
        ({**TLS, "ssl_cafile": "/nowhere/ca"}, "MILEPOST_SSL_CAFILE /nowhere/ca can not be read"),
        ({**TLS, "ssl_cafile": __file__}, "MILEPOST_SSL_CAFILE .*no certificate"),
        ({**TLS, "ssl_keyfile": "k"}, "set MILEPOST_SSL_CERTFILE"),
        ({**TLS, "ssl_certfile": __file__}, "MILEPOST_SSL_CERTFILE or MILEPOST_SSL_KEYFILE .*not certificates"),
    ],
)  # fmt: skip
def test_settings_that_do_not_go_together(given: dict[str, object], why: str, settings_with: SettingsWith) -> None:
    """Nobody is spoken to in another way than was meant; no password is told."""
    with pytest.raises((UsageError, UnavailableError), match=why) as refused:
        named_brokers(settings_with(environment(**given)))
    assert PASSWORD not in str(refused.value)


@pytest.mark.broker
def test_a_key_whose_password_is_another_is_not_asked_for(secured: Secured, settings_with: SettingsWith) -> None:
    """OpenSSL would ask on the terminal for one that is missing."""
    for password in ("wrong", None):
        with pytest.raises(UsageError, match="or another password"):
            named_brokers(settings_with(secured.environment("tls", ssl_key_password=password)))


def test_secrets_are_not_shown(settings_with: SettingsWith) -> None:
    """Neither in settings nor in an address; a child process has them in its environment."""
    settings = settings_with(environment(**SASL, sasl_password=PASSWORD, ssl_key_password=KEY_PASSWORD))
    assert PASSWORD not in repr(settings)
    assert KEY_PASSWORD not in repr(settings)
    assert settings.as_environment()["MILEPOST_SASL_PASSWORD"] == PASSWORD
    bootstrap = named_brokers(settings.model_copy(update={"ssl_key_password": None}))
    assert bootstrap == "k:1"
    assert bootstrap is not None
    security = security_of(bootstrap)
    assert security is not None
    assert security.password == PASSWORD
    assert PASSWORD not in repr(security)
