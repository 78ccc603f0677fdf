"""One state of everything: the broker, two workers, the readers of the outputs, and which mishaps are left."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.model.kafka import NOBODY, Coordinator, Disk, Identity, Known, Log
from tests.model.rules import Rules
from tests.model.stage import OUTPUTS, Messages, Publications, Rows, Truth

RENEWAL_DAYS = 1
EXPIRATION_DAYS = 2


class Left(NamedTuple):
    """How often each mishap may still happen."""

    crashes: int = 1
    disks: int = 0
    moves: int = 1
    compactions: int = 0
    tombstones: int = 0
    days: int = 0
    answers: int = 0
    follows: int = 0

    def spend(self, *names: str) -> "Left":
        return self._replace(**{name: getattr(self, name) - 1 for name in names})


@dataclass(frozen=True)
class Bounds:
    """How large the world is.

    wire: where a batch of a crashed worker may be on its way to ("changelog", an output). unfenced: outputs that
    `fence_outputs_before_ready` leaves out.
    """

    events: str = "A+ A- B+"
    ticks: int = 0
    left: Left = field(default_factory=Left)
    wire: tuple[str, ...] = ("changelog",)
    outputs: tuple[str, ...] = OUTPUTS
    unfenced: tuple[str, ...] = ()


@dataclass(frozen=True)
class Setting:
    """What does not change while the model runs."""

    rules: Rules
    bounds: Bounds
    events: tuple[str, ...]
    truth: Truth

    @classmethod
    def of(cls, rules: Rules, bounds: Bounds) -> "Setting":
        events = tuple(bounds.events.split())
        return cls(rules, bounds, events, Truth.of(events, bounds.ticks))


class Output(NamedTuple):
    """A partition of an output and who reads it.

    taken: version and value by key, as a reader stands who reads all the time. last: value by key, as the compacted
    topic shows to who comes later. has_gone_back: the reader took an old one for new.
    has_late_word: a former owner wrote when a new one was ready.
    """

    known: Known = ()
    taken: tuple[tuple[str, tuple[int, Any]], ...] = ()
    last: tuple[tuple[str, Any], ...] = ()
    has_gone_back: bool = False
    has_late_word: bool = False


class Sent(NamedTuple):
    """A batch on its way; its sender is dead."""

    place: str
    identity: Identity
    claim: int
    rows: Rows = ()
    messages: Messages = ()


class Worker(NamedTuple):
    """step: what it does next. The disk survives a crash, the rest does not.

    claim, expected: offsets of its claim and of its next append. next_event: the event to read. parts: rows of the
    commit in hand, a tuple for each batch. to_publish: what is not out yet. to_fence: outputs that do not know it yet.
    is_dropped: the group has not heard of it for days.
    """

    step: str = "idle"
    disk: Disk = Disk()
    identity: Identity = NOBODY
    claim: int = -1
    expected: int = -1
    next_event: int = 0
    parts: tuple[Rows, ...] = ()
    to_publish: Publications = ()
    to_fence: tuple[str, ...] = ()
    is_renewing: bool = False
    is_dropped: bool = False


READY_STEPS = ("again", "loop", "early", "commit", "store", "publish")


class State(NamedTuple):
    """acked: the offset that the consumer group committed."""

    log: Log
    coordinator: Coordinator
    outputs: tuple[Output, ...]
    workers: tuple[Worker, Worker]
    left: Left
    owner: int = 0
    acked: int = -1
    wire: Sent | None = None

    def with_worker(self, i: int, **changes: Any) -> "State":
        changed = self.workers[i]._replace(**changes)
        return self._replace(workers=(changed, self.workers[1]) if i == 0 else (self.workers[0], changed))

    def with_output(self, i: int, output: Output) -> "State":
        return self._replace(outputs=(*self.outputs[:i], output, *self.outputs[i + 1 :]))

    def stopped(self, i: int, *, loses_disk: bool = False) -> "State":
        """The worker forgets all but its disk."""
        fresh = Worker() if loses_disk else Worker(disk=self.workers[i].disk)
        return self._replace(workers=(fresh, self.workers[1]) if i == 0 else (self.workers[0], fresh))

    def is_succeeded(self, claim: int) -> bool:
        """Whether an owner with a later claim is ready."""
        return any(worker.claim > claim and worker.step in READY_STEPS for worker in self.workers)

    def spend(self, *names: str) -> "State":
        return self._replace(left=self.left.spend(*names))


Step = tuple[str, State]
"""What happened, and the state after it."""


def initial(setting: Setting) -> State:
    outputs = tuple(Output() for _ in setting.bounds.outputs)
    return State(Log(), Coordinator(), outputs, (Worker(), Worker()), setting.bounds.left)
