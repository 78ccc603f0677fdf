"""A role's application: whatever the environment says, it is what the settings make of it."""

from pathlib import Path

import pytest

from agents.app import FETCH_BYTES, make_app
from agents.settings import Settings
from streams.transport import BatchTransport


def test_an_application_follows_the_settings_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Faust reads BROKER_URL and dozens more from the environment, over what it is given; ours does not."""
    for name, value in {
        "BROKER_URL": "kafka://elsewhere",
        "APP_ENV_PREFIX": "X_",
        "X_BROKER_URL": "kafka://elsewhere",
        "WEB_ENABLED": "1",
        "BROKER_MAX_POLL_RECORDS": "1",
        "CONSUMER_GROUP_INSTANCE_ID": "stray",
    }.items():
        monkeypatch.setenv(name, value)
    settings = Settings(folder=tmp_path, worker_id="w7", prefix="p", generation=3, batch_records_max=77)
    app = make_app(settings, "accounts", "one:1,two:2", {})
    assert [str(url) for url in app.conf.broker_consumer] == ["kafka://one:1", "kafka://two:2"]
    assert app.conf.id == "p-accounts-3"
    assert app.conf.consumer_group_instance_id == "p-accounts-3-w7"
    assert app.conf.broker_max_poll_records == 77
    assert app.conf.consumer_max_fetch_size == FETCH_BYTES
    assert not app.conf.web_enabled
    assert not app.conf.topic_allow_declare
    assert app.conf.broker_session_timeout == settings.session_timeout_s
    assert isinstance(app.transport, BatchTransport)
