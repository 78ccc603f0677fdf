"""Computations of one stage: one at a time, beside the event loop, of what has come by then."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from streams.computing import Computing


def test_one_computes_at_a_time_and_takes_what_is_there_then() -> None:
    """The loop goes on meanwhile: only it lets the first one end. Nor does one that fails keep the others waiting."""

    async def steps() -> None:
        computing, let, seen = Computing(), threading.Event(), list[list[str]]()
        arrivals = ["a"]

        def first() -> None:
            assert threading.current_thread() is not threading.main_thread()
            assert let.wait(10)
            raise ValueError("it can not be computed")

        def take() -> Callable[[], None]:
            taken = arrivals.copy()
            return lambda: seen.append(taken)

        failing = asyncio.ensure_future(computing.run(lambda: first))
        waiting = asyncio.ensure_future(computing.run(take))
        await asyncio.sleep(0.01)
        arrivals.append("b")
        let.set()
        with pytest.raises(ValueError, match="can not be computed"):
            await failing
        await waiting
        assert seen == [["a", "b"]]

    asyncio.run(steps())


def test_what_was_cancelled_is_waited_for() -> None:
    """Its thread goes on: neither does another one compute meanwhile, nor may be closed what it reads."""

    async def steps() -> None:
        computing, let, ended = Computing(), threading.Event(), list[str]()

        def long() -> None:
            assert let.wait(10)
            ended.append("long")

        cancelled = asyncio.ensure_future(computing.run(lambda: long))
        await asyncio.sleep(0.01)
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
        other = asyncio.ensure_future(computing.run(lambda: lambda: ended.append("other")))
        settled = asyncio.ensure_future(computing.settled())
        await asyncio.sleep(0.01)
        assert not settled.done()
        let.set()
        await settled
        assert ended[0] == "long"
        await other
        assert ended == ["long", "other"]

    asyncio.run(steps())
