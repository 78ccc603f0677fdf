"""Ends the process when it hangs, for nothing else would: heartbeats go on in the consumer's thread while the main loop
or a batch stands still, so the group never takes the partitions away.

Ending is safe at any point (`streams.writer`); hanging is not, for whoever waits for the numbers.
"""

import asyncio
import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence

EXIT_CODE = 70
"""EX_SOFTWARE: the process gave itself up, and should be started again."""
STOP_S_MAX = 9.0
"""`docker stop` waits for ten seconds."""
_LOOK_S = 0.5


class Watchdog:
    """Watches one event loop, the batches being worked on in it, and its end."""

    def __init__(
        self,
        deadline_s: float,
        batch_ages: Sequence[Callable[[], float]],
        is_stopping: Callable[[], bool],
        stop_s_max: float = STOP_S_MAX,
    ) -> None:
        """batch_ages: for how many seconds the oldest batch of each application has been worked on."""
        self._deadline_s = deadline_s
        self._batch_ages = batch_ages
        self._is_stopping = is_stopping
        self._stop_s_max = stop_s_max
        self._beat_at = time.monotonic()
        self._batch_s = 0.0
        self._stopping_since: float | None = None

    async def run(self) -> None:
        """Beats in the loop; the thread that listens ends with the process."""
        threading.Thread(target=self._listen, name="watchdog", daemon=True).start()
        while True:
            now = self._beat_at = time.monotonic()
            self._batch_s = max((age() for age in self._batch_ages), default=0.0)
            if self._stopping_since is None and self._is_stopping():
                self._stopping_since = now
            await asyncio.sleep(_LOOK_S)

    def _listen(self) -> None:
        while (why := self._complaint()) is None:
            time.sleep(_LOOK_S)
        _end(why, _SLOW if self._stopping_since is None else _NO_STOP)

    def _complaint(self) -> str | None:
        """What is wrong, or None."""
        now = time.monotonic()
        # Once it stops, the loop may end before the process does.
        if self._stopping_since is not None:
            late = now - self._stopping_since > self._stop_s_max
            return f"the worker did not stop within {self._stop_s_max:g} s" if late else None
        if now - self._beat_at > self._deadline_s:
            return f"nothing moved in the main loop for {self._deadline_s:g} s"
        if self._batch_s > self._deadline_s:
            return f"a batch took longer than {self._deadline_s:g} s"
        return None


_SLOW = " Where a batch may take that long, raise MILEPOST_BATCH_DEADLINE_S or lower MILEPOST_BATCH_RECORDS_MAX."
_NO_STOP = " Most often Kafka does not answer."


def _end(why: str, advice: str) -> None:
    """Says why and where every thread stood, and leaves without any clean-up, which might hang as well."""
    print(
        f"milepost: {why}, so it ends itself; nothing is lost, and a new start goes on from the last commit.{advice}",
        file=sys.stderr,
        flush=True,
    )
    faulthandler.dump_traceback(sys.stderr)
    os._exit(EXIT_CODE)
