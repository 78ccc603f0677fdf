"""Large work is done while the loop goes on, small work at once."""

import asyncio
import threading

from streams.beside import ROWS_MIN, beside


def test_the_loop_goes_on_beside_large_work() -> None:
    """The work ends only when the loop has let it."""

    async def steps() -> None:
        let, thread = threading.Event(), []

        def work() -> None:
            thread.append(threading.current_thread())
            assert let.wait(10)

        doing = asyncio.ensure_future(beside(work, ROWS_MIN))
        await asyncio.sleep(0.01)
        let.set()
        await doing
        assert thread != [threading.main_thread()]

    asyncio.run(steps())


def test_small_work_takes_no_thread() -> None:
    thread = []
    asyncio.run(beside(lambda: thread.append(threading.current_thread()), ROWS_MIN - 1))
    assert thread == [threading.current_thread()]
