"""`python -m bench.imports`: what an import takes of time and memory, by format and by the number of rows.

The same rows as CSV, NDJSON and Parquet (row groups of DuckDB's size), each imported by a process of its own: dry, and
into the embedded broker. Memory is the most that the process had resident.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import duckdb
import psutil
from rich.console import Console
from rich.table import Table

from agents.settings import Settings
from bench.world import timed
from streams.broker import EmbeddedBroker

LOOK_S = 0.05
_ROWS = """
    SELECT 'e-' || i AS id, TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_seconds(CAST(i AS BIGINT)) AS happened,
           'account ' || (i * 7919 % 50000) AS account, 'Page Viewed' AS kind, '/pages/' || (i % 997) AS page,
           CAST(i % 100000 AS DECIMAL(12, 2)) / 100 AS amount, i % 7 AS seats, md5(CAST(i AS VARCHAR)) AS noise
    FROM range($count) AS t(i)
    """
_COPY_BY_FORMAT = {"csv": "FORMAT csv", "ndjson": "FORMAT json", "parquet": "FORMAT parquet"}
_MAPPING = """
topic: web-events
source: bench
rows: {{format: {form}}}
events:
  - fields:
      {{event_id: id, event_time: happened, type: kind, account: account, content: page, value: amount,
       attributes.seats: seats, attributes.noise: noise}}
"""


class Run(NamedTuple):
    """One import: seconds, those of the processor, and MiB resident at most."""

    elapsed_s: float
    processor_s: float
    memory_mib: float


def main() -> None:
    """Measures and prints."""
    arguments = argparse.ArgumentParser(prog="python -m bench.imports", description=__doc__)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--no-kafka", action="store_true", help="Dry runs only.")
    wanted = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="milepost-bench-") as name:
        folder = Path(name)
        if wanted.no_kafka:
            found = list(_measured(folder, wanted.rows, None))
        else:
            with EmbeddedBroker.start(folder / "broker", Settings().folder / "jars") as broker:
                found = list(_measured(folder, wanted.rows, broker.bootstrap_servers))
    _print(found)


def _measured(folder: Path, rows: int, bootstrap: str | None) -> Iterator[tuple[str, int, str, Run]]:
    for count in (rows // 10, rows):
        for form in _COPY_BY_FORMAT:
            file, mapping = _files(folder, form, count)
            for way, options in _ways(bootstrap):
                with timed(f"{form}, {count:,} rows, {way}"):
                    run = _imported([str(file), "-m", str(mapping), "--folder", str(folder / "user"), *options])
                yield form, count, way, run
            file.unlink()


def _ways(bootstrap: str | None) -> Iterator[tuple[str, list[str]]]:
    yield "dry", ["--dry-run"]
    if bootstrap is not None:
        yield "into Kafka", ["--bootstrap-servers", bootstrap]


def _files(folder: Path, form: str, count: int) -> tuple[Path, Path]:
    file, mapping = folder / f"rows-{count}.{form}", folder / f"{form}.yaml"
    mapping.write_text(_MAPPING.format(form=form))
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"COPY ({_ROWS}) TO '{file}' ({_COPY_BY_FORMAT[form]})", {"count": count})
    return file, mapping


def _imported(arguments: list[str]) -> Run:
    """Runs the command. Raises CalledProcessError when it fails."""
    began = time.monotonic()
    command = [sys.executable, "-m", "agents.main", "import", *arguments]
    with psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        processor_s, memory_bytes = 0.0, 0
        while process.poll() is None:
            with suppress(psutil.Error), process.oneshot():
                processor_s = sum(process.cpu_times()[:2])
                # Looked at again and again: what the kernel keeps as the largest counts the parent that forked, too.
                memory_bytes = max(memory_bytes, process.memory_info().rss)
            time.sleep(LOOK_S)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Run(time.monotonic() - began, processor_s, memory_bytes / 2**20)


def _print(found: list[tuple[str, int, str, Run]]) -> None:
    table = Table("format", "rows", "way", "seconds", "of the processor", "µs of it a row", "MiB resident at most")
    for form, count, way, run in found:
        figures = run.elapsed_s, run.processor_s, 1e6 * run.processor_s / count
        table.add_row(form, f"{count:,}", way, *(f"{each:.1f}" for each in figures), f"{run.memory_mib:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
