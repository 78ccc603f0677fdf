"""What the next commit is: pure functions of the last one and of what came since.

The law: the clock never goes back, and comes from the broker alone; the input position moves to the last record that
was computed, and with it only. A record on which the computation fails is told from one that is too large.

Rule kept here: split_input_not_rows, as far as it says what is too large; `streams.commits` cuts.
"""

from collections.abc import Callable, Sequence
from operator import attrgetter

import msgspec

from streams.batch import BatchTooLargeError
from streams.commit import Prepared, prepared
from streams.errors import MilepostError, UsageError
from streams.partials import Tag
from streams.poison import ComputationError, blamed
from streams.protocol_rows import CommitRow, Input, Poison
from streams.stage import Record, Stage, Work


class Standing(msgspec.Struct, frozen=True):
    """What the next commit builds on: the last one, the owner's epoch, the tag that the commit must get, and the
    broker's time of the previous append. is_behind: whether input is unread that came before the owner did."""

    row: CommitRow
    epoch: int
    tag: Tag
    acknowledged_ms: int
    is_behind: bool


CHORE_PARTS = (1, 8, 64, 512, 4096)
_timestamp = attrgetter("timestamp")


def commit_of(stage: Stage, standing: Standing, records: Sequence[Record]) -> Prepared | None:
    """The commit of these records, or None when it is too large. Raises ComputationError, which names the record."""

    def compute(some: Sequence[Record]) -> Prepared:
        clock_ms = max(standing.row.clock_ms, max(map(_timestamp, some)))
        work = stage.compute(some, clock_ms)
        return _prepared(stage, standing, work, _inputs_behind(standing, some[-1]), clock_ms)

    try:
        return compute(records)
    except BatchTooLargeError:
        return None
    except MilepostError:
        raise
    except Exception as error:
        raise ComputationError(blamed(records, error, compute), error) from error


def slice_commit_of(stage: Stage, standing: Standing, record: Record) -> tuple[Prepared, bool]:
    """The next commit of a record that is too large for one, and whether it is the record's last. Raises
    ComputationError, also when the record can not be cut."""
    clock_ms = max(standing.row.clock_ms, record.timestamp)
    try:
        cut = stage.slice(record, clock_ms)
        if cut is None:
            raise BatchTooLargeError("it can not be applied in slices")
        if cut.is_last:
            return _prepared(stage, standing, cut.work, _inputs_behind(standing, record), clock_ms), True
        # As if nothing had happened yet: nor does the clock go on.
        was = standing.row
        return _prepared(stage, standing, cut.work, was.input_by_topic, was.clock_ms), False
    except BatchTooLargeError as error:
        too_large = UsageError(
            f"it changes more than one commit can hold ({error}). Simplify the definitions that it matches, or"
            " correct it at its source."
        )
        raise ComputationError(record, too_large) from error
    except MilepostError:
        raise
    except Exception as error:
        raise ComputationError(record, error) from error


def idle_commit_of(
    stage: Stage, standing: Standing, inputs: dict[str, Input] | None = None, poison: Poison | None = None
) -> Prepared:
    """A commit without input. inputs: where they stand, when something was passed over. poison: the record behind
    them, when it failed just now."""
    clock_ms = _clock_without_input(standing)
    inputs = inputs or standing.row.input_by_topic
    return _prepared(stage, standing, stage.idle(clock_ms), inputs, clock_ms, poison)


def chore_commit_of(stage: Stage, standing: Standing) -> Prepared | None:
    """The commit of the stage's next chore, cut until it fits; None when there is none. Raises BatchTooLargeError when
    nothing of it fits."""
    for parts in CHORE_PARTS[:-1]:
        try:
            return _chore_commit_of(stage, standing, parts)
        except BatchTooLargeError:
            continue
    return _chore_commit_of(stage, standing, CHORE_PARTS[-1])


def _chore_commit_of(stage: Stage, standing: Standing, parts: int) -> Prepared | None:
    clock_ms = _clock_without_input(standing)
    work = stage.chore(clock_ms, parts)
    return None if work is None else _prepared(stage, standing, work, standing.row.input_by_topic, clock_ms)


def outside_commit_of(stage: Stage, standing: Standing, compute: Callable[[int], Work]) -> Prepared:
    """The commit of what became known without a record. compute: its work, given the clock. Raises
    BatchTooLargeError."""
    clock_ms = max(standing.row.clock_ms, standing.acknowledged_ms)
    return _prepared(stage, standing, compute(clock_ms), standing.row.input_by_topic, clock_ms)


def _inputs_behind(standing: Standing, record: Record) -> dict[str, Input]:
    was, topic = standing.row.input_by_topic, record.topic
    return was | {topic: Input(record.offset, was[topic].topic_id)}


def _clock_without_input(standing: Standing) -> int:
    """Without input the clock learns the time from the broker's word on the previous append. Not before what came
    meanwhile is read: it may be what keeps time from bringing something about."""
    return standing.row.clock_ms if standing.is_behind else max(standing.row.clock_ms, standing.acknowledged_ms)


def _prepared(
    stage: Stage,
    standing: Standing,
    work: Work,
    inputs: dict[str, Input],
    clock_ms: int,
    poison: Poison | None = None,
) -> Prepared:
    known = standing.row.poison
    if poison is None and known is not None and inputs[known.topic].applied < known.offset:
        poison = known
    row = CommitRow(standing.epoch, inputs, clock_ms, stage.definitions_hash, work.pending, poison)
    return prepared(stage, work, row, standing.tag)
