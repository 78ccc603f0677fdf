"""Whether a restored state may go on: with these definitions, and these inputs (rule read_from_applied).

The law: a record is applied once, and one that can not be applied any more is an error, never a silent gap.
"""

from collections.abc import Mapping, Sequence

from streams.bulk_reader import Bounds
from streams.errors import MismatchError
from streams.protocol_rows import CommitRow, Input, decode_commit
from streams.stage import Record

_ANEW = "compute anew under another --generation or --prefix."


def resumed_row(
    who: object,
    last: bytes | None,
    epoch: int,
    bounds_by_topic: Mapping[str, Bounds],
    ids: Mapping[str, str],
    definitions: str,
) -> CommitRow:
    """The last commit's row, from its bytes; without them what stands for it before there is one: nothing applied,
    each input from where it starts. Raises MismatchError when that commit can not be gone on from."""
    if last is None:
        inputs = {topic: Input(bounds.start - 1, ids[topic]) for topic, bounds in bounds_by_topic.items()}
        return CommitRow(epoch, inputs, 0, definitions, b"")
    row = decode_commit(last)
    _require_resumable(who, row, bounds_by_topic, ids, definitions)
    return row


def _require_resumable(
    who: object, row: CommitRow, bounds_by_topic: Mapping[str, Bounds], ids: Mapping[str, str], definitions: str
) -> None:
    """Raises MismatchError with what was found, what was promised and what to do."""
    if row.definitions_hash != definitions:
        raise MismatchError(
            f"{who}: its state was computed with the definition set {row.definitions_hash}, this worker has"
            f" {definitions}. Start the worker with the set that was applied before, or {_ANEW}"
        )
    for topic, bounds in bounds_by_topic.items():
        _require_input(f"{who}: its state contains", topic, row.input_by_topic.get(topic), bounds, ids[topic])


def _require_input(said: str, topic: str, found: Input | None, bounds: Bounds, topic_id: str) -> None:
    """The record behind the last one applied must still be there, or be the next to come."""
    if found is None:
        raise MismatchError(f"{said} nothing of {topic}, which this version reads as well: {_ANEW}")
    if found.topic_id != topic_id:
        raise MismatchError(
            f"{said} records of a topic {topic} with the id {found.topic_id}, but the id is {topic_id} now: it was"
            f" deleted and made again. Restore the topic, or {_ANEW}"
        )
    if not bounds.start - 1 <= found.applied <= bounds.end - 1:
        raise MismatchError(
            f"{said} {topic} up to offset {found.applied}, but the topic holds {bounds.start} to {bounds.end - 1}:"
            f" records in between are gone, and the numbers would be wrong. Restore the topic, or {_ANEW}"
        )


def require_next(who: object, records: Sequence[Record], expected: int, is_compacted: bool = False) -> None:
    """Raises MismatchError unless these are the records from `expected` on, all of them; of a compacted topic, all that
    compaction left."""
    first, last = records[0], records[-1]
    if is_compacted and first.offset >= expected:
        return
    if first.offset != expected or last.offset - first.offset != len(records) - 1:
        raise MismatchError(
            f"{who}: got offsets {first.offset} to {last.offset} ({len(records)} records) of {first.topic}, expected"
            f" those from {expected} on without a gap. The topic lost records, or something other than milepost writes"
            " transactions to it."
        )
