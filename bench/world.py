"""A Kafka with generated input, and workers whose progress is read from their metrics."""

import asyncio
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from prometheus_client.parser import text_string_to_metric_families

from agents.commands.demo import everyday_definitions
from agents.defining import apply_definitions, load_definitions
from agents.generating import generate_to_kafka
from agents.pipeline import Workers
from agents.settings import Settings
from generator.plan import GeneratorPlan
from streams.admin import create_topics, end_offsets
from streams.broker import free_ports
from streams.topics import topic_name

DAY_MS = 86_400_000
END_MS = 1_788_220_800_000  # 2026-09-01; any whole day does
SILENCE_S_MAX = 60.0


def settings_of(folder: Path, prefix: str, bootstrap: str) -> Settings:
    """Settings of one input's pipeline."""
    return Settings(folder=folder, prefix=prefix, bootstrap_servers=bootstrap, metrics_port=free_ports(1)[0])


def fill_sources(settings: Settings, bootstrap: str, events: int, accounts: int, *, late: float) -> int:
    """Makes topics and definitions and generates input: in order of time but for `late`. Gives the record count."""
    create_topics(bootstrap, settings.prefix, settings.generation, settings.partitions, settings.replication)
    apply_definitions(load_definitions(everyday_definitions()), bootstrap, settings, END_MS)
    plan = GeneratorPlan(
        events=events, accounts=accounts, seed=7, start_ms=END_MS - 365 * DAY_MS, end_ms=END_MS, late=late,
        ties=0.02, no_account=0.0, duplicates=0.0, corrections=0.0, withdrawals=0.0, bad=0.0,
    )  # fmt: skip
    report = asyncio.run(generate_to_kafka(plan, bootstrap, settings))
    return sum(report.end_offsets.values())


class Run:
    """One role working off what is there."""

    def __init__(self, rate: float, count: int, values: dict[str, float], rss_bytes: int) -> None:
        self.rate, self.count, self.values, self.rss_bytes = rate, count, values, rss_bytes

    def us_per_event(self, step: str) -> float:
        """Microseconds an event spent in one step of the commits."""
        return 1e6 * self.values.get(f'milepost_commit_seconds_sum{{step="{step}"}}', 0.0) / max(1, self.count)


def work_off(settings: Settings, bootstrap: str, role: str, counter: str, total: int) -> Run:
    """Runs a role until its counter says that all is done; the rate leaves out the start.

    The rate is over the middle of the run: from the first tenth to the end.
    """
    workers = Workers(settings, bootstrap, [[role]])
    workers.start()
    try:
        samples: list[tuple[float, float]] = []
        moved_at = time.monotonic()
        rss = 0
        while True:
            time.sleep(0.1)
            workers.require_running()
            values = _metrics(settings)
            done = sum(value for name, value in values.items() if name.startswith(counter))
            if not samples or done > samples[-1][1]:
                moved_at = time.monotonic()
                samples.append((moved_at, done))
            rss = max(rss, _rss_bytes(workers.pids[0]))
            if done >= total:
                return Run(_rate(samples, total), int(done), values, rss)
            if time.monotonic() - moved_at > SILENCE_S_MAX:
                raise RuntimeError(f"{role} stands at {done:,.0f} of {total:,} for {SILENCE_S_MAX:.0f} s")
    finally:
        workers.stop()


def touchpoint_count(settings: Settings, bootstrap: str) -> int:
    """How many records the touchpoints topic has."""
    return sum(end_offsets(bootstrap, topic_name("touchpoints", settings.prefix, settings.generation)).values())


def _rate(samples: list[tuple[float, float]], total: int) -> float:
    begun = next(sample for sample in samples if sample[1] >= total / 10)
    ended = samples[-1]
    return (ended[1] - begun[1]) / max(1e-9, ended[0] - begun[0])


def _metrics(settings: Settings) -> dict[str, float]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{settings.metrics_port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return {}
    return {
        sample.name + "".join(f'{{{key}="{value}"}}' for key, value in sample.labels.items()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _rss_bytes(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Says how long something took."""
    began = time.monotonic()
    yield
    print(f"  ({what}: {time.monotonic() - began:.0f} s)", flush=True)
