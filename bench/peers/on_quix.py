"""The job on Quix Streams.

usage: python -m bench.peers.on_quix BOOTSTRAP SOURCE OUTPUT NAME FOLDER at-least-once|exactly-once
"""

import sys

from quixstreams import Application
from quixstreams import State as Store

from bench.peers.job import VISIBLE_S, Place, state_behind

LINGER_MS = 100
"""As Kafka Streams has it; librdkafka's 5 take more of the processor's time."""


def journey(event: bytes, store: Store) -> bytes:
    """The account's newest state."""
    state = state_behind(store.get_bytes("state"), [event])
    store.set_bytes("state", state)
    return state


def main(place: Place, guarantee: str) -> None:
    """Runs until SIGTERM."""
    app = Application(
        broker_address=place.bootstrap,
        consumer_group=place.name,
        auto_offset_reset="earliest",
        state_dir=place.folder,
        processing_guarantee=guarantee,
        commit_interval=VISIBLE_S,
        producer_extra_config={"compression.type": "lz4", "linger.ms": LINGER_MS},
        loglevel="WARNING",
    )
    events = app.topic(place.source, value_deserializer="bytes")
    output = app.topic(place.output, value_serializer="bytes")
    app.dataframe(events).apply(journey, stateful=True).to_topic(output)
    app.run()


if __name__ == "__main__":
    main(Place.of(sys.argv[1:]), sys.argv[-1])
