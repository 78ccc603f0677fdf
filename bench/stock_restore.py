"""Stock Faust recovering a table of one partition from its changelog. Prints rows/s and µs of the processor a row.

usage: python -m bench.stock_restore BOOTSTRAP APP SOURCE ROWS FOLDER
"""

import os
import sys
import time

import faust
import uvloop

BOOTSTRAP, APP, SOURCE, ROWS, FOLDER = sys.argv[1:6]

uvloop.install()
app = faust.App(
    APP,
    broker=[f"kafka://{server}" for server in BOOTSTRAP.split(",")],
    env={},
    datadir=FOLDER,
    store="rocksdb://",
    web_enabled=False,
    topic_partitions=1,
    topic_disable_leader=True,
    value_serializer="raw",
    consumer_auto_offset_reset="earliest",
)
seen = 0
began = began_cpu = 0.0


async def note(_: object) -> None:
    """The rate from the first tenth to the last row; stock waits some seconds more before it sees that it is done."""
    global seen, began, began_cpu
    seen += 1
    if seen == int(ROWS) // 10:
        began, began_cpu = time.monotonic(), time.process_time()
    elif seen == int(ROWS):
        spent, spent_cpu = time.monotonic() - began, time.process_time() - began_cpu
        print(f"RATE {0.9 * seen / spent:.0f} {spent_cpu / (0.9 * seen) * 1e6:.1f}", flush=True)
        os._exit(0)


source = app.topic(SOURCE, key_type=bytes, value_type=bytes)
rows = app.Table("rows", key_type=bytes, value_type=bytes, partitions=1, on_changelog_event=note)


@app.agent(source)
async def use(stream):  # type: ignore[no-untyped-def]
    async for key, value in stream.items():
        rows[key] = value


if __name__ == "__main__":
    worker = faust.Worker(app, loglevel="ERROR", redirect_stdouts=False)
    worker.spinner = None
    worker.execute_from_commandline()
