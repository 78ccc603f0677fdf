"""The turns of one owner: one step at a time, each from the state that allows it, and none behind one that failed.

    new → opening → ready
             └────────┴──→ failed      and from each of them: closed

Rule kept here: fresh_heartbeat.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from enum import Enum

from streams.errors import LostError


class State(Enum):
    NEW = "not opened yet"
    OPENING = "being opened"
    READY = "ready"
    FAILED = "failed before"
    CLOSED = "closed"


class Turns:
    """Whether an owner may do something now; it moves `state` on itself where a step succeeds.

    failure: what a step failed with. Whoever comes behind it hears only that there was one.
    """

    def __init__(self, owner: str, heartbeat: Callable[[], float], session_timeout_s: float) -> None:
        """owner: for messages. heartbeat: when (time.monotonic) the group was last heard to know us as a member."""
        self.state = State.NEW
        self.failure: Exception | None = None
        self._owner = owner
        self._heartbeat = heartbeat
        self._session_timeout_s = session_timeout_s
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def take(self, allowed: State) -> AsyncIterator[None]:
        """Waits for the step in flight, then lets one more be made, only from the state that allows it. Whatever goes
        wrong inside, nothing more is written. Raises LostError."""
        async with self._lock:
            if self.state is not allowed:
                raise LostError(f"{self._owner} is {self.state.value}")
            try:
                yield
            except BaseException as error:
                if self.state is not State.CLOSED:
                    self.state = State.FAILED
                    self.failure = error if isinstance(error, Exception) else None
                raise

    def check(self) -> None:
        """Before anything is written. Raises LostError.

        Rule fresh_heartbeat: whoever was not heard of for a session timeout may have a successor by now. A second
        line of defence, for pauses longer than the broker remembers a fence.
        """
        if self.state not in (State.OPENING, State.READY):
            raise LostError(f"{self._owner} is {self.state.value}")
        age_s = time.monotonic() - self._heartbeat()
        if age_s > self._session_timeout_s:
            raise LostError(f"{self._owner}: the last group heartbeat is {age_s:.1f} s old")

    async def end(self, patience_s: float) -> None:
        """Lets the step in flight end within `patience_s`. One that takes longer fails at its next `check`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s), self._lock:
                pass
        self.state = State.CLOSED
