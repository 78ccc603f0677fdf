"""How a worker takes the partition over, and how an owner renews its fence.

idle -> fence -> claim -> restore -> outputs -> ready -> again -> loop
loop -> fence -> claim -> outputs -> ready -> loop          renewal
"""

from collections.abc import Iterator

from tests.model.appends import appended, publishing, put, served, tag_of
from tests.model.kafka import restored
from tests.model.stage import CLAIM, READY, commit_of, publications
from tests.model.world import Setting, State, Step, Worker


def idle(setting: Setting, state: State, i: int, worker: Worker) -> Iterator[Step]:
    """Notes the end of the changelog, which nobody looks at but without `restore_to_claim`."""
    if state.owner == i:
        yield "gets the partition", state.with_worker(i, step="fence", expected=state.log.end)


def fence(setting: Setting, state: State, i: int, worker: Worker) -> Iterator[Step]:
    """InitProducerId; no partition hears of it."""
    if setting.rules.fence:
        coordinator = state.coordinator.init_producer_id()
        identity = coordinator.producer_id, coordinator.epoch
    else:
        coordinator, identity = state.coordinator.fresh_producer_id()
    step = "claim" if setting.rules.claim_first or worker.is_renewing else "restore"
    yield (
        f"is producer {identity[0]} in epoch {identity[1]}",
        state._replace(coordinator=coordinator).with_worker(i, step=step, identity=identity),
    )


def claim(setting: Setting, state: State, i: int, worker: Worker) -> Iterator[Step]:
    """The first batch on the changelog: from here on it refuses former owners."""
    after = appended(setting.rules, state, i, ((CLAIM, 0),))
    offset = state.log.end
    if after is None:
        yield "may not claim, stops", state.stopped(i)
    elif worker.is_renewing and offset != worker.expected:
        yield f"claims at {offset}, expected {worker.expected}: stops", after.stopped(i)
    elif worker.is_renewing or not setting.rules.claim_first:
        yield f"claims at {offset}", _before_outputs(setting, after, i, offset)
    else:
        yield f"claims at {offset}", after.with_worker(i, step="restore", claim=offset)


def restore(setting: Setting, state: State, i: int, worker: Worker) -> Iterator[Step]:
    """Brings the disk up to the claim."""
    rules = setting.rules
    if not rules.restore_to_claim:
        upto = worker.expected
    else:
        upto = worker.claim if rules.claim_first else state.log.end
    disk = restored(worker.disk, state.log, upto, rules.discard_stale_disk)
    if rules.claim_first:
        disk = disk._replace(position=max(disk.position, worker.claim + 1))
        yield f"restores below {upto}", _before_outputs(setting, state.with_worker(i, disk=disk), i, worker.claim)
    else:
        yield f"restores below {upto}", state.with_worker(i, step="claim", disk=disk)


def _before_outputs(setting: Setting, state: State, i: int, claim: int) -> State:
    fences = setting.bounds.outputs if setting.rules.fence_outputs_before_ready else ()
    to_fence = tuple(output for output in fences if output not in setting.bounds.unfenced)
    return state.with_worker(i, step="outputs" if to_fence else "ready", claim=claim, to_fence=to_fence)


def fence_outputs(setting: Setting, state: State, i: int, worker: Worker) -> Iterator[Step]:
    """One output after the other; each takes a former owner's word until then."""
    output, *left = worker.to_fence
    after = put(setting, state, i, output, ())
    if after is None:
        yield f"is refused by {output}, stops", state.stopped(i)
    else:
        yield f"fences {output}", after.with_worker(i, step="outputs" if left else "ready", to_fence=tuple(left))


def ready(setting: Setting, state: State, i: int, worker: Worker) -> Iterator[Step]:
    """The record behind the claim; a renewal ends here."""
    after = appended(setting.rules, state, i, ((READY, 0),))
    offset = state.log.end
    if after is None:
        yield "may not become ready, stops", state.stopped(i)
    elif offset != worker.claim + 1 and setting.rules.ready_behind_claim:
        yield f"is ready at {offset}, claimed at {worker.claim}: stops", after.stopped(i)
    elif worker.is_renewing:
        yield (
            f"has renewed its fence at {offset}",
            after.with_worker(i, step="loop", expected=offset + 1, is_renewing=False),
        )
    else:
        pending = publications(worker.disk.rows, tag_of(setting.rules, worker.disk.rows, worker.disk.tag))
        again = served(setting, pending) if setting.rules.publish_again else ()
        yield f"is ready at {offset}", after.with_worker(i, step="again", expected=offset + 1, to_publish=again)


def publish_again(setting: Setting, state: State, i: int, worker: Worker) -> Iterator[Step]:
    """What the last commit lists as pending, then on to the source."""
    if worker.to_publish:
        yield from publishing(setting, state, i, worker)
        return
    applied = commit_of(worker.disk.rows).applied if setting.rules.read_from_applied else state.acked
    yield f"reads from {applied + 1}", state.with_worker(i, step="loop", next_event=applied + 1)
