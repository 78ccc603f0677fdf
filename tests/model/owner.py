"""What an owner of the partition does, step by step, as a table; a crash may come before each.

    idle -> fence -> claim -> restore -> outputs -> ready -> again -> loop
    loop -> commit -> store -> publish -> ack -> loop
    loop -> fence -> claim -> outputs -> ready -> loop          renewal
"""

from collections.abc import Callable, Iterator

from tests.model.environment import would_commit
from tests.model.kafka import Identity, accepts, restored
from tests.model.readers import published
from tests.model.rules import Rules
from tests.model.stage import CLAIM, COMMIT, READY, Messages, Rows, commit_of, compute, merged, publications
from tests.model.world import RENEWAL_DAYS, Setting, State, Step, Worker

BATCH_EVENTS_MAX = 2


def steps(setting: Setting, state: State, i: int) -> Iterator[Step]:
    """All that worker i may do next."""
    worker = state.workers[i]
    for text, after in STEPS[worker.step](setting, state, i, worker):
        yield f"W{i} {text}", after


def _idle(setting: Setting, state: State, i: int, worker: Worker) -> Iterator[Step]:
    if state.owner == i:
        yield "gets the partition", state.with_worker(i, step="fence", expected=state.log.end)


def _fence(setting: Setting, state: State, i: int, worker: Worker) -> Iterator[Step]:
    identity: Identity
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


def _claim(setting: Setting, state: State, i: int, worker: Worker) -> Iterator[Step]:
    after = _appended(setting.rules, state, i, ((CLAIM, 0),))
    claim = state.log.end
    if after is None:
        yield "may not claim, stops", state.stopped(i)
    elif worker.is_renewing and claim != worker.expected:
        yield f"claims at {claim}, expected {worker.expected}: stops", after.stopped(i)
    elif worker.is_renewing or not setting.rules.claim_first:
        yield f"claims at {claim}", _before_outputs(setting, after, i, claim)
    else:
        yield f"claims at {claim}", after.with_worker(i, step="restore", claim=claim)


def _before_outputs(setting: Setting, state: State, i: int, claim: int) -> State:
    fences = setting.bounds.outputs if setting.rules.fence_outputs_before_ready else ()
    to_fence = tuple(output for output in fences if output not in setting.bounds.unfenced)
    return state.with_worker(i, step="outputs", claim=claim, to_fence=to_fence)


def _restore(setting: Setting, state: State, i: int, worker: Worker) -> Iterator[Step]:
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


def _outputs(setting: Setting, state: State, i: int, worker: Worker) -> Iterator[Step]:
    if not worker.to_fence:
        yield from _ready(setting, state, i, worker)
        return
    output = worker.to_fence[0]
    after = _published(setting, state, i, output, ())
    if after is None:
        yield f"is refused by {output}, stops", state.stopped(i)
    else:
        yield f"fences {output}", after.with_worker(i, to_fence=worker.to_fence[1:])


def _ready(setting: Setting, state: State, i: int, worker: Worker) -> Iterator[Step]:
    after = _appended(setting.rules, state, i, ((READY, 0),))
    ready = state.log.end
    if after is None:
        yield "may not become ready, stops", state.stopped(i)
    elif ready != worker.claim + 1 and setting.rules.ready_behind_claim:
        yield f"is ready at {ready}, claimed at {worker.claim}: stops", after.stopped(i)
    elif worker.is_renewing:
        yield f"has renewed its fence at {ready}", after.with_worker(i, step="loop", expected=ready + 1, is_renewing=False)
    else:
        pending = publications(worker.disk.rows, _tag(setting.rules, worker.disk.rows, worker.disk.tag))
        again = _served(setting, pending) if setting.rules.publish_again else ()
        yield f"is ready at {ready}", after.with_worker(i, step="again", expected=ready + 1, to_publish=again)


def _again(setting: Setting, state: State, i: int, worker: Worker) -> Iterator[Step]:
    if worker.to_publish:
        yield from _publications(setting, state, i, worker)
        return
    applied = commit_of(worker.disk.rows).applied if setting.rules.read_from_applied else state.acked
    yield f"reads from {applied + 1}", state.with_worker(i, step="loop", next_event=applied + 1)


def _loop(setting: Setting, state: State, i: int, worker: Worker) -> Iterator[Step]:
    rows, first = worker.disk.rows, worker.next_event
    if commit_of(rows).clock < setting.bounds.ticks:
        yield from _prepared(setting, state, i, "ticks", compute(rows, (), first - 1, 1), 0)
    for count in range(1, min(BATCH_EVENTS_MAX, len(setting.events) - first) + 1):
        change = compute(rows, setting.events[first : first + count], first + count - 1, 0)
        yield from _prepared(setting, state, i, f"takes {count} from {first}", change, count)
    if state.owner != i:
        return
    if setting.rules.renew_fence and state.coordinator.age_days >= RENEWAL_DAYS:
        yield "renews its fence", state.with_worker(i, step="fence", is_renewing=True)
    if setting.rules.keep_fences and state.left.days and not would_commit(setting, state, i):
        yield "may not do its hourly commit, stops", state.stopped(i)


def _prepared(setting: Setting, state: State, i: int, text: str, change: Rows, count: int) -> Iterator[Step]:
    """The commits that the change may become."""
    worker, rules = state.workers[i], setting.rules
    cuts = [(change,)]
    if not rules.commit_is_one_batch:
        cuts = [(change[1:], change[:1])] if len(change) > 1 else cuts
    elif not rules.split_input_not_rows and count == BATCH_EVENTS_MAX:
        part = CommitRowLess(change)
        cuts += [(((COMMIT, part), *change[1:at]), (change[0], *change[at:])) for at in range(2, len(change))]
    for parts in cuts:
        cut = f" in {len(parts)} batches of {[len(each) for each in parts]}" if len(parts) > 1 else ""
        ready = state.with_worker(i, step="commit", parts=parts)
        if not rules.publish_after_commit:
            rows = merged(worker.disk.rows, change)
            early = _served(setting, publications(rows, _tag(rules, rows, worker.expected)))
            ready = ready.with_worker(i, step="early", to_publish=early)
        yield text + cut, ready


def CommitRowLess(change: Rows):  # placeholder
    return change[0][1]._replace(applied=change[0][1].applied - 1, milestones=(), changed=())


def _early(setting: Setting, state: State, i: int, worker: Worker) -> Iterator[Step]:
    if worker.to_publish:
        yield from _publications(setting, state, i, worker)
    else:
        yield "has published before it commits", state.with_worker(i, step="commit")


def _commit(setting: Setting, state: State, i: int, worker: Worker) -> Iterator[Step]:
    offset, (rows, *rest) = state.log.end, worker.parts
    after = _appended(setting.rules, state, i, rows)
    if after is None:
        yield "may not commit, stops", state.stopped(i)
        return
    if setting.rules.check_base_offset and offset != worker.expected:
        yield f"commits at {offset}, expected {worker.expected}: stops", after.stopped(i)
    else:
        yield f"commits {dict(rows)} at {offset}", after.with_worker(i, step="store", expected=after.log.end)
    if state.left.answers:
        yield f"commits {dict(rows)} at {offset}, the answer is lost", _unanswered(setting, after, i)


def _unanswered(setting: Setting, state: State, i: int) -> State:
    state = state.spend("answers")
    if setting.rules.check_base_offset:
        return state.stopped(i)
    return state.with_worker(i, step="loop", parts=())


def _store(setting: Setting, state: State, i: int, worker: Worker) -> Iterator[Step]:
    (rows, *rest) = worker.parts
    offset = worker.expected - len(rows)
    tag = offset if rows[0][0] == COMMIT else worker.disk.tag
    disk = worker.disk._replace(rows=merged(worker.disk.rows, rows), position=worker.expected, tag=tag)
    if rest:
        yield "stores a part", state.with_worker(i, step="commit", disk=disk, parts=tuple(rest))
        return
    to_publish: tuple[tuple[str, Messages], ...] = ()
    if setting.rules.publish_after_commit:
        to_publish = _served(setting, publications(disk.rows, _tag(setting.rules, disk.rows, tag)))
    yield "stores", state.with_worker(i, step="publish", disk=disk, parts=(), to_publish=to_publish)


def _publish(setting: Setting, state: State, i: int, worker: Worker) -> Iterator[Step]:
    if worker.to_publish:
        yield from _publications(setting, state, i, worker)
        return
    applied = commit_of(worker.disk.rows).applied
    after = state.with_worker(i, step="loop", next_event=applied + 1)
    if state.owner == i and not setting.rules.read_from_applied:  # otherwise nobody looks at it
        after = after._replace(acked=applied)
    yield f"acknowledges {applied}", after


STEPS: dict[str, Callable[[Setting, State, int, Worker], Iterator[Step]]] = {
    "idle": _idle,
    "fence": _fence,
    "claim": _claim,
    "restore": _restore,
    "outputs": _outputs,
    "again": _again,
    "loop": _loop,
    "early": _early,
    "commit": _commit,
    "store": _store,
    "publish": _publish,
}


def _publications(setting: Setting, state: State, i: int, worker: Worker) -> Iterator[Step]:
    """Any of what is left, for the outputs are written at the same time."""
    for each in worker.to_publish:
        output, messages = each
        after = _published(setting, state, i, output, messages)
        if after is None:
            yield f"is refused by {output}, stops", state.stopped(i)
        else:
            left = tuple(other for other in worker.to_publish if other is not each)
            yield f"publishes {messages} to {output}", after.with_worker(i, to_publish=left)


def _served(setting: Setting, publications: tuple[tuple[str, Messages], ...]) -> tuple[tuple[str, Messages], ...]:
    return tuple(each for each in publications if each[0] in setting.bounds.outputs)


def _tag(rules: Rules, rows: Rows, commit_offset: int) -> int:
    return commit_offset if rules.tag_is_commit_offset else commit_of(rows).applied


def _may_append(rules: Rules, worker: Worker) -> bool:
    return not (worker.is_dropped and rules.fresh_heartbeat)


def _appended(rules: Rules, state: State, i: int, rows: Rows) -> State | None:
    """The state after a batch on the changelog; None when the worker may not or the broker refuses."""
    worker = state.workers[i]
    if not _may_append(rules, worker) or not accepts(state.log.known, worker.identity):
        return None
    return state._replace(log=state.log.append(worker.identity, rows))


def _published(setting: Setting, state: State, i: int, name: str, messages: Messages) -> State | None:
    """The state after a batch on an output; None when the worker may not or the broker refuses."""
    worker, at = state.workers[i], setting.bounds.outputs.index(name)
    output = state.outputs[at]
    if not _may_append(setting.rules, worker) or not accepts(output.known, worker.identity):
        return None
    return state.with_output(at, published(setting.rules, name, output, worker.identity, messages))
