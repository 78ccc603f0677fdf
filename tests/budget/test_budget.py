"""The hot path does no more work than the budgets beside it allow."""

import os
import subprocess
import sys
import warnings
from typing import Any

import msgspec
import pytest

from state.groups import Groups
from state.plan import Plan
from streams.budget import INSTRUCTIONS_OF, Cost
from streams.store import Position
from tests.budget.counting import Asked, Counter, CountingStore
from tests.budget.judging import budgets, fallen, grown, place_of
from tests.budget.scenarios import THREE
from tests.state.memory_store import MemoryStore
from tests.state.worlds import START, Record, touchpoint

COUNT = [sys.executable, "-m", "tests.budget", "--json"]


@pytest.fixture(scope="module")
def counted() -> dict[str, Cost]:
    """By scenario; in a process of its own, where sets have the same order each time, nothing is warm, and coverage
    does not look on."""
    done = subprocess.run(
        COUNT, env=os.environ | {"PYTHONHASHSEED": "0"}, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    return msgspec.json.decode(done.stdout, type=dict[str, Cost])


@pytest.mark.parametrize("name", budgets())
def test_work_is_within_its_budget(name: str, counted: dict[str, Cost]) -> None:
    """Each count, per thousand; one that has fallen is told, for then the budget can be tightened."""
    budget, found = budgets()[name], counted[name]
    if more := grown(budget, found):
        pytest.fail(
            f"{name} does more work than its budget in {place_of(name)} allows, per thousand: {'; '.join(more)}."
            f" `python -m tests.budget {name}` prints the work by function, here and at the commit before. If it must"
            " be, raise the budget in the same commit.",
            pytrace=False,
        )
    if less := fallen(budget, found):
        warnings.warn(f"{name} does less work: {'; '.join(less)}. Tighten {place_of(name)}.", stacklevel=1)


def test_every_scenario_has_a_budget(counted: dict[str, Cost]) -> None:
    """And every budget a scenario."""
    assert counted.keys() == budgets().keys()


@pytest.mark.parametrize("revision", [0, 1], ids=["again", "corrected"])
def test_what_comes_again_of_one_account_costs_by_its_number(revision: int) -> None:
    """A file that is imported twice may be of one large account."""
    plan = Plan(THREE.definitions)

    def instructions(count: int) -> int:
        store, counter = MemoryStore(), Counter()
        first = Groups(plan, store)
        first.read([Record(touchpoint(str(n), START + n, "A")) for n in range(count)])
        store.apply(list(first.touchpoints.items()))
        again = [Record(touchpoint(str(n), START + n, "B", revision=revision)) for n in range(count)]
        counter.run(lambda: Groups(plan, store).read(again))
        return counter.total().instructions

    assert instructions(400) < 2.2 * instructions(200)


# --- the guard itself


def test_growth_is_told_beyond_the_tolerance() -> None:
    """With what grew, from what, to what; what is within a twentieth is not told, nor what fell."""
    budget = Cost(calls=1_000, instructions=10_000, keys=100)
    assert grown(budget, Cost(calls=1_050, instructions=10_500, keys=50)) == []
    assert grown(budget, Cost(calls=1_051, instructions=10_000, keys=200, asks=1)) == [
        "calls: 1,051 where the budget is 1,000 (+5.1%)",
        "asks: 1 where the budget is 0 (new)",
        "keys: 200 where the budget is 100 (+100.0%)",
    ]


def test_a_fall_is_told_beyond_the_tolerance() -> None:
    """So that a budget does not become loose."""
    budget = Cost(calls=1_000, instructions=10_000)
    assert fallen(budget, Cost(calls=950, instructions=10_000, keys=1)) == []
    assert fallen(budget, Cost(calls=949, instructions=10_000)) == ["calls: 949 where the budget is 1,000 (-5.1%)"]


@pytest.mark.skipif(sys.version_info[:2] != INSTRUCTIONS_OF, reason="instructions are those of another Python")
def test_instructions_are_held() -> None:
    """On the Python whose they are."""
    assert grown(Cost(calls=1, instructions=10), Cost(calls=1, instructions=11)) != []


TOY = """
def one(text):
    return len(text)

def lengths():
    return [one(text) for text in ("a", "b", "c")]

def total():
    return sum(one(text) for text in ("a", "b"))
"""


def test_calls_are_counted_by_function() -> None:
    """In Python, in C, and of a generator each time it goes on, also to its end; a comprehension is none."""
    toy: dict[str, Any] = {}
    exec(compile(TOY, "toy.py", "exec"), toy)
    counter, before = Counter(), sys.gettrace()
    assert (counter.run(toy["lengths"]), counter.run(toy["total"])) == ([1, 1, 1], 2)
    assert sys.gettrace() is before
    calls = {code.co_name: (spent.calls, spent.c_calls) for code, spent in counter.by_code.items()}
    calls.pop("<listcomp>", None)  # up to Python 3.11 its instructions are its own
    assert calls == {"one": (5, 5), "lengths": (1, 0), "total": (1, 1), "<genexpr>": (3, 0)}
    assert counter.total().calls == 10


def test_one_instruction_more_is_one_more() -> None:
    """Per time that it runs."""

    def instructions(line: str) -> int:
        toy: dict[str, Any] = {}
        exec(compile(f"def work():\n    for _ in range(100):\n        {line}", "toy.py", "exec"), toy)
        counter = Counter()
        counter.run(toy["work"])
        return counter.total().instructions

    assert instructions("x = 1") - instructions("pass") == 200  # a constant loaded and stored


def test_reads_of_a_store_are_counted() -> None:
    """Keys asked for, and the rows that are there."""
    store = CountingStore(MemoryStore())
    store.write([(b"a1", b"xyz"), (b"a2", b"")], Position(1, 0, 0, "id", 0), None)
    assert store.get([b"a1", b"b"]) == [b"xyz", None]
    assert store.asked == Asked(asks=1, keys=2, rows=1, bytes=5)
    assert list(store.scan(b"a")) == [(b"a1", b"xyz"), (b"a2", b"")]
    assert store.asked == Asked(asks=2, keys=3, rows=3, bytes=12)
    assert store.floor(b"a", b"a15") == (b"a1", b"xyz")
    assert store.after(b"a", b"a2") is None
    assert store.asked == Asked(asks=4, keys=5, rows=4, bytes=17)
