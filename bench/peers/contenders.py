"""Who does the job, in which process, how each is configured and what it promises."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench.peers.job import VISIBLE_S, Place
from bench.peers.on_milepost import changelog_of
from streams.java import java_command
from streams.topics import TOPIC_BY_NAME

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "peers"
PYTHON = BUILD / "venv" / "bin" / "python"
"""Has the packages of bench/peers/constraints.txt; made by `make bench-peers`."""
KAFKA_STREAMS = BUILD / "kafka_streams"
"""Where Maven puts what it makes of bench/peers/kafka_streams."""


class Contender(msgspec.Struct, frozen=True, kw_only=True):
    """command: runs the job until SIGTERM. workers: so many processes of it, told apart by MILEPOST_WORKER_ID. share:
    of the events it gets the first ones, where all would take too long. topics: the settings of topics that must be
    there before, by name."""

    name: str
    title: str
    guarantee: str
    settings: str
    command: Callable[[Place], list[str]]
    workers: int = 1
    share: float = 1.0
    topics: Callable[[Place], dict[str, dict[str, str]]] = lambda _: {}


def _python(module: str, *more: str) -> Callable[[Place], list[str]]:
    return lambda place: [str(PYTHON), "-m", f"bench.peers.{module}", *place.arguments(), *more]


def _milepost(place: Place) -> list[str]:
    return [sys.executable, "-m", "bench.peers.on_milepost", *place.arguments()]


def _milepost_topics(place: Place) -> dict[str, dict[str, str]]:
    return {changelog_of(place): TOPIC_BY_NAME["accounts-changelog"].config()}


def _kafka_streams(guarantee: str) -> Callable[[Place], list[str]]:
    def command(place: Place) -> list[str]:
        jars = [KAFKA_STREAMS / "journeys-1.jar", *sorted((KAFKA_STREAMS / "lib").glob("*.jar"))]
        options = ["--enable-native-access=ALL-UNNAMED", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        threads = str(os.cpu_count())
        class_path = os.pathsep.join(map(str, jars))
        return [java_command(), *options, "-cp", class_path, "JourneysJob", *place.arguments(), guarantee, threads]

    return command


_MILEPOST_GUARANTEE = (
    "exact: state and input position are one record batch of the changelog, fenced; an output may come again under the"
    " same tag"
)
_MILEPOST_SETTINGS = "the product's defaults: batches of at most 40,000 records, a commit and its outputs per batch"
_KAFKA_STREAMS_SETTINGS = (
    f"a thread per processor; commit every {VISIBLE_S:g} s; cache of 256 MiB, more than all states take; producer with"
    " batches of 256 KiB, lz4; Java, heap and RocksDB as they come"
)
_QUIX_SETTINGS = (
    f"one thread, as it has; commit every {VISIBLE_S:g} s; producer with lz4 that waits 100 ms for more to send;"
    " state and output in bytes"
)
_BYTEWAX_GUARANTEE = (
    "state and input position come back from the same snapshot as long as its file on the local disk is there, for"
    " nothing of it is in Kafka; outputs at least once"
)
_BYTEWAX_SETTINGS = (
    "one worker; reads up to 10,000 records at a time instead of 1,000;"
    " state in memory, snapshots to SQLite {}; results do not wait for them"
)

CONTENDERS = (
    Contender(
        name="milepost",
        title="milepost's engine",
        guarantee=_MILEPOST_GUARANTEE,
        settings=f"one worker; {_MILEPOST_SETTINGS}",
        command=_milepost,
        topics=_milepost_topics,
    ),
    Contender(
        name="milepost-workers",
        title="milepost's engine, a worker per processor",
        guarantee=_MILEPOST_GUARANTEE,
        settings=f"as many worker processes as processors; {_MILEPOST_SETTINGS}",
        command=_milepost,
        workers=os.cpu_count() or 1,
        topics=_milepost_topics,
    ),
    Contender(
        name="kafka-streams",
        title="Kafka Streams, at-least-once",
        guarantee="at least once: after a crash events may count twice",
        settings=_KAFKA_STREAMS_SETTINGS,
        command=_kafka_streams("at_least_once"),
    ),
    Contender(
        name="kafka-streams-exact",
        title="Kafka Streams, exactly_once_v2",
        guarantee="exactly once, by transactions",
        settings=_KAFKA_STREAMS_SETTINGS,
        command=_kafka_streams("exactly_once_v2"),
    ),
    Contender(
        name="quix",
        title="Quix Streams, at-least-once",
        guarantee="at least once: after a crash outputs come again; what its changelog says behind the committed"
        " position is not restored",
        settings=_QUIX_SETTINGS,
        command=_python("on_quix", "at-least-once"),
    ),
    Contender(
        name="quix-exact",
        title="Quix Streams, exactly-once",
        guarantee="exactly once, by transactions",
        settings=_QUIX_SETTINGS,
        command=_python("on_quix", "exactly-once"),
    ),
    Contender(
        name="bytewax",
        title="Bytewax, snapshot every 10 s",
        guarantee=_BYTEWAX_GUARANTEE,
        settings=_BYTEWAX_SETTINGS.format("every 10 s, its default"),
        command=_python("on_bytewax", "10"),
    ),
    Contender(
        name="bytewax-1s",
        title="Bytewax, snapshot every second",
        guarantee=_BYTEWAX_GUARANTEE,
        settings=_BYTEWAX_SETTINGS.format("every second, as often as the others commit"),
        command=_python("on_bytewax", "1"),
    ),
    Contender(
        name="faust",
        title="stock Faust",
        guarantee="at least once: after a crash events may count twice",
        settings="given the first fifth of the events, for it would take minutes; uvloop, its compiled parts;"
        " RocksDB table with changelog; the producer waits 50 ms for more to send,"
        " in batches of 256 KiB; commit every 2.8 s, its default: results do not wait for it",
        command=_python("on_faust"),
        share=0.2,
    ),
)
CONTENDER_BY_NAME = {contender.name: contender for contender in CONTENDERS}
