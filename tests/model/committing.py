"""How an owner computes, commits, stores and publishes.

loop -> commit -> store -> publish -> loop
"""

from collections.abc import Iterator

from tests.model.appends import appended, publishing, served, tag_of, would_commit
from tests.model.stage import COMMIT, Rows, commit_of, compute, merged, publications
from tests.model.world import RENEWAL_DAYS, Setting, State, Step, Worker

BATCH_EVENTS_MAX = 2


def loop(setting: Setting, state: State, i: int, worker: Worker) -> Iterator[Step]:
    """Takes one or two events, or a tick, or looks after its fence; a zombie does so too, but for the fence."""
    rows, first = worker.disk.rows, worker.next_event
    yield from publishing(setting, state, i, worker)  # nothing is left to publish but without the rule
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
    cuts: list[tuple[Rows, ...]] = [(change,)]
    if not rules.commit_is_one_batch and len(change) > 1:
        cuts = [(change[1:], change[:1])]
    elif not rules.split_input_not_rows and count == BATCH_EVENTS_MAX:
        cuts += [_cut_by_rows(change, at) for at in range(2, len(change))]
    for parts in cuts:
        cut = f" in {len(parts)} batches of {[len(each) for each in parts]}" if len(parts) > 1 else ""
        ready = state.with_worker(i, step="commit", parts=parts)
        if not rules.publish_after_commit:
            rows = merged(worker.disk.rows, change)
            early = served(setting, publications(rows, tag_of(rules, rows, worker.expected)))
            ready = ready.with_worker(i, step="early", to_publish=early)
        yield text + cut, ready


def _cut_by_rows(change: Rows, at: int) -> tuple[Rows, Rows]:
    """Two commits of a change that two events made together; the first says that it contains the first event."""
    (key, commit), *rows = change
    first = commit._replace(applied=commit.applied - 1, milestones=(), changed=())
    return ((key, first), *rows[: at - 1]), ((key, commit), *rows[at - 1 :])


def publish_early(setting: Setting, state: State, i: int, worker: Worker) -> Iterator[Step]:
    """Only without `publish_after_commit`."""
    if worker.to_publish:
        yield from publishing(setting, state, i, worker)
    else:
        yield "has published before it commits", state.with_worker(i, step="commit")


def commit(setting: Setting, state: State, i: int, worker: Worker) -> Iterator[Step]:
    """Appends to the changelog; the answer may be another offset than expected, a refusal, or lost."""
    offset, rows = state.log.end, worker.parts[0]
    after = appended(setting.rules, state, i, rows)
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


def store(setting: Setting, state: State, i: int, worker: Worker) -> Iterator[Step]:
    """Rows and position go to the disk in one step."""
    rows, *rest = worker.parts
    offset = worker.expected - len(rows)
    tag = offset if rows[0][0] == COMMIT else worker.disk.tag
    disk = worker.disk._replace(rows=merged(worker.disk.rows, rows), position=worker.expected, tag=tag)
    if rest:
        yield "stores a part", state.with_worker(i, step="commit", disk=disk, parts=tuple(rest))
        return
    to_publish = worker.to_publish
    if setting.rules.publish_after_commit:
        to_publish += served(setting, publications(disk.rows, tag_of(setting.rules, disk.rows, tag)))
    yield "stores", state.with_worker(i, step="publish", disk=disk, parts=(), to_publish=to_publish)


def publish(setting: Setting, state: State, i: int, worker: Worker) -> Iterator[Step]:
    """Publishes all of the commit, then acknowledges the source."""
    if worker.to_publish:
        yield from publishing(setting, state, i, worker)
        if not setting.rules.publish_before_next_commit:
            yield _publish_later(state, i, worker)
        return
    applied = commit_of(worker.disk.rows).applied
    after = state.with_worker(i, step="loop", next_event=applied + 1)
    if state.owner == i and not setting.rules.read_from_applied:  # otherwise nobody looks at it
        after = after._replace(acked=applied)
    yield f"acknowledges {applied}", after


def _publish_later(state: State, i: int, worker: Worker) -> Step:
    applied = commit_of(worker.disk.rows).applied
    return "goes on before its publications are out", state.with_worker(i, step="loop", next_event=applied + 1)
