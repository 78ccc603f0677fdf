"""What every test may use: one real Kafka for the session, and topic names that no other test has."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from agents.settings import Settings
from streams.broker import EmbeddedBroker

# No deadline: two cores are shared with a broker. In CI always the same examples, and no shrinking, so that a failure
# comes before the time limit.
settings.register_profile(
    "local", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.register_profile(
    "ci", settings.get_profile("local"), derandomize=True, phases=[Phase.explicit, Phase.generate]
)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(scope="session")
def kafka_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of the session's broker, as it lies below a user's folder."""
    return tmp_path_factory.mktemp("user") / "broker"


@pytest.fixture(scope="session")
def jars() -> Path:
    """Where Kafka's jars are kept; shared with the product, so that a test run downloads them at most once."""
    return Settings().folder / "jars"


@pytest.fixture(scope="session")
def kafka(kafka_folder: Path, jars: Path) -> Iterator[EmbeddedBroker]:
    """A real broker for the whole session, on data of its own."""
    with EmbeddedBroker.start(kafka_folder, jars) as broker:
        yield broker


@pytest.fixture
def prefix() -> str:
    """A topic prefix that no other test has."""
    return f"t{uuid.uuid4().hex[:12]}"
