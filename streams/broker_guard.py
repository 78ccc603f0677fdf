"""Runs the broker and ends it with its owner, however the owner ends. A program of its own: standard library only.

The law: the owner holds the other end of this process's standard input, and whatever ends the owner closes it; SIGKILL
too, on Linux and on macOS. On the close the broker gets SIGTERM, and SIGKILL when that takes too long.
Usage: broker_guard.py COMMAND...; the broker's pid comes on standard output.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading

SHUTDOWN_S = 15.0
_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Runs the command in argv until it ends or standard input closes; returns its exit code."""
    # The lock's descriptor is inherited on purpose: the folder is taken as long as the broker lives, whoever else died.
    broker = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, close_fds=False, preexec_fn=_die_with_parent)
    print(broker.pid, flush=True)
    for ending in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(ending, lambda *_: broker.terminate())
    threading.Thread(target=_end_with_owner, args=(broker,), daemon=True).start()
    return broker.wait()


def _die_with_parent() -> None:
    """On Linux the broker does not outlive a guard that was killed; elsewhere nobody is left to end it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _end_with_owner(broker: "subprocess.Popen[bytes]") -> None:
    """Waits for the owner's end, then ends the broker."""
    with contextlib.suppress(OSError):
        while os.read(0, 1024):
            pass
    broker.terminate()
    try:
        broker.wait(SHUTDOWN_S)
    except subprocess.TimeoutExpired:
        broker.kill()


if __name__ == "__main__":
    sys.exit(main())
