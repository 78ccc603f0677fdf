"""The job on stock Faust, a result per event.

usage: python -m bench.peers.on_faust BOOTSTRAP SOURCE OUTPUT NAME FOLDER
"""

import sys

import faust
import uvloop

from bench.peers.job import PARTITIONS, Place, state_behind

LINGER_S = 0.05
BATCH_BYTES = 256 * 2**10
place = Place.of(sys.argv[1:])
uvloop.install()
app = faust.App(
    place.name,
    broker=f"kafka://{place.bootstrap}",
    env={},
    datadir=place.folder,
    store="rocksdb://",
    web_enabled=False,
    topic_partitions=PARTITIONS,
    topic_disable_leader=True,
    value_serializer="raw",
    key_serializer="raw",
    consumer_auto_offset_reset="earliest",
    producer_linger=LINGER_S,
    producer_max_batch_size=BATCH_BYTES,
)
events = app.topic(place.source, key_type=bytes, value_type=bytes)
output = app.topic(place.output, key_type=bytes, value_type=bytes)
states = app.Table("states", key_type=bytes, value_type=bytes, partitions=PARTITIONS)


@app.agent(events)
async def journeys(stream):  # type: ignore[no-untyped-def]
    async for account, event in stream.items():
        state = state_behind(states.get(account), [event])
        states[account] = state
        await output.send(key=account, value=state)


if __name__ == "__main__":
    worker = faust.Worker(app, loglevel="WARNING", redirect_stdouts=False)
    worker.spinner = None
    worker.execute_from_commandline()
