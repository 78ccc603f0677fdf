"""A commit before it is made: every batch of it built and known to fit, so that nothing of it can fail by size.

Rules kept here: commit_is_one_batch, tag_is_commit_offset, and the outputs' sizes for split_input_not_rows.
"""

import msgspec

from streams.batch import Batch, batches_of, one_batch
from streams.partials import Tag
from streams.protocol_rows import COMMIT_KEY, CommitRow, encode_commit
from streams.stage import Applied, Publish, Stage, Work
from streams.store import Row

Outputs = list[tuple[str, Batch]]  # topic, one of its batches


class Committed(msgspec.Struct, frozen=True):
    """What one commit took, in seconds, for metrics and benchmarks."""

    record_count: int
    row_count: int
    compute_s: float
    append_s: float
    store_s: float
    publish_s: float


class Prepared(msgspec.Struct, frozen=True):
    """A commit that fits: its own row, all rows with that one first, and what it sends."""

    row: CommitRow
    rows: list[Row]
    changelog: Batch
    outputs: Outputs

    def pack(self) -> None:
        """Compresses what it sends; else each batch is when its turn comes."""
        self.changelog.pack()
        for _, batch in self.outputs:
            batch.pack()


def prepared(stage: Stage, work: Work, row: CommitRow, tag: Tag) -> Prepared:
    """The commit of `work`, which must get the offset of `tag`. Raises BatchTooLargeError."""
    # Its own row first: then the batch's base offset is the offset of a row that compaction keeps.
    rows: list[Row] = [(COMMIT_KEY, encode_commit(row)), *work.rows]
    return Prepared(row, rows, one_batch(rows), outputs_of(stage, work.publish, row, tag))


def outputs_of(stage: Stage, publish: Publish, row: CommitRow, tag: Tag) -> Outputs:
    """The batches of a commit's publications. Raises BatchTooLargeError."""
    outputs: Outputs = []
    failing = {} if row.poison is None else {row.poison.topic: row.poison.offset}
    for topic, records, whole in publish(Applied(tag, applied_of(row), row.clock_ms, failing)):
        if topic not in stage.outputs:
            raise RuntimeError(f"{topic} is no output of the stage, so a former owner may write to it")
        outputs += [(topic, batch) for batch in batches_of(records, whole=whole)]
    return outputs


def applied_of(row: CommitRow) -> dict[str, int]:
    """The last offset inside the state, per input."""
    return {topic: each.applied for topic, each in row.input_by_topic.items()}
