"""Importing a file: rows by a mapping to events on a source topic, with a report of every row.

The law: every row is counted once, as events, as rejected, or as none of the mapping's events; and an import that is
cut off goes on after the last row that Kafka acknowledged.
"""

import asyncio
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import IO, NamedTuple

import msgspec

from agents.import_checkpoint import Checkpoint, Tally, load_checkpoint, save_checkpoint
from agents.settings import Settings
from streams.admin import create_topics, topic_ids
from streams.bulk_producer import BulkProducer, Record
from streams.errors import UnavailableError
from streams.mapping.file import MappedFile, open_mapped
from streams.mapping.rows import MappedEvent, Reject
from streams.sources.row import Row
from streams.topics import topic_name

CHUNK_ROWS = 500
CHECKPOINT_S = 2.0
SAMPLE_COUNT = 3
IDS_LOOKED_AT = 200_000
"""Of so many events of a run it is noticed when they share an id; more would cost memory."""


class Progress(NamedTuple):
    """How far an import is; bytes of the file as packed as it is."""

    bytes_done: int
    bytes_total: int
    rows: int
    events: int


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did.

    tally: over the whole file, also of earlier runs that this one goes on from; rows_before: how many of its rows were
    theirs. end_offsets: per (topic, partition) the offset after the import's last record; empty for a dry run.
    rejects_path: None where no file was asked for. finished: False where a limit ended it. samples: its first events.
    """

    tally: Tally
    rows_before: int
    end_offsets: dict[tuple[str, int], int]
    rejects_path: Path | None
    finished: bool
    duration_s: float
    samples: tuple[bytes, ...]


def import_file(
    path: Path,
    mapping_path: Path,
    bootstrap: str | None,
    settings: Settings,
    *,
    progress: Callable[[Progress], None] | None = None,
    rejects_path: Path | None = None,
    restart: bool = False,
    limit: int | None = None,
) -> ImportReport:
    """Imports a file; makes the topics that are missing. Runs an event loop of its own.

    bootstrap: None sends nothing, for a dry run. limit: rows to read at most, counted from the file's first. restart:
    forgets how far an earlier import of the same file with the same mapping came. Raises UsageError for a mapping that
    is wrong or does not fit the file, UnavailableError for a file or a Kafka that is not there.
    """
    started = time.monotonic()
    now_ms = int(time.time() * 1000)
    file = open_mapped(path, mapping_path, now_ms=now_ms, future_tolerance_ms=settings.future_tolerance_s * 1000)
    topic = topic_name(file.mapping_file.mapping.topic, settings.prefix, settings.generation)
    if bootstrap is None:
        run = _Run(file, Checkpoint(Tally()), rejects_path, progress, limit)
        with run.rejects:
            for _ in run.chunks():
                pass
    else:
        checkpoint_path = _checkpoint_path(file, topic, bootstrap, settings)
        checkpoint = Checkpoint(Tally()) if restart else load_checkpoint(checkpoint_path)
        run = _Run(file, checkpoint, rejects_path or checkpoint_path.with_suffix(".rejects.ndjson"), progress, limit)
        with run.rejects:
            asyncio.run(_send(run, bootstrap, topic, checkpoint_path))
    return run.report(topic, time.monotonic() - started)


async def _send(run: "_Run", bootstrap: str, topic: str, checkpoint_path: Path) -> None:
    """Sends the rows from the checkpoint on, and moves it after what is acknowledged."""
    if run.checkpoint.finished:
        return
    async with BulkProducer(bootstrap) as producer:
        saved = time.monotonic()
        for records in run.chunks():
            await producer.send(topic, records)
            if time.monotonic() - saved > CHECKPOINT_S:
                save_checkpoint(checkpoint_path, run.acknowledged(await producer.flush()))
                saved = time.monotonic()
        save_checkpoint(checkpoint_path, run.acknowledged(await producer.flush()))


class _Run:
    """One pass over a file's rows: what they became, and the rejects' file."""

    def __init__(
        self,
        file: MappedFile,
        checkpoint: Checkpoint,
        rejects_path: Path | None,
        progress: Callable[[Progress], None] | None,
        limit: int | None,
    ) -> None:
        self.checkpoint = checkpoint
        self.rejects = _Rejects(rejects_path, checkpoint)
        self._file = file
        self._rows_before = checkpoint.tally.rows
        self._progress = progress
        self._limit = limit
        self._samples: list[bytes] = []
        self._ids: set[int] = set()

    def chunks(self) -> Iterator[list[Record]]:
        """The events of the rows after the checkpoint, some hundred rows at a time."""
        bytes_total = self._file.bytes_total()
        # Closed here, so that the file is let go also when the import ends early.
        with closing(self._file.rows()) as all_rows:
            rows = islice(all_rows, self._rows_before, self._limit)
            tally = self.checkpoint.tally
            while chunk := list(islice(rows, CHUNK_ROWS)):
                yield self._records(chunk)
                if self._progress is not None:
                    self._progress(Progress(chunk[-1].bytes_read, bytes_total, tally.rows, tally.events))
            self.checkpoint.finished = self._limit is None or tally.rows < self._limit

    def _records(self, rows: list[Row]) -> list[Record]:
        tally = self.checkpoint.tally
        records: list[Record] = []
        for row in rows:
            outcome = self._file.mapper.events_of(row)
            if isinstance(outcome, Reject):
                tally.add_reject(outcome)
                self.rejects.write(outcome)
            else:
                tally.add_events(outcome)
                if len(self._ids) < IDS_LOOKED_AT:
                    self._look_at_ids(outcome)
                records.extend([(None, event.payload) for event in outcome])
        if len(self._samples) < SAMPLE_COUNT:
            self._samples.extend([payload for _, payload in records[: SAMPLE_COUNT - len(self._samples)]])
        return records

    def _look_at_ids(self, events: list[MappedEvent]) -> None:
        for event in events:
            seen = hash(event.identity)
            self.checkpoint.tally.repeated_ids += seen in self._ids
            self._ids.add(seen)

    def acknowledged(self, ends: dict[tuple[str, int], int]) -> Checkpoint:
        """The checkpoint after everything that was given out so far."""
        self.checkpoint.ends.update({partition: end for (_, partition), end in ends.items()})
        self.checkpoint.rejects_path, self.checkpoint.rejects_bytes = self.rejects.state()
        return self.checkpoint

    def report(self, topic: str, duration_s: float) -> ImportReport:
        """What the run did."""
        return ImportReport(
            tally=self.checkpoint.tally,
            rows_before=self._rows_before,
            end_offsets={(topic, partition): end for partition, end in self.checkpoint.ends.items()},
            rejects_path=self.rejects.path,
            finished=self.checkpoint.finished,
            duration_s=duration_s,
            samples=tuple(self._samples),
        )


class _Rejects:
    """The rejected rows as NDJSON: row, reason, detail, values. Without a path they are only counted."""

    def __init__(self, path: Path | None, checkpoint: Checkpoint) -> None:
        self.path = None if path is None else path.absolute()  # to be found from another folder as well
        self._earlier_path = checkpoint.rejects_path
        # What stands behind the checkpoint will be rejected, and written, again.
        self._earlier_bytes = checkpoint.rejects_bytes
        self._file: IO[bytes] | None = None

    def __enter__(self) -> None:
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            earlier = Path(self._earlier_path)
            is_same = self.path.exists() and earlier.exists() and earlier.samefile(self.path)
            if self._earlier_bytes and not is_same and earlier.exists():
                shutil.copyfile(earlier, self.path)
            self._file = self.path.open("ab")
            self._file.truncate(min(self._earlier_bytes, self._file.tell()))
        except OSError as error:
            raise UnavailableError(f"the rejects can not be written to {self.path}: {error.strerror}") from error

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, reject: Reject) -> None:
        """Adds a row."""
        if self._file is not None:
            self._file.write(encode_reject(reject) + b"\n")

    def state(self) -> tuple[str, int]:
        """Path and length of what is surely in the file."""
        if self._file is None:
            return "", 0
        self._file.flush()
        return str(self.path), self._file.tell()


def encode_reject(reject: Reject) -> bytes:
    """A rejected row as a line of the rejects' file: JSON in UTF-8, with `?` for what is no character."""
    said = {"row": reject.row, "reason": reject.reason, "detail": reject.detail, "values": reject.values}
    try:
        text = json.dumps(said, default=str, ensure_ascii=False)
    except RecursionError:
        text = json.dumps({**said, "values": {"line": "nested too deeply to be shown"}}, ensure_ascii=False)
    return text.encode(errors="replace")


def _checkpoint_path(file: MappedFile, topic: str, bootstrap: str, settings: Settings) -> Path:
    """Where this import's checkpoint lies: by what is imported, how, and to which topic; one made anew is another."""
    create_topics(bootstrap, settings.prefix, settings.generation, settings.partitions, settings.replication)
    key = f"{file.identity()} {topic} {topic_ids(bootstrap, [topic])[topic]}"
    name = f"{file.path.name[:80]}-{blake2b(key.encode(), digest_size=8).hexdigest()}.json"
    return settings.folder / "imports" / name
