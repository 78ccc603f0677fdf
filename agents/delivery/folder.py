"""Files in a folder: written under another name, flushed to the disk, then renamed, so that each is whole or not there.

A file is named by the destination, the generation, the partition and the number of its first delivery: after a crash
the next owner writes the same name again, with the same deliveries at least, in the place of the first one. A list of
whom to add or to remove that a former try wrote, and in which nobody is left, goes.
"""

import asyncio
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb

from state.delivery.configuration import Folder
from state.delivery.formats.files import files_of
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
        # What can not be written to its end leaves nothing behind: it is tried again for days.
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=".") as beside:
            for content in files_of(self._destination.format, deliveries):
                written, suffix = Path(beside) / f"file{content.suffix}", content.suffix
                with written.open("w", encoding="utf-8") as file:
                    file.write(content.text)
                    file.flush()
                    os.fsync(file.fileno())
                if self._destination.format == "parquet":
                    written, suffix = _as_parquet(written), ".parquet"
                written.chmod(0o640)
                names.add(written.rename(self._folder / f"{stem}{suffix}"))
        for former in set(self._folder.glob(f"{stem}.*")) - names:
            former.unlink()
        _flush_folder(self._folder)

    async def close(self) -> None:
        # A file that is being written gets its name before a successor may write the same one.
        await asyncio.to_thread(self._thread.shutdown)


def _as_parquet(csv: Path) -> Path:
    """The same rows, every column as text. The CSV is gone afterwards."""
    parquet = csv.with_suffix(".parquet")
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
        rows = connection.read_csv(str(csv), header=True, all_varchar=True)
        rows.write_parquet(str(parquet), compression="zstd")
    csv.unlink()
    with parquet.open("rb") as file:
        os.fsync(file.fileno())
    return parquet


def _flush_folder(folder: Path) -> None:
    """So that the names are on the disk too."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
