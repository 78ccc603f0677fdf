"""Every setting, read once from the environment (`MILEPOST_...`) and the command line; the core takes values."""

import os
import sys
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


def _data_folder() -> Path:
    """The user's data folder, as the platform has it."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "milepost"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", str(Path.home()))) / "milepost"
    return Path(os.environ.get("XDG_DATA_HOME", str(Path.home() / ".local" / "share"))) / "milepost"


class Settings(BaseSettings):
    """One worker's settings. Units and bounds stand last in a name."""

    model_config = SettingsConfigDict(env_prefix="MILEPOST_", frozen=True, extra="ignore")

    folder: Path = Field(
        default_factory=_data_folder,
        description="Holds jars, the embedded broker's data and the workers' state. By default"
        " `$XDG_DATA_HOME/milepost` or `~/.local/share/milepost`, on macOS `~/Library/Application Support/milepost`.",
    )
    bootstrap_servers: str | None = Field(
        None, description="host:port[,host:port]; without it the embedded broker is used."
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT",
        description="How the brokers of bootstrap_servers are spoken to, by Kafka's names: SSL encrypted, SASL"
        " as somebody with a password.",
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "PLAIN", description="How the password is shown."
    )
    sasl_username: str | None = Field(None, description="Who milepost is to the brokers.")
    sasl_password: SecretStr | None = Field(None, description="The password of sasl_username.")
    sasl_password_file: Path | None = Field(None, description="A file that holds it, instead of the variable.")
    ssl_cafile: Path | None = Field(
        None,
        description="Certificates (PEM) of who signed the brokers'; without it those that the operating system trusts.",
    )
    ssl_certfile: Path | None = Field(
        None, description="A certificate (PEM) that milepost shows the brokers, where they ask for one."
    )
    ssl_keyfile: Path | None = Field(
        None, description="The certificate's private key (PEM), where it is not in ssl_certfile."
    )
    ssl_key_password: SecretStr | None = Field(None, description="The key's password, where it has one.")
    prefix: str = Field(
        "milepost", pattern=r"^[A-Za-z0-9_-]{1,64}$", description="First part of every topic's name: `PREFIX.NAME`."
    )
    generation: int = Field(
        0,
        ge=0,
        description="Stands in changelog, output and folder names. Another one reads all sources again, and computes"
        " everything anew beside the former.",
    )
    partitions: int = Field(
        4,
        ge=1,
        le=1024,
        description="Partitions of every source and stage. Chosen once for a prefix, the same for every worker; for"
        " more later take another prefix, and send the events again.",
    )
    replication: int = Field(1, ge=1, le=9, description="Replicas of every topic.")
    worker_id: str = Field(
        "0",
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="Unique per worker; names its folder and its static group membership.",
    )

    session_timeout_s: float = Field(
        10.0, ge=1, description="A worker that was not heard of for so long loses its partitions."
    )
    batch_records_max: int = Field(
        40_000,
        ge=1,
        le=100_000,
        description="Records of one batch at most, which is what a worker takes that is behind.",
    )
    batch_deadline_s: float = Field(120.0, ge=1, description="A batch that takes longer ends the worker.")
    standby: bool = Field(
        False,
        description="Follows the partitions of other workers as well, so that taking one over takes a moment."
        " Costs disk for all of them, and about 100 MiB of memory each.",
    )
    snapshot_interval_s: float = Field(1.0, ge=0.05, description="An analysis is published at most so often.")
    idle_commit_s: float = Field(3600.0, ge=1, description="An idle owner commits at least this often.")
    fence_renewal_s: float = Field(86_400.0, ge=1, description="An owner fences itself anew at least this often.")
    lateness_s: int = Field(
        3600, ge=0, description="How late an event usually comes; only for the watermark that is shown."
    )

    future_tolerance_s: int = Field(
        300, ge=0, description="An event further ahead of the broker's clock is a dead letter."
    )
    reject_ratio_max: float = Field(
        0.5, ge=0, le=1, description="Share of rejects among the last reject_window records that stops the worker."
    )
    reject_run_max: int = Field(1_000, ge=1, description="Rejects one after the other that stop the worker.")
    reject_window: int = Field(10_000, ge=100, description="Records over which reject_ratio_max is judged.")
    poison_restarts_max: int = Field(
        3, ge=0, description="A record that ended a worker more often than this stops its partition, and only that."
    )
    reject_counts_no_account: bool = Field(
        False, description="Whether an event without an account counts towards these limits."
    )

    delivery_folder: Path | None = Field(
        None, description="Below it the folders of destinations are; without it `deliveries` in MILEPOST_FOLDER."
    )
    delivery_private_hosts: str = Field(
        "",
        description="Hosts, comma-separated, that destinations may name although they lie in a private network or on"
        " this machine.",
    )
    delivery_retention_s: int = Field(
        7 * 86_400, ge=1, description="For how long a delivery that is done with, or dead, is remembered."
    )
    secrets_folder: Path | None = Field(
        None,
        description="Holds a file per secret that destinations name; MILEPOST_SECRET_NAME in the environment wins.",
    )

    queries: bool = Field(
        True,
        description="Workers of the roles accounts and snapshots answer questions over HTTP: stories, who is behind a"
        " number, other days. On the port of the metrics, or without one on a free port of this machine.",
    )
    url: str | None = Field(
        None,
        pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$",
        description="Where others reach a worker's answers, another one for each process; without it"
        " http://METRICS_HOST:PORT.",
    )
    metrics_port: int | None = Field(
        None, ge=0, le=65535, description="Serves Prometheus metrics over HTTP, at /metrics, when set."
    )
    metrics_host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Where they and answers are served; another address than this machine needs a token.",
    )
    metrics_token: SecretStr | None = Field(
        None, description="When set, a request must bring it: `Authorization: Bearer TOKEN`. At least 16 characters."
    )
    metrics_token_file: Path | None = Field(None, description="A file that holds the token, instead of the variable.")

    def worker_folder(self, role: str) -> Path:
        """Where a role's worker keeps its state."""
        return self.folder / "workers" / self.worker_id / f"{self.prefix}-g{self.generation}" / role

    def as_environment(self) -> dict[str, str]:
        """The environment of a child process that is to have these settings."""
        own = {f"MILEPOST_{name.upper()}": _plain(value) for name, value in self if value is not None}
        return {**{name: value for name, value in os.environ.items() if not name.startswith("MILEPOST_")}, **own}


def _plain(value: object) -> str:
    """A value as its variable has it, a secret in the clear: the environment is the one place that it goes to."""
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
