"""Stock Faust on the same touchpoints: one table write per event, nothing else. Prints how many it did in the time.

usage: python -m bench.stock_faust BOOTSTRAP TOPIC PARTITIONS SECONDS FOLDER
"""

import asyncio
import os
import sys
import time

import faust

BOOTSTRAP, TOPIC, PARTITIONS, SECONDS, FOLDER = sys.argv[1:6]

app = faust.App(
    f"stock-{os.getpid()}",
    broker=[f"kafka://{server}" for server in BOOTSTRAP.split(",")],
    env={},
    datadir=FOLDER,
    store="rocksdb://",
    web_enabled=False,
    topic_partitions=int(PARTITIONS),
    topic_disable_leader=True,
    value_serializer="raw",
    consumer_auto_offset_reset="earliest",
)
touchpoints = app.topic(TOPIC, key_type=bytes, value_type=bytes)
counts = app.Table("counts", key_type=bytes, value_type=bytes, partitions=int(PARTITIONS))
seen = 0


@app.agent(touchpoints)
async def count(stream):  # type: ignore[no-untyped-def]
    global seen
    async for event in stream.events():
        counts[event.key] = b"%d" % (int(counts.get(event.key) or 0) + 1)
        seen += 1


@app.task  # type: ignore[untyped-decorator]
async def report() -> None:
    while not seen:
        await asyncio.sleep(0.05)
    began, before = time.monotonic(), seen
    await asyncio.sleep(float(SECONDS))
    print(f"RATE {(seen - before) / (time.monotonic() - began):.0f}", flush=True)
    os._exit(0)


if __name__ == "__main__":
    worker = faust.Worker(app, loglevel="ERROR", redirect_stdouts=False)
    worker.spinner = None
    worker.execute_from_commandline()
