"""`make bench-peers`: one job on several engines, turn by turn on one broker; a rate counts if its result is right."""

import argparse
import asyncio
import importlib.metadata
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import psutil

from agents.settings import Settings
from bench.document import put_between
from bench.peers.contenders import BUILD, CONTENDER_BY_NAME, PYTHON, ROOT, Contender
from bench.peers.expected import expected_result
from bench.peers.job import PARTITIONS, generated
from bench.peers.report import (
    CONTENDERS_MARK,
    RESULTS_MARK,
    Report,
    contenders_markdown,
    results_markdown,
    rows_of,
    write_json,
)
from bench.peers.run import TOPIC_CONFIG, Run, RunError, World, make_topics, measured
from bench.world import timed
from streams.broker import EmbeddedBroker
from streams.bulk_producer import BulkProducer
from streams.jars import KAFKA_VERSION

SOURCE = "peers-events"
DOCUMENT = ROOT / "docs" / "performance.md"
PIECE = 5_000


def main() -> int:
    """Measures, prints and writes; returns 1, and publishes nothing, when a run failed."""
    wanted = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what it started ends with it
    contenders = [CONTENDER_BY_NAME[name] for name in wanted.only]
    with (
        tempfile.TemporaryDirectory(prefix="milepost-peers-") as folder,
        EmbeddedBroker.start(Path(folder) / "broker", Settings().folder / "jars") as broker,
    ):
        shares = {contender.share for contender in contenders}
        worlds = {share: _world(Path(folder), broker, wanted, share) for share in sorted(shares)}
        runs = [run for turn in turns(contenders, wanted.repeats) if (run := _one(worlds[turn[0].share], *turn))]
    if not runs:
        return 1
    report = Report(
        machine=_machine(),
        versions=_versions(),
        events=wanted.events,
        accounts=wanted.accounts,
        partitions=PARTITIONS,
        warm_up=wanted.warm_up,
        rows=rows_of(runs),
        runs=runs,
    )
    is_whole = len(runs) == wanted.repeats * len(contenders)
    _write(report, wanted.publish and is_whole)
    return int(not is_whole)


def _arguments() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    arguments.add_argument("--events", type=int, default=1_000_000)
    arguments.add_argument("--accounts", type=int, default=50_000)
    arguments.add_argument("--repeats", type=int, default=5)
    arguments.add_argument("--warm-up", type=float, default=0.2, help="share of the events before measuring")
    arguments.add_argument(
        "--only", nargs="+", choices=list(CONTENDER_BY_NAME), default=list(CONTENDER_BY_NAME), metavar="NAME",
        help=f"some of: {', '.join(CONTENDER_BY_NAME)}",
    )  # fmt: skip
    arguments.add_argument("--publish", action="store_true", help="write the report into docs/, not only into build/")
    return arguments.parse_args()


def turns(contenders: Sequence[Contender], repeats: int) -> Iterator[tuple[Contender, int]]:
    """Each repeat has every contender once and begins with another one."""
    for repeat in range(repeats):
        begin = repeat % len(contenders)
        for contender in (*contenders[begin:], *contenders[:begin]):
            yield contender, repeat


def _world(folder: Path, broker: EmbeddedBroker, wanted: argparse.Namespace, share: float) -> World:
    """The first events, a topic of their own."""
    path, count = folder / "events.ndjson", round(share * wanted.events)
    source = f"{SOURCE}-{count}"
    with timed(f"{count:,} events generated"):
        make_topics(broker.bootstrap_servers, {source: TOPIC_CONFIG})
        asyncio.run(fill(broker.bootstrap_servers, source, path, count, wanted.accounts))
    with timed("expected result"):
        expected = expected_result(path)
    path.unlink()
    return World(broker, folder, source, count, expected, wanted.warm_up)


async def fill(bootstrap: str, topic: str, path: Path, events: int, accounts: int) -> None:
    """Generates into the topic, and the same bytes into a file, an event a line."""
    async with BulkProducer(bootstrap) as producer:
        with path.open("wb") as lines:
            records = generated(events, accounts)
            while piece := list(islice(records, PIECE)):
                lines.writelines(event + b"\n" for _, event in piece)
                await producer.send(topic, piece)
        await producer.flush()


def _one(world: World, contender: Contender, repeat: int) -> Run | None:
    """A run, or None when it failed, which is said; the others go on, for all of them take half an hour."""
    try:
        run = measured(world, contender, repeat)
    except RunError as error:
        print(f"  {repeat + 1}. FAILED: {error}", flush=True)
        return None
    rate = "too short for a rate" if run.rate is None else f"{run.rate:,.0f} events/s"
    print(f"  {repeat + 1}. {contender.title}: {rate}, first result after {run.start_s:.1f} s", flush=True)
    return run


def _machine() -> str:
    return f"{psutil.cpu_count()} cores, {psutil.virtual_memory().total >> 30} GiB, {platform.machine()}"


def _versions() -> dict[str, str]:
    """Of what was compared; packages of the peers' environment are those that it was made of."""
    locked = dict(
        line.split(" ")[0].split("==") for line in (ROOT / "bench/peers/constraints.txt").read_text().splitlines()
        if "==" in line
    )  # fmt: skip
    return {
        "milepost": importlib.metadata.version("milepost"),
        "Kafka and Kafka Streams": KAFKA_VERSION,
        "Quix Streams": locked["quixstreams"],
        "Bytewax": locked["bytewax"],
        "Faust": locked["faust-streaming"],
        "Python": platform.python_version(),
    }


def _write(report: Report, publish: bool) -> None:
    folder = DOCUMENT.parent / "performance" if publish else BUILD / "report"
    folder.mkdir(parents=True, exist_ok=True)
    path, plot = folder / "peers.json", folder / "peers.svg"
    write_json(report, path)
    subprocess.run([str(PYTHON), "-m", "bench.peers.plot", str(path), str(plot)], cwd=ROOT, check=True)
    results = results_markdown(report, f"performance/{plot.name}" if publish else plot.name)
    if publish:
        document = put_between(DOCUMENT.read_text(), CONTENDERS_MARK, contenders_markdown())
        DOCUMENT.write_text(put_between(document, RESULTS_MARK, results))
    else:
        (folder / "peers.md").write_text(f"{contenders_markdown()}\n\n{results}\n")
    print(results)


if __name__ == "__main__":
    sys.exit(main())
