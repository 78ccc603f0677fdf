"""What a stage is to the commit protocol: it computes; the writer commits and publishes.

The law: a stage reads the store and never writes it, reads no clock, and publishes only what the rows of its commit
say. Then computing again after a crash, or publishing again, gives the same.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from streams.partials import Tag
from streams.store import Row, Store


class StoredRecord(Protocol):
    """One record as it lies in a log. timestamp: the broker's append time in milliseconds."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes: ...
    @property
    def value(self) -> bytes | None: ...


class Record(StoredRecord, Protocol):
    """One record of an input, as aiokafka gives it; an input has no deletions."""

    @property
    def topic(self) -> str: ...
    @property
    def value(self) -> bytes: ...


class Applied(msgspec.Struct, frozen=True):
    """What the state contains after a commit: its tag, the last offset per input topic, and the committed clock.

    failing: the offset of the record on which the computation fails, by its topic; most often nothing.
    """

    tag: Tag
    applied: dict[str, int]
    clock_ms: int
    failing: dict[str, int] = {}


class Publication(NamedTuple):
    """Records for one output, for the partition that the stage owns.

    whole: they must be one record batch, so that a reader who sees the last has seen all. Otherwise the writer may
    split them by size.
    """

    topic: str
    records: list[Row]
    whole: bool


Publish = Callable[[Applied], list[Publication]]


class Work(NamedTuple):
    """What a batch changes.

    rows: changelog rows; of one key the last counts. pending: what `Stage.again` needs to publish the same once more.
    publish: the publications, given what they cover. It may be called more than once and must not mind.
    """

    rows: list[Row]
    pending: bytes
    publish: Publish


class Slice(NamedTuple):
    """One of the pieces in which a record is applied whose work is too large for one commit.

    is_last: whether the record is applied with it. Before that its rows must change nothing that is published, for
    what readers see is said to contain the input without this record.
    """

    work: Work
    is_last: bool


class Stage(Protocol):
    """One partition of a stateful stage.

    outputs: every topic that it publishes to; each is fenced. definitions_hash: what the rows were computed with; it
    stands in every commit, and a worker with another one refuses the partition.
    """

    @property
    def outputs(self) -> tuple[str, ...]: ...
    @property
    def definitions_hash(self) -> str: ...

    def compute(self, records: Sequence[Record], clock_ms: int) -> Work:
        """What `records`, in the order of their offsets, change. May be called again with fewer of them.

        Raises BatchTooLargeError where it sees that a commit can not hold it, and while a record is half applied.
        """

    def slice(self, record: Record, clock_ms: int) -> Slice | None:
        """The next piece of a record that is too large for one commit, from the rows as they are: the stage is made
        anew between two of them when its owner dies. None when the record can not be cut."""

    def is_halfway(self) -> bool:
        """Whether some slices of the next record are applied, and not its last."""

    def again(self, pending: bytes) -> Publish:
        """The publications of the last commit, from the rows as they are."""

    def idle(self, clock_ms: int) -> Work:
        """The work of a commit without input: its publications still say what is covered."""

    def chore(self, clock_ms: int, parts: int) -> Work | None:
        """The next piece of work that needs no input and can wait for a quiet moment; None when there is none. parts:
        into how many of them the usual piece is to be cut, for it was too large; 1 at first."""

    def chore_failed(self) -> None:
        """The piece that `chore` was asked for last can not be done, however it is cut. It must not be given again
        until something else makes it another one."""

    def due_ms(self) -> int | None:
        """The clock at which there will be a chore, though nothing came; None where none waits for its time. Without
        input the clock goes on by commits alone."""


StageFactory = Callable[[int, Store], Stage]
