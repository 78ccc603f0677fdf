"""What a worker does, as a table: a crash, a move or a day may come before each step."""

from collections.abc import Callable, Iterator

from tests.model import committing, taking_over
from tests.model.world import Setting, State, Step, Worker

STEPS: dict[str, Callable[[Setting, State, int, Worker], Iterator[Step]]] = {
    "idle": taking_over.idle,
    "fence": taking_over.fence,
    "claim": taking_over.claim,
    "restore": taking_over.restore,
    "outputs": taking_over.fence_outputs,
    "ready": taking_over.ready,
    "again": taking_over.publish_again,
    "loop": committing.loop,
    "early": committing.publish_early,
    "commit": committing.commit,
    "store": committing.store,
    "publish": committing.publish,
}


def steps(setting: Setting, state: State, i: int) -> Iterator[Step]:
    """All that worker i may do next."""
    worker = state.workers[i]
    for text, after in STEPS[worker.step](setting, state, i, worker):
        yield f"W{i} {text}", after
