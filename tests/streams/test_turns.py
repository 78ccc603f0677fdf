"""The turns of an owner: what a step failed with is kept, whoever comes behind it."""

import asyncio
import time

import pytest

from streams.errors import LostError
from streams.turns import State, Turns


def new_turns() -> Turns:
    turns = Turns("an owner", time.monotonic, 60.0)
    turns.state = State.READY
    return turns


async def step(turns: Turns, error: BaseException | None = None) -> None:
    async with turns.take(State.READY):
        if error is not None:
            raise error


def test_those_behind_a_step_that_failed_hear_that_it_did_and_its_failure_is_kept() -> None:
    turns, error = new_turns(), ValueError("a record that can not be computed")
    asyncio.run(step(turns))
    assert turns.failure is None
    with pytest.raises(ValueError, match="can not be computed"):
        asyncio.run(step(turns, error))
    with pytest.raises(LostError, match="an owner is failed before"):
        asyncio.run(step(turns))
    with pytest.raises(LostError, match="an owner is failed before"):
        turns.check()
    assert turns.failure is error


def test_a_step_that_is_cancelled_has_failed_with_nothing() -> None:
    turns = new_turns()
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(step(turns, asyncio.CancelledError()))
    assert (turns.state, turns.failure) == (State.FAILED, None)
