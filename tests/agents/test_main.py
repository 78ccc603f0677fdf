"""How the command ends."""

import subprocess
import sys

_PROGRAM = """
import atexit, threading, time
from agents import main

def fail():
    raise LookupError("nobody expects it")

main.cli = fail
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
atexit.register(print, "taken apart")
main.main()
"""


def test_what_nobody_expects_is_the_last_that_is_said() -> None:
    """With its traceback and a code of 1; beside a thread that may be anywhere the interpreter is not taken apart."""
    ended = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("Traceback (most recent call last):")
    assert ended.stderr.endswith("LookupError: nobody expects it\n")
