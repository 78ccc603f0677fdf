"""Results as files: per analysis the snapshot as JSON and its figures as CSV."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from agents.terminal.csv_rows import csv_rows
from streams.snapshot import Snapshot


def write_results(snapshots: Mapping[str, Snapshot], out: Path) -> Iterator[Path]:
    """Writes NAME.json and NAME.csv into `out`; gives each path when it is written."""
    out.mkdir(parents=True, exist_ok=True)
    for name, snapshot in sorted(snapshots.items()):
        as_json = out / f"{name}.json"
        as_json.write_bytes(msgspec.json.format(msgspec.json.encode(snapshot), indent=2) + b"\n")
        yield as_json
        as_csv = out / f"{name}.csv"
        with as_csv.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(csv_rows(snapshot))
        yield as_csv
