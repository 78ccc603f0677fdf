"""Counts what code does, the same on every machine: calls and instructions by function, and what it asks of a store.

A call is one of a function in Python, of a function or method in C, or a generator that goes on; not that of a class,
and not a comprehension, which Python 3.12 calls no more. An instruction is one of Python's bytecode, whatever C does
within it. Everything that runs meanwhile is counted, libraries too, but for this package.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, TypeVar

import msgspec

from streams.store import Position, Row, Store

Result = TypeVar("Result")
_Trace = Callable[[FrameType, str, Any], Any]
_HERE = str(Path(__file__).parent)
_COMPREHENSIONS = {"<listcomp>", "<dictcomp>", "<setcomp>"}


class Spent(msgspec.Struct):
    """What one function did itself. calls: how often it was called. c_calls: how often it called C."""

    calls: int = 0
    c_calls: int = 0
    instructions: int = 0


class Counter:
    """Counts by function; adds up over what it runs."""

    def __init__(self) -> None:
        self.by_code: dict[CodeType, Spent] = {}
        self._traces: dict[CodeType, _Trace | None] = {}

    def run(self, work: Callable[[], Result]) -> Result:
        """What `work` gives. Who else traces, such as coverage, does not see it."""
        trace, profile = sys.gettrace(), sys.getprofile()
        sys.setprofile(self._on_profile)
        sys.settrace(self._on_call)
        try:
            return work()
        finally:
            sys.settrace(trace)
            sys.setprofile(profile)

    def total(self) -> Spent:
        """Of all functions."""
        found = [(each.calls, each.c_calls, each.instructions) for each in self.by_code.values()]
        return Spent(*map(sum, zip(*found, strict=True)))

    def _on_profile(self, frame: FrameType, event: str, _: Any) -> None:
        if event == "c_call" and self._trace_of(frame.f_code) is not None:
            self.by_code[frame.f_code].c_calls += 1

    def _on_call(self, frame: FrameType, _event: str, _: Any) -> _Trace | None:
        code = frame.f_code
        trace = self._trace_of(code)
        if trace is not None:
            frame.f_trace, frame.f_trace_opcodes, frame.f_trace_lines = trace, True, False
            self.by_code[code].calls += code.co_name not in _COMPREHENSIONS
        return trace

    def _trace_of(self, code: CodeType) -> _Trace | None:
        """What counts the instructions of a function; None for one of this package."""
        if code not in self._traces:
            self._traces[code] = None if code.co_filename.startswith(_HERE) else self._new_trace(code)
        return self._traces[code]

    def _new_trace(self, code: CodeType) -> _Trace:
        spent = self.by_code[code] = Spent()

        def trace(_frame: FrameType, event: str, _: Any) -> Any:
            if event == "opcode":
                spent.instructions += 1
            return trace

        return trace


class Asked(msgspec.Struct):
    """What was asked of a store: how often, for how many keys (a scan or a neighbour is one), and what it gave."""

    asks: int = 0
    keys: int = 0
    rows: int = 0
    bytes: int = 0


class CountingStore:
    """A store that counts what is read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.asked = Asked()

    def position(self) -> Position | None:
        return self._store.position()

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        found = self._store.get(keys)
        self._ask(len(keys))
        self._give((key, value) for key, value in zip(keys, found, strict=True) if value is not None)
        return found

    def scan(self, prefix: bytes, behind: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        self._ask(1)
        for row in self._store.scan(prefix, behind):
            self._give([row])
            yield row

    def floor(self, prefix: bytes, key: bytes) -> tuple[bytes, bytes] | None:
        return self._neighbour(self._store.floor(prefix, key))

    def after(self, prefix: bytes, key: bytes) -> tuple[bytes, bytes] | None:
        return self._neighbour(self._store.after(prefix, key))

    def write(self, rows: Iterable[Row], position: Position, expected: Position | None) -> None:
        self._store.write(rows, position, expected)

    def wipe(self) -> None:
        self._store.wipe()

    def close(self) -> None:
        self._store.close()

    def _neighbour(self, row: tuple[bytes, bytes] | None) -> tuple[bytes, bytes] | None:
        self._ask(1)
        self._give([] if row is None else [row])
        return row

    def _ask(self, key_count: int) -> None:
        self.asked.asks += 1
        self.asked.keys += key_count

    def _give(self, rows: Iterable[Row]) -> None:
        given = list(rows)
        self.asked.rows += len(given)
        self.asked.bytes += size_of(given)


def size_of(rows: Iterable[Row]) -> int:
    """The bytes of keys and values."""
    return sum(len(key) + len(value or b"") for key, value in rows)
