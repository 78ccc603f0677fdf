"""The floor of a topic: the loop of `bench.floor` in a process of its own, on what lies there."""

import subprocess
import sys

import msgspec

from bench.arena import Arena
from bench.measured import Floor
from streams.admin import create_topics, delete_topics
from streams.topics import topic_name

FLOOR_S_MAX = 900.0


def floor_of(arena: Arena, kind: str, source: str) -> Floor:
    """kind: accounts or ingest. Its outputs are topics of its own. Raises RuntimeError with what it said last."""
    settings = arena.settings
    prefix, folder = f"{settings.prefix}-floor", settings.folder / "floor"
    folder.mkdir(parents=True)
    create_topics(arena.bootstrap, prefix, 0, settings.partitions, settings.replication)
    command = [
        sys.executable, "-m", "bench.floor", kind, arena.bootstrap, arena.topic(source),
        topic_name("accounts-changelog" if kind == "accounts" else "touchpoints", prefix, 0),
        topic_name("partials", prefix, 0), str(settings.partitions), str(folder),
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=FLOOR_S_MAX, check=False)
    finally:
        delete_topics(arena.bootstrap, prefix, 0)
    if done.returncode:
        raise RuntimeError(f"the floor ended with code {done.returncode}:\n{done.stderr[-2000:]}")
    return msgspec.json.decode(done.stdout, type=Floor)
