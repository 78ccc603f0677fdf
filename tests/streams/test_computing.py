"""Computations of one stage: one at a time, beside the event loop, of what has come by then."""

import asyncio
import threading
from functools import partial

import pytest

from streams.computing import Computing, longest_s


def test_one_computes_at_a_time_and_takes_what_is_there_then() -> None:
    """The loop goes on meanwhile: only it lets the first one end. Nor does one that fails keep the others waiting."""

    async def steps() -> None:
        computing, let, seen = Computing(), threading.Event(), list[list[str]]()
        arrivals = ["a"]

        def long() -> None:
            assert threading.current_thread() is not threading.main_thread()
            assert let.wait(10)
            raise ValueError("it can not be computed")

        async def first() -> None:
            async with computing.turn():
                await computing.run(long)

        async def second() -> None:
            async with computing.turn():
                await computing.run(partial(seen.append, arrivals.copy()))

        failing, waiting = asyncio.ensure_future(first()), asyncio.ensure_future(second())
        await asyncio.sleep(0.01)
        arrivals.append("b")
        let.set()
        with pytest.raises(ValueError, match="can not be computed"):
            await failing
        await waiting
        assert seen == [["a", "b"]]

    asyncio.run(steps())


def test_what_was_cancelled_is_waited_for_and_seen() -> None:
    """Its thread goes on: neither does another one compute meanwhile, nor may be closed what it reads; and whoever
    looks after what hangs is told of it."""

    async def steps() -> None:
        computing, let, ended = Computing(), threading.Event(), list[str]()

        def long() -> None:
            assert let.wait(10)
            ended.append("long")

        assert computing.age_s() == 0.0
        cancelled = asyncio.ensure_future(computing.run(long))
        await asyncio.sleep(0.01)
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
        other = asyncio.ensure_future(computing.run(partial(ended.append, "other")))
        settled = asyncio.ensure_future(computing.settled())
        await asyncio.sleep(0.05)
        assert not settled.done()
        assert 0.05 <= computing.age_s() <= longest_s() < 10
        let.set()
        await settled
        assert ended[0] == "long"
        await other
        assert ended == ["long", "other"]
        assert computing.age_s() == 0.0

    asyncio.run(steps())


def test_one_that_runs_out_of_an_iterator_fails_like_any_other() -> None:
    """A future can not hold a StopIteration: it would never end, and nobody have a turn any more."""

    async def steps() -> None:
        computing = Computing()
        with pytest.raises(RuntimeError, match="more than there is"):
            await asyncio.wait_for(computing.run(partial(next, iter(()))), 5)
        assert await computing.run(lambda: 1) == 1

    asyncio.run(steps())
