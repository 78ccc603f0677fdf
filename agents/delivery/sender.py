"""What every kind of destination does: it sends, and says what came of it. A file per kind."""

from collections.abc import Sequence
from typing import Protocol

from state.delivery.retries import Answer
from state.delivery.rows import Delivery

ANSWER_BYTES_MAX = 65_536
"""No more is read of what a receiver answers."""


class Sender(Protocol):
    """Of one destination. Whatever goes wrong outside is an answer; an exception is a defect of ours.

    takes_many: whether a call gets what waits of all lanes, in order, instead of one delivery.
    """

    @property
    def takes_many(self) -> bool: ...

    async def send(self, deliveries: Sequence[Delivery]) -> Answer:
        """Sends them; the answer is for all of them alike. Where several are refused, each is sent again alone."""

    async def close(self) -> None:
        """Lets go of connections."""
