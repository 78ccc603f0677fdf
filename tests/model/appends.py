"""What an owner may do to the changelog and to the outputs, and what the broker lets it do."""

from collections.abc import Iterator

from tests.model.kafka import accepts
from tests.model.readers import published
from tests.model.rules import Rules
from tests.model.stage import Messages, Publications, Rows, commit_of
from tests.model.world import Setting, State, Step, Worker


def appended(rules: Rules, state: State, i: int, rows: Rows) -> State | None:
    """The state after a batch on the changelog; None when the worker may not or the broker refuses."""
    worker = state.workers[i]
    if not may_append(rules, worker) or not accepts(state.log.known, worker.identity):
        return None
    return state._replace(log=state.log.append(worker.identity, rows))


def put(setting: Setting, state: State, i: int, name: str, messages: Messages) -> State | None:
    """The state after a batch on an output; None when the worker may not or the broker refuses."""
    worker, at = state.workers[i], setting.bounds.outputs.index(name)
    output = state.outputs[at]
    if not may_append(setting.rules, worker) or not accepts(output.known, worker.identity):
        return None
    is_late = bool(messages) and state.is_succeeded(worker.claim)
    after = published(setting.rules, name, output, worker.identity, messages, is_late=is_late)
    return state.with_output(at, after)


def publishing(setting: Setting, state: State, i: int, worker: Worker) -> Iterator[Step]:
    """Any of what is left, for the outputs are written at the same time."""
    for each in worker.to_publish:
        output, messages = each
        after = put(setting, state, i, output, messages)
        if after is None:
            yield f"is refused by {output}, stops", state.stopped(i)
        else:
            left = tuple(other for other in worker.to_publish if other is not each)
            yield f"publishes {messages} to {output}", after.with_worker(i, to_publish=left)


def served(setting: Setting, publications: Publications) -> Publications:
    """Those to the outputs that this world has."""
    return tuple(each for each in publications if each[0] in setting.bounds.outputs)


def tag_of(rules: Rules, rows: Rows, commit_offset: int) -> int:
    return commit_offset if rules.tag_is_commit_offset else commit_of(rows).applied


def may_append(rules: Rules, worker: Worker) -> bool:
    """Whether it was heard of lately; the rest is the broker's to refuse."""
    return not (worker.is_dropped and rules.fresh_heartbeat)


def would_commit(setting: Setting, state: State, i: int) -> bool:
    """Whether the worker's hourly commit without input would succeed."""
    worker = state.workers[i]
    is_known = accepts(state.log.known, worker.identity) and worker.expected == state.log.end
    return is_known and may_append(setting.rules, worker)
