"""Checkouts are compared batch by batch."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parents[2]


def test_the_same_checkout_twice_takes_about_the_same() -> None:
    command = [sys.executable, "-m", "tests.budget.turns", str(HERE), str(HERE)]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=120, check=True)
    first, second = done.stdout.splitlines()
    assert first.startswith(f"{HERE}: ")
    assert "1.000 of the first" in first
    assert 0.5 < float(second.split(", ")[1].split()[0]) < 2
