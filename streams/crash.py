"""Places where a test may end the process as kill -9 would. Without MILEPOST_CRASH_AT none of them does anything.

`MILEPOST_CRASH_AT=store` ends the process at the first `store`, `store:3` at the third.
"""

import asyncio
import os
from typing import Literal, get_args

CrashPoint = Literal[
    "fence",
    "claim",
    "restoring",
    "restore",
    "outputs",
    "ready",
    "again",
    "read",
    "sending",
    "changelog",
    "store",
    "publish",
    "slice",
    "chore",
    "note",
    "sent",
    "ack",
    "routed",
]
CRASH_POINTS: tuple[CrashPoint, ...] = get_args(CrashPoint)
"""In the order in which an owner passes them; each stands behind the step that it is named for. `restoring`: each piece
of a restore. `sending`: a batch is on its way to a broker, to a changelog or an output. `slice`: each commit of a
record but its last. `chore`: each commit without input that works something off. `note`: each commit of what became
known without a record. `sent`: a destination has answered, and nobody has noted it yet. `routed`: ingest has written
what a batch became."""

_ON_ITS_WAY_S = 0.002

_name, _, _count = os.environ.get("MILEPOST_CRASH_AT", "").partition(":")
_passes_left = int(_count or 1)


def crash_point(name: CrashPoint) -> None:
    """Ends the process with 137 when the environment names this point; otherwise does nothing."""
    global _passes_left
    if name != _name:
        return
    _passes_left -= 1
    if _passes_left == 0:
        os._exit(137)


async def crash_on_the_way() -> None:
    """The point `sending`: lets the request be written first, and does not wait for its answer."""
    if _name == "sending":
        if _passes_left == 1:
            await asyncio.sleep(_ON_ITS_WAY_S)
        crash_point("sending")
