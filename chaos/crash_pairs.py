"""`make chaos-points`: every pair of crash points one after the other, on a real broker, with the tests' toy stage.

An owner that has committed dies, its successor at the first point, the next at the second, on the same disk or an empty
one; the last finishes. Then changelog, outputs and sources say the same. Points outside of an owner are those of
`chaos.worker_pairs`.
"""

import asyncio
import os
import sys
import tempfile
import time
import traceback
from itertools import product
from pathlib import Path

from rich.console import Console

from agents.settings import Settings
from chaos.worker_pairs import OUTSIDE
from streams import crash
from streams.broker import EmbeddedBroker
from streams.crash import CRASH_POINTS
from tests.streams.toy import BIG, assert_exact, make_topics, produce, run_plain

SMALL = [b"%d" % (number % 7) for number in range(40)]
KEYS = [*SMALL[:20], BIG + b"1", *SMALL[20:], BIG + b"2"]
"""Two large ones, for the chores that one leaves come before the slices of the next."""
STEP = 7
POINTS = [point for point in CRASH_POINTS if point not in OUTSIDE]
# An owner passes these for its first commit, which has no input; further on there is more to lose.
LATER = {"changelog": 3, "store": 3, "publish": 3, "sending": 7}


def main() -> int:
    """Returns 1 when a pair breaks something."""
    console, failed, reached_count, began = Console(), [], 0, time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="milepost-pairs-") as folder,
        EmbeddedBroker.start(Path(folder) / "broker", Settings().folder / "jars") as broker,
    ):
        for number, (first, second) in enumerate(product(POINTS, POINTS)):
            prefix, disk = f"pair{number}", Path(folder) / f"disk{number}"
            names = make_topics(broker.bootstrap_servers, prefix)
            produce(broker.bootstrap_servers, names.source, KEYS)
            disks = [disk, disk, disk if number % 2 else disk.with_suffix(".other"), disk]
            codes = [
                _owner(broker.bootstrap_servers, prefix, at, point)
                for at, point in zip(disks, ("store", first, second, ""), strict=True)
            ]
            reached_count += codes.count(137)
            try:
                assert codes == [137, 137, 137, 0], codes
                assert_exact(broker.bootstrap_servers, prefix)
            except AssertionError as error:
                failed.append((first, second))
                console.print(f"{first}, then {second}: {error!s:.500}")
    console.print(
        f"{len(POINTS) ** 2} pairs of {len(POINTS)} points, {reached_count} crashes,"
        f" {time.monotonic() - began:.0f} s; broken: {failed or 'none'}"
    )
    return int(bool(failed))


def _owner(bootstrap: str, prefix: str, disk: Path, point: str) -> int:
    """One owner's life in a process of its own; returns its exit code."""
    child = os.fork()
    if child == 0:
        crash._name, crash._passes_left = point, LATER.get(point, 1)
        code = 1
        try:
            asyncio.run(run_plain(bootstrap, prefix, str(disk), str(len(KEYS)), str(STEP)))
            code = 0
        except BaseException:  # noqa: BLE001  (the parent goes on, and tells from the code)
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
