"""The job on Bytewax, with its recovery store.

usage: python -m bench.peers.on_bytewax BOOTSTRAP SOURCE OUTPUT NAME FOLDER SNAPSHOT_S
"""

import sys
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSinkMessage, KafkaSourceMessage
from bytewax.connectors.kafka import operators as kop
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from bench.peers.job import Place, State, advance, decode_event, decode_state, encode_state

BATCH_RECORDS = 10_000


class Journey(op.StatefulBatchLogic[bytes, bytes, bytes]):  # type: ignore[misc]  # not in our environment
    """One account, held in memory."""

    def __init__(self, stored: bytes | None) -> None:
        self._state = State() if stored is None else decode_state(stored)

    def on_batch(self, values: list[bytes]) -> tuple[Iterable[bytes], bool]:
        for event in values:
            advance(self._state, decode_event(event).type)
        return [encode_state(self._state)], self.RETAIN

    def snapshot(self) -> bytes:
        return encode_state(self._state)


def _keyed(message: KafkaSourceMessage[bytes, bytes]) -> tuple[str, bytes]:
    return message.key.decode(), message.value


def _message(keyed: tuple[str, bytes]) -> KafkaSinkMessage[bytes, bytes]:
    return KafkaSinkMessage(keyed[0].encode(), keyed[1])


def journeys(place: Place) -> Dataflow:
    """From the source to the output."""
    flow, brokers = Dataflow("journeys"), [place.bootstrap]
    read = kop.input("events", flow, brokers=brokers, topics=[place.source], batch_size=BATCH_RECORDS)
    keyed = op.map("keyed", read.oks, _keyed)
    states = op.stateful_batch("journeys", keyed, Journey)
    messages = op.map("messages", states, _message)
    kop.output("output", messages, brokers=brokers, topic=place.output, add_config={"compression.type": "lz4"})
    return flow


def main(place: Place, snapshot_s: float) -> None:
    """Runs until it is ended."""
    recovery = Path(place.folder)
    init_db_dir(recovery, 1)
    cli_main(
        journeys(place),
        workers_per_process=1,
        epoch_interval=timedelta(seconds=snapshot_s),
        recovery_config=RecoveryConfig(recovery),
    )


if __name__ == "__main__":
    main(Place.of(sys.argv[1:]), float(sys.argv[-1]))
