"""What every benchmark needs: settings of a pipeline of its own, and to say how long something took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agents.settings import Settings
from streams.broker import free_ports


def settings_of(folder: Path, prefix: str, bootstrap: str) -> Settings:
    """Settings of one input's pipeline."""
    return Settings(folder=folder, prefix=prefix, bootstrap_servers=bootstrap, metrics_port=free_ports(1)[0])


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Says how long something took."""
    began = time.monotonic()
    yield
    print(f"  ({what}: {time.monotonic() - began:.0f} s)", flush=True)
