"""The network between clients and one broker: a relay on a port of its own, which can be cut.

It runs in a thread with a loop of its own. The connections of one process can be held, as if a cable were cut:
nothing arrives, in either direction, and nobody is told.
"""

import asyncio
import threading
from collections.abc import Callable

import psutil

from streams.broker import HOST

PIECE_BYTES = 256 * 2**10
_LOOK_S = 0.05


class Proxy:
    """Relays `port` to a broker. `hold` and `release` are called from any thread."""

    def __init__(self, port: int, broker_port: int) -> None:
        self.port = port
        self._broker_port = broker_port
        self._loop = asyncio.new_event_loop()
        self._held_pids: set[int] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def hold(self, pid: int) -> None:
        """Nothing passes to or from the process any more."""
        self._held_pids.add(pid)

    def release(self, pid: int) -> None:
        """What was held passes on, in order."""
        self._held_pids.discard(pid)

    def reset(self) -> None:
        """Ends every connection at once."""
        self._loop.call_soon_threadsafe(self._abort_all)

    def _abort_all(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.create_task(asyncio.start_server(self._serve, HOST, self.port))
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pid = _pid_of(writer.get_extra_info("peername")[1])
        try:
            broker_reader, broker_writer = await asyncio.open_connection(HOST, self._broker_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, broker_writer}
        is_held: Callable[[], bool] = lambda: pid in self._held_pids  # noqa: E731
        await asyncio.gather(_relay(reader, broker_writer, is_held), _relay(broker_reader, writer, is_held))
        self._writers -= {writer, broker_writer}


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_held: Callable[[], bool]) -> None:
    try:
        while piece := await reader.read(PIECE_BYTES):
            while is_held():
                await asyncio.sleep(_LOOK_S)
            writer.write(piece)
            await writer.drain()
    except (ConnectionError, OSError):
        pass
    finally:
        writer.close()


def _pid_of(port: int) -> int | None:
    """The process at the other end of a connection from a port of this machine."""
    for each in psutil.net_connections(kind="tcp4"):
        if each.laddr and each.laddr.port == port:
            return int(each.pid) if each.pid else None
    return None
