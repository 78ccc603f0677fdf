"""`milepost worker` as the chaos driver starts it: the product's own command, in a world that can be bent.

CHAOS_DELETE_RETENTION_MS: what the table of topics promises for deletions, so that tombstones can go within seconds.
CHAOS_CLOCK: a file with seconds by which the machine's clock is wrong; it may change at any time. Only the wall clock:
monotonic clocks do not jump.
"""

import os
import sys
import threading
import time
from pathlib import Path


def main() -> None:
    """Bends, then runs the command line."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    if retention := os.environ.get("CHAOS_DELETE_RETENTION_MS"):
        from streams import topics

        topics._COMPACTED["delete.retention.ms"] = retention
    if clock := os.environ.get("CHAOS_CLOCK"):
        _bend_the_clock(Path(clock))

    from agents.main import main as milepost

    milepost()


def _bend_the_clock(file: Path) -> None:
    true_time, wrong_by = time.time, [0.0]

    def follow() -> None:
        while True:
            wrong_by[0] = float(file.read_text() or 0) if file.exists() else 0.0
            time.sleep(0.2)

    threading.Thread(target=follow, daemon=True).start()
    time.time = lambda: true_time() + wrong_by[0]


if __name__ == "__main__":
    main()
