"""The rows of the commit protocol itself: what stands in a changelog beside a stage's rows, and in its outputs.

| key     | where       | value                                                                            |
|---------|-------------|----------------------------------------------------------------------------------|
| !claim  | changelog   | who claims the partition; its offset is the epoch                                |
| !ready  | changelog   | the epoch; must stand right behind the claim                                     |
| !commit | changelog   | CommitRow, first record of each commit, so that its offset is the commit's tag   |
| !fence  | an output   | the epoch; it is there so that the broker knows the new owner on that partition  |
|         | definitions | nothing; it is there so that the broker knows the new writer                     |
| !held   | deliveries  | a destination to which nothing is sent for now (`streams.delivery`)              |

`!commit` stays readable as the tag after compaction: the newest of its key is never dropped. Readers of outputs skip
keys that begin with `!`.
"""

import msgspec

PROTOCOL_PREFIX = b"!"
CLAIM_KEY = b"!claim"
READY_KEY = b"!ready"
COMMIT_KEY = b"!commit"
FENCE_KEY = b"!fence"


class Input(msgspec.Struct, frozen=True, array_like=True):
    """How far one input is inside the state: the last offset applied (the one before its log's start when none is),
    and the id of the topic that the offset belongs to."""

    applied: int
    topic_id: str


class Poison(msgspec.Struct, frozen=True, array_like=True):
    """The record behind the applied ones, on which the computation fails: how often it ended a worker, and how."""

    topic: str
    offset: int
    count: int
    why: str


class CommitRow(msgspec.Struct, frozen=True, array_like=True):
    """What each commit says of itself. clock_ms: the greatest broker append time seen. pending: the stage's, for
    publishing again. poison: the next record, where it is known to fail."""

    epoch: int
    input_by_topic: dict[str, Input]
    clock_ms: int
    definitions_hash: str
    pending: bytes
    poison: Poison | None = None


encode_commit = msgspec.msgpack.Encoder().encode
decode_commit = msgspec.msgpack.Decoder(CommitRow).decode
