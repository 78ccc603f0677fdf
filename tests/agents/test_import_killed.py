"""An import that is killed by kill -9 goes on where it was, whatever the format of the file."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest

from agents.importing import import_file
from agents.reading import read_topic
from agents.settings import Settings
from streams.broker import EmbeddedBroker
from streams.topics import topic_name

ROOT = Path(__file__).parents[2]
ROWS, KILLED_AFTER, PATIENCE_S = 8_000, 1_000, 60.0

# The command with a checkpoint behind every list of rows, and slow enough to be killed between two of them.
_SLOW_IMPORT = """
import sys, time
from pathlib import Path
from agents import importing
from agents.settings import Settings
importing.CHECKPOINT_S = 0.0
file, mapping, bootstrap, folder, prefix = sys.argv[1:]
settings = Settings(folder=Path(folder), prefix=prefix, partitions=2)
importing.import_file(Path(file), Path(mapping), bootstrap, settings, progress=lambda _: time.sleep(0.05))
"""
_FIELDS = {"event_id": "id", "event_time": "at", "type": {"const": "T"}, "account": "account"}
_TRACE_FIELDS = {
    "event_id": "event.id", "event_time": "event.at", "type": {"const": "T"}, "account": "trace.account",
}  # fmt: skip


def file_of(form: str, folder: Path) -> tuple[Path, Path]:
    """A file of ROWS rows, and its mapping."""
    file, mapping = folder / f"f.{form}", folder / "m.yaml"
    fields = _TRACE_FIELDS if form == "xes" else _FIELDS
    said = {"topic": "crm-events", "source": "s", "rows": {"format": form}, "events": [{"fields": fields}]}
    mapping.write_text(json.dumps(said))
    at = "2026-03-01T00:00:00Z"
    if form == "xes":
        events = [f'<event><string key="id" value="e{i}"/><date key="at" value="{at}"/></event>' for i in range(ROWS)]
        head = '<trace><string key="account" value="A"/>'
        traces = [f"{head}{''.join(events[i : i + 40])}</trace>" for i in range(0, ROWS, 40)]
        file.write_text(f"<log>{''.join(traces)}</log>")
        return file, mapping
    kind = "json" if form == "ndjson" else form
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT 'e' || i AS id, '{at}' AS at, 'A' AS account FROM range({ROWS}) AS t(i))"
            f" TO '{file}' (FORMAT {kind})"
        )
    return file, mapping


def rows_saved(settings: Settings) -> int:
    """How many rows the checkpoint counts; 0 without one."""
    for path in (settings.folder / "imports").glob("*.json"):
        saved: dict[str, Any] = json.loads(path.read_bytes())
        return int(saved["tally"]["rows"])
    return 0


@pytest.mark.broker
@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet", "xes"])
def test_a_killed_import_goes_on(kafka: EmbeddedBroker, prefix: str, tmp_path: Path, form: str) -> None:
    """Killed in the middle, started again: every event is there, and what was acknowledged is not read again."""
    file, mapping = file_of(form, tmp_path)
    settings = Settings(folder=tmp_path / "user", prefix=prefix, partitions=2)
    arguments = [str(file), str(mapping), kafka.bootstrap_servers, str(settings.folder), prefix]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", _SLOW_IMPORT, *arguments], env=environment) as process:
        deadline = time.monotonic() + PATIENCE_S
        while rows_saved(settings) < KILLED_AFTER:
            assert process.poll() is None, "it ended by itself"
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    report = import_file(file, mapping, kafka.bootstrap_servers, settings)
    assert KILLED_AFTER <= report.rows_before < ROWS
    assert (report.tally.rows, report.tally.events, report.finished) == (ROWS, ROWS, True)
    topic = topic_name("crm-events", prefix, 0)
    found = [json.loads(record.value or b"")["event_id"] for record in read_topic(kafka.bootstrap_servers, topic)]
    assert set(found) == {f"e{i}" for i in range(ROWS)}
    assert len(found) < ROWS + ROWS // 2
