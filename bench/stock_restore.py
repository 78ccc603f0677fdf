"""Stock Faust recovering a table of one partition from its changelog. Prints the rows that it read in a second.

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
began = 0.0


async def note(_: object) -> None:
    """The rate from the first tenth to the last row; stock waits some seconds more before it sees that it is done."""
    global seen, began
    seen += 1
    if seen == int(ROWS) // 10:
        began = time.monotonic()
    elif seen == int(ROWS):
        print(f"RATE {0.9 * seen / (time.monotonic() - began):.0f}", flush=True)
        os._exit(0)


source = app.topic(SOURCE, key_type=bytes, value_type=bytes)
rows = app.Table("rows", key_type=bytes, value_type=bytes, partitions=1, on_changelog_event=note)


@app.agent(source)  # type: ignore[untyped-decorator]
async def use(stream):  # type: ignore[no-untyped-def]
    async for key, value in stream.items():
        rows[key] = value


if __name__ == "__main__":
    worker = faust.Worker(app, loglevel="ERROR", redirect_stdouts=False)
    worker.spinner = None
    worker.execute_from_commandline()
