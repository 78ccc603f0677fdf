"""Where a command finds its Kafka, and the commands `broker` and `topics` as a user runs them."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import click
import psutil
import pytest
from click.testing import CliRunner

from agents.connection import connect, settings_of, with_settings
from agents.main import cli
from agents.settings import Settings
from streams.broker import EmbeddedBroker, running_broker
from streams.errors import UnavailableError, UsageError
from streams.topics import TOPICS


@click.command()
@with_settings
@click.option("--times", type=int, default=1)
def show(settings: Settings, times: int) -> None:
    """Prints what it was given."""
    click.echo(f"{settings.prefix} {settings.partitions} {settings.generation} {settings.folder} " * times)


def test_options_win_over_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An option counts before its variable, a variable before the default, and a command's own options reach it."""
    monkeypatch.setenv("MILEPOST_PREFIX", "environment")
    monkeypatch.setenv("MILEPOST_PARTITIONS", "7")
    result = CliRunner().invoke(show, ["--prefix", "option", "--folder", str(tmp_path), "--times", "2"])
    assert result.output.split() == ["option", "7", "0", str(tmp_path)] * 2


@pytest.mark.parametrize(("name", "value"), [("partitions", 0), ("prefix", "a b"), ("generation", -1)])
def test_impossible_option_is_named(name: str, value: object) -> None:
    """The message names option and variable, what was given and what is allowed."""
    with pytest.raises(UsageError) as refused:
        settings_of(**{name: value})
    assert f"--{name}" in str(refused.value)
    assert f"MILEPOST_{name.upper()}" in str(refused.value)
    assert repr(value) in str(refused.value)


def test_named_servers_are_taken_as_they_are(tmp_path: Path) -> None:
    """Whoever names a Kafka gets that one, and none is started."""
    with connect(settings_of(folder=tmp_path, bootstrap_servers="kafka:9092")) as bootstrap:
        assert bootstrap == "kafka:9092"
    assert not list(tmp_path.iterdir())


@pytest.mark.broker
def test_running_broker_is_found_by_its_folder(kafka: EmbeddedBroker, kafka_folder: Path) -> None:
    """Commands on the same folder share the broker that runs there, and leave it running."""
    with connect(settings_of(folder=kafka_folder.parent), start=False) as bootstrap:
        assert bootstrap == kafka.bootstrap_servers
    assert kafka.is_running()


def test_no_broker_and_none_wanted_is_an_error(tmp_path: Path) -> None:
    """A command that starts nothing says how to start one."""
    with pytest.raises(UnavailableError, match="milepost broker"), connect(settings_of(folder=tmp_path), start=False):
        pass


@pytest.mark.broker
def test_topics_are_made_and_checked_by_command(kafka: EmbeddedBroker, prefix: str) -> None:
    """Create prints what it made and says so when there is nothing to make; check exits with 1 on a difference."""
    options = ["--bootstrap-servers", kafka.bootstrap_servers, "--prefix", prefix, "--partitions"]
    made = CliRunner().invoke(cli, ["topics", "create", *options, "2"])
    assert (made.exit_code, made.output.count(f"made {prefix}.")) == (0, len(TOPICS))
    assert "0 topics made" in CliRunner().invoke(cli, ["topics", "create", *options, "2"]).output
    assert CliRunner().invoke(cli, ["topics", "check", *options, "2"]).exit_code == 0
    differs = CliRunner().invoke(cli, ["topics", "check", *options, "3"])
    assert differs.exit_code == 1
    assert "partition count" in differs.output
    assert f"{prefix}.accounts-changelog.0" in differs.output


@pytest.mark.broker
def test_broker_command_runs_until_it_is_told_to_stop(kafka: EmbeddedBroker, tmp_path: Path, jars: Path) -> None:
    """It prints address, pid and the next command, ends with 0 on Ctrl-C, and its broker with it."""
    (tmp_path / "jars").symlink_to(jars)
    command = [sys.executable, "-c", "from agents.main import main; main()", "broker", "--folder", str(tmp_path)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        told = process.stdout.readline() + process.stdout.readline()
        match = re.search(r"Kafka runs at (\S+) \(pid (\d+),", told)
        assert match
        assert "milepost topics create" in told
        assert running_broker(tmp_path / "broker") == match[1]
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert not psutil.pid_exists(int(match[2]))
