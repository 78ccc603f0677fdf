"""What happens to the workers: moves, crashes, compaction, delayed batches, days that pass, and what standbys do."""

from collections.abc import Iterator

from tests.model.appends import may_append, would_commit
from tests.model.kafka import Known, accepts, restored
from tests.model.readers import published
from tests.model.world import EXPIRATION_DAYS, RENEWAL_DAYS, Sent, Setting, State, Step, Worker


def mishaps(setting: Setting, state: State) -> Iterator[Step]:
    """All that may happen next without a worker's doing."""
    if state.left.moves:
        to = 1 - state.owner
        yield f"the partition moves to W{to}", state._replace(owner=to).spend("moves")
    if state.left.compactions:
        yield from _compactions(state)
    if state.wire is not None:
        yield _delayed(setting, state, state.wire)
    if state.left.days and _may_a_day_pass(setting, state):
        yield "a day passes", _day_later(setting, state)
    for i, worker in enumerate(state.workers):
        if worker.step != "idle":
            yield from _losses(setting, state, i, worker)
        elif state.owner != i and state.left.follows:
            yield from _follows(setting, state, i, worker)


def _compactions(state: State) -> Iterator[Step]:
    log = state.log.compact(drops_deletions=False)
    if log != state.log:
        yield "the changelog is compacted", state._replace(log=log).spend("compactions")
    if state.left.tombstones:
        log = state.log.compact(drops_deletions=True)
        if log.records != state.log.records:
            yield (
                "the changelog is compacted, deletions are dropped",
                state._replace(log=log).spend("compactions", "tombstones"),
            )


def _delayed(setting: Setting, state: State, sent: Sent) -> Step:
    """A batch that outlived its sender lands, or is refused."""
    arrived = state._replace(wire=None)
    if sent.place == "changelog":
        if not accepts(state.log.known, sent.identity):
            return "the delayed commit is refused", arrived
        text = f"the delayed commit lands at {state.log.end}"
        return text, arrived._replace(log=state.log.append(sent.identity, sent.rows))
    i = setting.bounds.outputs.index(sent.place)
    output = state.outputs[i]
    if not accepts(output.known, sent.identity):
        return f"the delayed batch to {sent.place} is refused", arrived
    is_late = state.is_succeeded(sent.claim)
    after = published(setting.rules, sent.place, output, sent.identity, sent.messages, is_late=is_late)
    return f"the delayed batch to {sent.place} lands", arrived.with_output(i, after)


def _losses(setting: Setting, state: State, i: int, worker: Worker) -> Iterator[Step]:
    """A worker learns that it lost the partition; or it crashes, with its disk, with a batch on its way."""
    stopped = state.stopped(i)
    if state.owner != i:
        yield f"W{i} notices that it lost the partition", stopped
    if not state.left.crashes:
        return
    crashed = stopped.spend("crashes")
    yield f"W{i} crashes ({worker.step})", crashed
    if state.left.disks:
        yield (
            f"W{i} crashes ({worker.step}), its disk is lost",
            state.stopped(i, loses_disk=True).spend("crashes", "disks"),
        )
    if state.wire is None and may_append(setting.rules, worker):
        for sent in _in_hand(worker):
            if sent.place in setting.bounds.wire:
                yield f"W{i} crashes, its batch to {sent.place} is on the way", crashed._replace(wire=sent)


def _follows(setting: Setting, state: State, i: int, worker: Worker) -> Iterator[Step]:
    """A standby reads on, and stops anywhere."""
    for upto in range(worker.disk.position + 1, state.log.end + 1):
        disk = restored(worker.disk, state.log, upto, setting.rules.discard_stale_standby)
        yield f"W{i} follows up to {upto}", state.with_worker(i, disk=disk).spend("follows")


def _in_hand(worker: Worker) -> Iterator[Sent]:
    if worker.step == "commit":
        yield Sent("changelog", worker.identity, worker.claim, rows=worker.parts[0])
    if worker.step in ("publish", "again"):
        for output, messages in worker.to_publish:
            yield Sent(output, worker.identity, worker.claim, messages=messages)


def _may_a_day_pass(setting: Setting, state: State) -> bool:
    """Who lives and owns the partition ends its step and renews its fence in less than a day; no batch is on its way
    for so long."""
    owner = state.workers[state.owner]
    if state.wire is not None or owner.step not in ("idle", "loop"):
        return False
    if owner.step == "loop" and setting.rules.keep_fences and not would_commit(setting, state, state.owner):
        return False
    is_due = setting.rules.renew_fence and state.coordinator.age_days >= RENEWAL_DAYS
    return owner.step == "idle" or not is_due


def _day_later(setting: Setting, state: State) -> State:
    """Who does not own the partition was last heard of long ago; the broker forgets who was idle."""
    owner = state.workers[state.owner]
    kept = owner.identity[0] if owner.step == "loop" and setting.rules.keep_fences else None
    other = 1 - state.owner
    if state.workers[other].step != "idle":
        state = state.with_worker(other, is_dropped=True)
    return state._replace(
        coordinator=state.coordinator.day_later(EXPIRATION_DAYS),
        log=state.log._replace(known=_kept(state.log.known, kept)),
        outputs=tuple(output._replace(known=_kept(output.known, kept)) for output in state.outputs),
    ).spend("days")


def _kept(known: Known, producer_id: int | None) -> Known:
    return tuple(each for each in known if each[0] == producer_id)
