"""The floor: what the libraries alone take for the same records. No protocol, no order, no analyses, no journeys.

Per fetched list of records of one partition: decode each touchpoint, put its row into RocksDB with one WriteBatch, send
the rows to a changelog and one record to another topic. For ingest: decode each event, and send it on. Fetching is in
whole record batches, as in the product; all partitions in one process. Prints JSON (`bench.measured.Floor`).

usage: python -m bench.floor KIND BOOTSTRAP SOURCE CHANGELOG PARTIALS PARTITIONS FOLDER
"""

import asyncio
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import uvloop

from bench.events import SourceEvent
from bench.measured import Floor
from state.store import RocksStore
from streams.batch import some_batches
from streams.bulk_reader import BulkReader
from streams.fence import FencedProducer
from streams.restore import reader_of
from streams.stage import StoredRecord
from streams.store import Position, Row
from streams.touchpoint import decode_touchpoint

PATIENCE_S = 5.0
_decode_event = msgspec.json.Decoder(SourceEvent).decode
Decode = Callable[[bytes], object]


class Place(NamedTuple):
    """From where to where. store: whether rows are kept; partials: where one record per list goes, if anywhere."""

    bootstrap: str
    source: str
    changelog: str
    partials: str
    folder: Path
    keeps_rows: bool


class Tally:
    """When the first list came, and how many records."""

    def __init__(self) -> None:
        self.began_s: float | None = None
        self.began_cpu_s = 0.0
        self.count = 0

    def note(self, count: int) -> None:
        if self.began_s is None:
            self.began_s, self.began_cpu_s = time.monotonic(), time.process_time()
        self.count += count

    def floor(self) -> Floor:
        """What it took from the first list on."""
        if self.began_s is None:
            raise SystemExit("the source is empty; a floor is that of a topic which is full")
        wall_s, cpu_s = time.monotonic() - self.began_s, time.process_time() - self.began_cpu_s
        rss_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return Floor(self.count / max(1e-9, wall_s), 1e6 * cpu_s / self.count, rss_kib / 1024)


async def run(place: Place, partitions: int) -> Floor:
    """All partitions beside each other."""
    tally = Tally()
    producer = await FencedProducer.start(place.bootstrap, f"{place.changelog}-floor")
    try:
        await asyncio.gather(*(_partition(place, number, producer, tally) for number in range(partitions)))
        return tally.floor()
    finally:
        await producer.close()


async def _partition(place: Place, number: int, producer: FencedProducer, tally: Tally) -> None:
    store = RocksStore(place.folder / str(number)) if place.keeps_rows else None
    decode: Decode = decode_touchpoint if place.keeps_rows else _decode_event
    position = None
    async with BulkReader(reader_of(place.bootstrap), place.source, number) as reader:
        bounds = await reader.bounds()
        if bounds.start < bounds.end:
            reader.seek(bounds.start)
        behind = bounds.start
        while behind < bounds.end:
            batches = await reader.read(PATIENCE_S)
            if not batches:
                raise RuntimeError(f"{place.source}[{number}]: nothing came for {PATIENCE_S:g} s at {behind}")
            behind = batches[-1].next_offset
            rows = _rows([record for batch in batches for record in batch], decode)
            tally.note(len(rows))
            await _send(producer, place.changelog, number, rows)
            if store is not None:
                before, position = position, Position(behind, -1, 0, "floor", 0)
                store.write(rows, position, before)
                await _send(producer, place.partials, number, [(b"count", str(behind).encode())])
    if store is not None:
        store.close()


def _rows(records: Sequence[StoredRecord], decode: Decode) -> list[Row]:
    rows: list[Row] = []
    for record in records:
        assert record.value is not None
        decode(record.value)
        rows.append((b"%b\0%d" % (record.key, record.offset), record.value))
    return rows


async def _send(producer: FencedProducer, topic: str, partition: int, rows: Sequence[Row]) -> None:
    for batch in some_batches(rows):
        await producer.append(topic, partition, batch)


def main(arguments: Sequence[str]) -> None:
    """Runs and prints."""
    kind, bootstrap, source, changelog, partials, partitions, folder = arguments
    place = Place(bootstrap, source, changelog, partials, Path(folder), kind == "accounts")
    print(msgspec.json.encode(uvloop.run(run(place, int(partitions)))).decode())


if __name__ == "__main__":
    main(sys.argv[1:])
