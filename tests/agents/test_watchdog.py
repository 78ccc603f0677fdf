"""A process that hangs ends itself, says why, and leaves a trace; one that works is left alone."""

import subprocess
import sys

import pytest

from agents.watchdog import EXIT_CODE

HANG = """
import asyncio, sys, time
from agents.watchdog import Watchdog
async def main(how):
    stopping = how == "stop"
    watchdog = Watchdog(1.0, [lambda: 0.0, lambda: 9.0 if how == "batch" else 0.0], lambda: stopping, 0.5)
    task = asyncio.create_task(watchdog.run())
    await asyncio.sleep(0.1)
    if how == "loop":
        time.sleep(10)
    await asyncio.sleep(1.8 if how == "fine" else 10)
    task.cancel()
asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("loop", EXIT_CODE, "nothing moved in the main loop for 1 s"),
        ("batch", EXIT_CODE, "a batch took longer than 1 s"),
        ("stop", EXIT_CODE, "did not stop within 0.5 s"),
        ("fine", 0, ""),
    ],
)
def test_what_hangs_ends(how: str, code: int, said: str) -> None:
    """A blocked loop, a batch without end and a stop without end; each with where every thread stood."""
    done = subprocess.run([sys.executable, "-c", HANG, how], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, said in done.stderr) == (code, True)
    assert ("Thread 0x" in done.stderr) == (code != 0)
