"""Files in a folder: written under another name, flushed to the disk, then renamed, so that each is whole or not there.

A file is named by the destination, the generation, the partition and the number of its first delivery: after a crash
the next owner writes the same name again, with the same deliveries at least, in the place of the first one. A list of
whom to add or to remove that a former try wrote, and in which nobody is left, goes.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb

from state.delivery.configuration import Folder
from state.delivery.formats.files import files_of
from state.delivery.formats.table import FLAT_COLUMNS, flat_rows
from state.delivery.retries import Answer
from state.delivery.rows import Delivery


class FolderSender:
    """A file of all that waits."""

    takes_many = True

    def __init__(self, destination: Folder, folder: Path, name: str) -> None:
        """name: of the destination, the generation and the partition, what the files' names begin with."""
        self._destination = destination
        self._folder = folder
        self._name = name
        self._thread = ThreadPoolExecutor(1, "files")

    async def send(self, deliveries: Sequence[Delivery]) -> Answer:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._write, deliveries)
        except OSError as error:
            return Answer("later", f"{self._folder}: {error.strerror}")
        except duckdb.Error as error:
            return Answer("later", f"{self._folder}: {type(error).__name__}")
        return Answer("done")

    def _write(self, deliveries: Sequence[Delivery]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        stem = f"{self._name}-{deliveries[0].number:012d}"
        names: set[Path] = set()
        beginning = f".{self._name}."
        for killed in self._folder.glob(f"{beginning}*"):  # in the middle of a file
            shutil.rmtree(killed)
        # What can not be written to its end leaves nothing behind: it is tried again for days.
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=beginning) as beside:
            for suffix, written in self._written(Path(beside), deliveries):
                _flush(written)
                written.chmod(0o640)
                names.add(written.rename(self._folder / f"{stem}{suffix}"))
        for former in set(self._folder.glob(f"{stem}.*")) - names:
            former.unlink()
        _flush(self._folder)

    def _written(self, folder: Path, deliveries: Sequence[Delivery]) -> Iterator[tuple[str, Path]]:
        """Files there, each with what its name is to end with."""
        if self._destination.format == "parquet":
            path = folder / "file.parquet"
            _write_parquet(path, FLAT_COLUMNS, flat_rows(deliveries))
            yield ".parquet", path
            return
        for content in files_of(self._destination.format, deliveries):
            path = folder / f"file{content.suffix}"
            path.write_text(content.text, encoding="utf-8")
            yield content.suffix, path

    async def close(self) -> None:
        # A file that is being written gets its name before a successor may write the same one.
        await asyncio.to_thread(self._thread.shutdown)


def _write_parquet(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> None:
    """Every column is text, and null where it is empty. Values go in as they are: a parser would have to guess."""
    values = [[row[column] or None for row in rows] for column in columns]
    selected = ", ".join(f'unnest(?::VARCHAR[]) AS "{column}"' for column in columns)
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
        connection.execute(f"CREATE TABLE rows AS SELECT {selected}", values)
        connection.table("rows").write_parquet(str(path), compression="zstd")


def _flush(path: Path) -> None:
    """A file to the disk, or of a folder the names in it."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
