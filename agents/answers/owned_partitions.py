"""The partitions that a worker owns, as questions read them: one account's, or each of them in turn."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from agents.answers.parts import ContainedParts, applied_in
from agents.answers.request import ProblemError
from state.why import IsDue
from streams.errors import UnavailableError
from streams.partitioning import partition_of
from streams.protocol_rows import COMMIT_KEY, CommitRow, decode_commit
from streams.store import Rows


class Readable(Protocol):
    """A partition's store."""

    def reading(self) -> Any:
        """A context manager that gives `Rows`."""


class OwnedPartitions:
    """owned: the stores of the partitions that this worker owns. owner_of: where the owner of another partition
    answers, None where nobody is known."""

    def __init__(
        self,
        owned: Callable[[], Mapping[int, Readable]],
        partition_count: int,
        owner_of: Callable[[int], str | None],
    ) -> None:
        self._owned = owned
        self._partition_count = partition_count
        self._owner_of = owner_of

    @contextmanager
    def rows_of(self, account: str) -> Iterator[tuple[Rows, dict[str, Any]]]:
        """The rows of an account's partition, and what they contain. Raises ProblemError where another has it."""
        partition = partition_of(account.encode(), self._partition_count)
        store = self._owned().get(partition)
        if store is None:
            raise self._not_here(partition, f"partition {partition} is not this worker's")
        with store.reading() as rows:
            row = committed(rows)
            yield rows, {"applied": {str(partition): applied_in(row)}, "clock_ms": row.clock_ms}

    def each(self, patience_s: float, contained: ContainedParts) -> Iterator[tuple[Rows, IsDue]]:
        """The rows of every partition here, each with its share of the time that is left."""
        for partition, rows, until in self.shares(patience_s):
            contained.take(partition, committed(rows))
            yield rows, due_at(until)

    def shares(self, patience_s: float) -> Iterator[tuple[int, Rows, float]]:
        """The same: number, rows, and until when on the monotonic clock, in seconds."""
        until = time.monotonic() + patience_s
        owned = self._owned()
        for done, (partition, store) in enumerate(sorted(owned.items())):
            now = time.monotonic()
            with store.reading() as rows:
                yield partition, rows, now + (until - now) / (len(owned) - done)

    def none_here(self) -> ProblemError:
        """What to raise, with who has one, where no partition is this worker's."""
        return self._not_here(0, "no partition is this worker's")

    def _not_here(self, partition: int, what: str) -> ProblemError:
        owner = self._owner_of(partition)
        detail = f"{what}; " + (f"ask {owner}" if owner else "nobody says that it is theirs")
        return ProblemError(421 if owner else 503, detail, owner)

    def are_all(self, holds: Callable[[Rows], bool]) -> bool:
        """Whether something holds of every partition here."""
        for store in self._owned().values():
            with store.reading() as rows:
                if not holds(rows):
                    return False
        return True


def due_at(until: float) -> IsDue:
    """Whether the monotonic clock is past a moment."""
    return lambda: time.monotonic() > until


def committed(rows: Rows) -> CommitRow:
    """What the newest commit says of itself. Raises UnavailableError where there is none."""
    (value,) = rows.get([COMMIT_KEY])
    if value is None:
        raise UnavailableError("the partition has no commit yet; ask again in a moment")
    return decode_commit(value)
