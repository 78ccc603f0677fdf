"""What must hold. Each law says what is wrong with a state, or nothing.

EVERYWHERE holds in every state, QUIET when the owner has nothing left to do.
"""

from typing import Protocol

from tests.model.kafka import Disk, restored
from tests.model.stage import ABSOLUTE, JOURNEYS, MILESTONES, PARTIALS, X, commit_of, has_arrived
from tests.model.world import Setting, State


class Law(Protocol):
    """What is wrong with a state, None when nothing is."""

    __name__: str

    def __call__(self, setting: Setting, state: State, /) -> str | None: ...


def is_quiet(setting: Setting, state: State) -> bool:
    """Whether the owner has applied and published everything."""
    owner = state.workers[state.owner]
    if owner.step != "loop" or owner.to_publish:
        return False
    commit = commit_of(owner.disk.rows)
    return owner.next_event == len(setting.events) and commit.clock == setting.bounds.ticks


def no_old_taken_for_new(setting: Setting, state: State) -> str | None:
    """A reader never goes back to an older value, and takes no message twice."""
    for name, output in zip(setting.bounds.outputs, state.outputs, strict=True):
        if output.has_gone_back:
            return f"a running reader of {name} took an old one for new"
    return None


def ready_ends_former_words(setting: Setting, state: State) -> str | None:
    """When an owner is ready, no former one writes to an output any more."""
    for name, output in zip(setting.bounds.outputs, state.outputs, strict=True):
        if output.has_late_word:
            return f"{name} took a former owner's word when the new one was ready"
    return None


def ready_holds_the_log(setting: Setting, state: State) -> str | None:
    """Who has just become ready holds what the changelog says."""
    for i, worker in enumerate(state.workers):
        if worker.step == "again" and worker.expected == state.log.end:
            log_rows = restored(Disk(), state.log, state.log.end, True).rows
            if worker.disk.rows != log_rows:
                return f"W{i} is ready with {dict(worker.disk.rows)}, the changelog says {dict(log_rows)}"
    return None


def owner_holds_the_truth(setting: Setting, state: State) -> str | None:
    """The owner's rows are what a batch computation gives."""
    rows, truth = dict(state.workers[state.owner].disk.rows), setting.truth
    for account, series in truth.series_by_account.items():
        if rows.get(account, "") != series:
            return f"the owner has {rows.get(account)!r} of {account}, a batch computation {series!r}"
    if rows.get(X, 0) != truth.x:
        return f"the owner has x = {rows.get(X, 0)}, a batch computation {truth.x}"
    return None


def restore_gives_the_same(setting: Setting, state: State) -> str | None:
    """Restoring from nothing or from the other worker's disk gives the owner's rows."""
    rows = state.workers[state.owner].disk.rows
    for name, disk in (("nothing", Disk()), ("the other worker's disk", state.workers[1 - state.owner].disk)):
        found = restored(disk, state.log, state.log.end, setting.rules.discard_stale_disk)
        if found.rows != rows:
            return f"restoring from {name} gives {dict(found.rows)}, the owner has {dict(rows)}"
    return None


def running_readers_hold_the_truth(setting: Setting, state: State) -> str | None:
    """Who reads the outputs all the time stands where a batch computation does."""
    for name, output in zip(setting.bounds.outputs, state.outputs, strict=True):
        taken = {key: value for key, (_, value) in output.taken}
        if wrong := _difference(setting, name, taken):
            return f"a running reader of {name} {wrong}"
    return None


def later_readers_hold_the_truth(setting: Setting, state: State) -> str | None:
    """Who reads the compacted outputs later sees what a batch computation gives."""
    for name, output in zip(setting.bounds.outputs, state.outputs, strict=True):
        if name in ABSOLUTE and (wrong := _difference(setting, name, dict(output.last))):
            return f"a later reader of {name} {wrong}"
    return None


def _difference(setting: Setting, name: str, found: dict[str, object]) -> str | None:
    truth = setting.truth
    wanted: dict[str, object]
    if name == MILESTONES:
        wanted = {account: has_arrived(series) for account, series in truth.series_by_account.items()}
    else:
        wanted = {name: {PARTIALS: truth.x, JOURNEYS: truth.series_by_account.get("A", "")}[name]}
    for key, value in wanted.items():
        if (found.get(key) or type(value)()) != value:
            return f"has {found.get(key)!r} for {key}, a batch computation {value!r}"
    return None


EVERYWHERE: tuple[Law, ...] = (no_old_taken_for_new, ready_holds_the_log, ready_ends_former_words)
QUIET: tuple[Law, ...] = (
    owner_holds_the_truth,
    running_readers_hold_the_truth,
    later_readers_hold_the_truth,
    restore_gives_the_same,
)
ALL: tuple[Law, ...] = EVERYWHERE + QUIET
SEEN_OUTSIDE: tuple[Law, ...] = (no_old_taken_for_new, *QUIET)
"""What readers and successors notice."""
